"""How long counting takes: thoplw, the model's own forward on the meta device, and every other counter installed.

::

    python benchmarks/speed.py [--models NAME ...] [--tools NAME ...] [--rounds N]

One process, one thread. Every round times each way once, so that all of them share whatever else the machine does;
figures are medians, and what holds on other machines is their ratios. Writes ``benchmarks/speed.md`` and
``benchmarks/scaling.svg``.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import gc
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from platform import python_version
from statistics import median
from textwrap import wrap
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.llama import LLAMA_7B, LLAMA_405B, Config, on_meta  # noqa: E402
from checks.peers import COUNTERS  # noqa: E402
from checks.zoo import build  # noqa: E402

import thoplw  # noqa: E402
from thoplw.capture import capture  # noqa: E402
from thoplw.capture.restore.preserve import without_collection  # noqa: E402

PAGE, PLOT = ROOT / "benchmarks/speed.md", ROOT / "benchmarks/scaling.svg"
DEPTHS = (1, 2, 5, 10, 20, 50, 100, 200, 350, 500, 750, 1000)

#: What takes longer than this, in seconds, is run in two rounds only.
SLOW = 0.5

Way = Callable[[], Any]
Case = tuple[torch.nn.Module, torch.Tensor]


# -- what is counted ---------------------------------------------------------------------------------------------------


def image(name: str) -> Case:
    return build(f"torchvision:{name}")


def bert() -> Case:
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig()).eval(), torch.zeros(1, 128, dtype=torch.long)


def llama(config: Config) -> Case:
    return on_meta(config).eval(), torch.zeros(1, 128, dtype=torch.long)


#: Name -> how to make it. The Llamas have 27 GB and 1.6 TB of weights: they exist on the meta device only.
MODELS: dict[str, Callable[[], Case]] = {
    **{name: partial(image, name) for name in ("resnet18", "resnet152", "densenet201", "vit_b_16", "swin_t")},
    "bert-base": bert,
    "Llama 7B": partial(llama, LLAMA_7B),
    "Llama 405B": partial(llama, LLAMA_405B),
}


# -- who counts --------------------------------------------------------------------------------------------------------


def flop_counter(model: torch.nn.Module, x: torch.Tensor) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False):
        model(x)


#: Those that run the model on the CPU.
TOOLS: dict[str, Callable[[torch.nn.Module, torch.Tensor], Any]] = {
    "FlopCounterMode on CPU": flop_counter,
    **{name: count for name, count in COUNTERS.items() if name != "torch" and find_spec(name)},
}


def forget() -> None:
    """Empty what thoplw keeps from one call to the next: facts about operators, and strides of shapes."""
    for name, module in list(sys.modules.items()):
        if name.startswith("thoplw"):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear") and not isinstance(value, type):
                    value.cache_clear()


def ways(model: torch.nn.Module, x: torch.Tensor, tools: list[str]) -> dict[str, Way]:
    """How to count a model, each way by its name."""
    real = not next(model.parameters()).is_meta
    meta, meta_x = (copy.deepcopy(model).to("meta") if real else model), x.to("meta")
    profile = partial(thoplw.profile, meta, (x,), verbose=False)
    found: dict[str, Way] = {
        "forward": partial(meta, meta_x),
        "cold": profile,
        "warm": profile,
        "FlopCounterMode on meta": partial(flop_counter, meta, meta_x),
    }
    if real:  # a copy for each, as some leave things behind
        found |= {tool: partial(TOOLS[tool], copy.deepcopy(model), x) for tool in tools}
    return found


# -- measuring ---------------------------------------------------------------------------------------------------------


@dataclass
class Measured:
    operators: int
    memory: float
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@contextmanager
def collected() -> Iterator[None]:
    """A round: garbage is collected before it and not during it, as `timeit` does, which is to everyone's advantage.

    A collection also empties what Python keeps of freed lists and tuples. Whoever came next would have to fill it.
    """
    gc.collect()
    with without_collection():
        yield


def timed(way: Way, cold: bool = False) -> float:
    if cold:
        forget()
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), torch.no_grad():
        start = time.perf_counter()
        way()
        return time.perf_counter() - start


def growth(way: Way) -> float:
    """By how many megabytes the memory in use grows at most (Linux)."""

    def status(key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key))

    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free is given back
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    way()
    return (status("VmHWM") - before) / 1024


def measure(name: str, tools: list[str], rounds: int) -> Measured:
    model, x = MODELS[name]()
    every = ways(model, x, tools)
    found = Measured(memory=growth(every["cold"]), operators=len(capture(model, (x,), {}).steps))
    samples: dict[str, list[float]] = {}
    for way, run in list(every.items()):
        try:
            samples[way] = [timed(run)]  # warms up
        except Exception as error:  # whatever a tool meets is its result
            found.failed[way] = type(error).__name__
    for each in range(rounds):
        with collected():
            every["forward"]()
            for way, past in samples.items():
                if each < 2 or past[-1] < SLOW:
                    past.append(timed(every[way], cold=way == "cold"))
    found.seconds = {way: median(past[1:]) for way, past in samples.items()}
    return found


def scaling(rounds: int) -> dict[int, float]:
    """Depth -> seconds, of linear layers that each are followed by a ReLU."""
    with torch.device("meta"):
        models = {
            depth: torch.nn.Sequential(
                *(layer for _ in range(depth) for layer in (torch.nn.Linear(64, 64), torch.nn.ReLU()))
            )
            for depth in DEPTHS
        }
    samples: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    for _ in range(rounds):
        with collected():
            for depth, model in models.items():
                samples[depth].append(timed(partial(thoplw.profile, model, (1, 64), verbose=False), cold=True))
    return {depth: median(past) for depth, past in samples.items()}


# -- the page ----------------------------------------------------------------------------------------------------------


def ours(name: str, found: Measured) -> str:
    forward, cold, warm = (found.seconds[way] for way in ("forward", "cold", "warm"))
    rivals = {way: time for way, time in found.seconds.items() if way not in ("forward", "cold", "warm")}
    fastest = min(rivals, key=rivals.__getitem__)
    return (
        f"| {name} | {found.operators} | {1e3 * forward:.1f} | {1e3 * cold:.1f} | {1e3 * warm:.1f} "
        f"| {cold / forward:.3f} | {rivals[fastest] / cold:.1f} ({fastest}) | {1e6 * cold / found.operators:.0f} "
        f"| {found.memory:.1f} |"
    )


def others(found: dict[str, Measured]) -> list[str]:
    def cell(tool: str, each: Measured) -> str:
        if tool in each.failed:
            return f"{each.failed[tool]}"
        seconds = each.seconds.get(tool)
        return "-" if seconds is None else f"{1e3 * seconds:.0f} (x {seconds / each.seconds['cold']:.1f})"

    tools = [
        "FlopCounterMode on meta",
        *(tool for tool in TOOLS if any(tool in each.seconds for each in found.values())),
    ]
    return [
        f"| | {' | '.join(found)} |",
        "|---|" + "--:|" * len(found),
        *(f"| {tool} | {' | '.join(cell(tool, each) for each in found.values())} |" for tool in tools),
    ]


def slope(line: dict[int, float], first: int, last: int) -> float:
    """Microseconds that a layer adds."""
    return 1e6 * (line[last] - line[first]) / (last - first)


def plot(line: dict[int, float]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "thoplw"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot(list(line), [1e3 * seconds for seconds in line.values()], marker="o")
    axes.set(xlabel="layers (linear and ReLU)", ylabel="profile, cold (ms)", xlim=0, ylim=0)
    axes.grid(alpha=0.3)
    figure.savefig(PLOT, metadata={"Date": None})
    pyplot.close(figure)


def versions() -> str:
    packages = ["torch", "torchvision", "transformers", *(tool for tool in TOOLS if tool in COUNTERS)]
    known = []
    for package in packages:
        try:
            known.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            known.append(package)
    return ", ".join([f"Python {python_version()}", *known])


def page(found: dict[str, Measured], line: dict[int, float], rounds: int) -> str:
    def paragraph(text: str) -> list[str]:
        return [*wrap(text, 119, break_long_words=False, break_on_hyphens=False), ""]

    return "\n".join(
        [
            "# How long counting takes",
            "",
            *paragraph(
                f"{date.today().isoformat()}; {versions()}. Medians of {rounds} rounds (two for what takes more "
                "than half a second), each of which times every way once, in one process and one thread, with garbage "
                "collected between rounds, as `timeit` does. What holds elsewhere is ratios. Written by "
                "`benchmarks/speed.py`."
            ),
            *paragraph(
                "*Forward* is the model's own on the meta device, and nothing else. *Cold* is `thoplw.profile` with "
                "all that it keeps between calls emptied before each: facts about operators (is it composite, does "
                "it write?) and strides of shapes, after what other tools have left in the processor's caches. *Warm* "
                "keeps these, and comes right after it. *Memory* is by how much the first profile of the model makes "
                "the memory in use grow at its peak. Images are 1 x 3 x 224 x 224, texts 1 x 128 tokens."
            ),
            "| model | operators | forward, ms | cold, ms | warm, ms | cold / forward | fastest other / cold "
            "| cold, µs per operator | memory, MB |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
            *(ours(name, each) for name, each in found.items()),
            "",
            "## Other counters",
            "",
            *paragraph(
                "Milliseconds, and how many times that of thoplw (cold). All but the first run the model for real, "
                "on the CPU. The Llamas have 27 GB and 1.6 TB of weights, which leaves the meta device. An error is "
                "what a tool answers to token ids. `benchmarks/accuracy.md` has what they count."
            ),
            *others(found),
            "",
            "## Depth",
            "",
            "![time against depth](scaling.svg)",
            "",
            *paragraph(
                f"A layer (two operators, two modules) adds {slope(line, 1, 100):.0f} µs between 1 and 100 layers, "
                f"{slope(line, 100, 500):.0f} µs between 100 and 500, and {slope(line, 500, 1000):.0f} µs between "
                "500 and 1,000."
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME")
    parser.add_argument("--tools", nargs="*", choices=TOOLS, default=list(TOOLS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    thoplw.profile(torch.nn.Linear(1, 1), (1, 1), verbose=False)  # imports what it needs
    line = scaling(chosen.rounds)
    plot(line)
    found: dict[str, Measured] = {}
    for name in chosen.models:
        found[name] = measure(name, chosen.tools, chosen.rounds)
        print(ours(name, found[name]), flush=True)
        PAGE.write_text(page(found, line, chosen.rounds), encoding="utf-8")


if __name__ == "__main__":
    main()
