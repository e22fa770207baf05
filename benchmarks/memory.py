"""The memory of whole zoos: the peak that thoplw tells without running, and what real runs took.

::

    python benchmarks/memory.py run                  # all; results are kept, and what is known is not done again
    python benchmarks/memory.py run resnet18 hf:bert
    python benchmarks/memory.py table > benchmarks/memory.md

Of each model: a forward as in inference, and two iterations of a training loop on two samples, with SGD, with AdamW,
and with AdamW over lists (``foreach=True``). ``checks/storage_tracker.py`` runs it all for real on the CPU, and counts
every storage while it lives. Equal means equal to the byte, in every iteration. ``checks/memory_profiler.py`` has the
peak by torch's profiler, which hears of workspaces inside of kernels as well.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks import storage_tracker  # noqa: E402
from checks.memory_profiler import profiled_peak  # noqa: E402
from checks.nested import tensors_in  # noqa: E402
from checks.sweep import Sweep, in_short  # noqa: E402
from checks.training_zoo import BATCH, build, loss_of, models, zoo_of  # noqa: E402

import thoplw  # noqa: E402

#: Seconds for a model, built and run both ways.
SECONDS = 240

#: Name -> how an optimizer is made.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, lr=0.0),
    "adamw": partial(torch.optim.AdamW, lr=0.0),
    "adamw over lists": partial(torch.optim.AdamW, lr=0.0, foreach=True),
}

#: What is compared of each model.
WAYS = ("inference", *OPTIMIZERS)


def tried(name: str) -> dict[str, Any]:
    """What is found of a model."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found: dict[str, Any] = {"name": name, "told": {}, "taken": {}, "profiler": {}}
    try:
        model, inputs = build(name)
        if inputs is None:
            raise LookupError("there is no telling what it takes")
    except Exception as error:
        return found | {"build": in_short(error)}
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    for way in WAYS:
        try:
            found["told"][way] = _told(model, inputs, way)
        except Exception as error:
            found["told"][way] = in_short(error)
    for way in WAYS:
        try:
            found["taken"][way] = _taken(model, args, kwargs, way)
        except Exception as error:
            found["taken"][way] = in_short(error)
            break
    try:
        found["profiler"] = _profiled(model, args, kwargs)
    except Exception as error:
        found["profiler"] = in_short(error)
    return found


def _told(model: torch.nn.Module, inputs: Any, way: str) -> list[int]:
    options = {"verbose": False, "memory": True}
    if way == "inference":
        return list(thoplw.profile(model, inputs, **options)[2].memory.peaks)
    report = thoplw.profile_training(model, inputs, loss=loss_of, optimizer=OPTIMIZERS[way], **options)
    return list(report.memory.peaks)


def _taken(model: torch.nn.Module, args: Any, kwargs: Any, way: str) -> list[int]:
    model = copy.deepcopy(model)  # a first forward may leave tables in it, which a later one finds
    if way == "inference":
        return storage_tracker.inference(model, *args, **kwargs).peaks
    return storage_tracker.training(model, args, kwargs, loss=loss_of, optimizer=OPTIMIZERS[way]).peaks


def _profiled(model: torch.nn.Module, args: Any, kwargs: Any) -> dict[str, int]:
    """The peak of a forward, and of an iteration with SGD."""
    held = [*model.parameters(), *model.buffers(), *tensors_in((args, kwargs))]
    before = storage_tracker.StorageTracker(held).live
    for parameter in model.parameters():
        parameter.grad = None
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        model.eval()
        with torch.no_grad():
            inference = profiled_peak(lambda: model(*args, **kwargs), before)
        model.train()

        def step() -> Any:
            optimizer = OPTIMIZERS["sgd"](model.parameters())
            output = model(*args, **kwargs)
            loss = loss_of(output)
            loss.backward()
            optimizer.step()
            return output, loss

        return {"inference": inference, "sgd": profiled_peak(step, before)}
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def verdict(found: dict[str, Any]) -> str:
    """``equal``, or what came in between."""
    if "build" in found:
        return f"not built: {found['build']}"
    taken = {way: peaks for way, peaks in found["taken"].items() if isinstance(peaks, list)}
    if not taken:
        return f"does not run for real: {found['taken']['inference']}"
    refused = {way: found["told"][way] for way in taken if isinstance(found["told"][way], str)}
    if refused:
        return f"refused: {next(iter(refused.values()))}"
    other = [
        f"{way}: {_in_words(found['told'][way])} for {_in_words(peaks)}"
        for way, peaks in taken.items()
        if found["told"][way] != peaks
    ]
    return f"different: {'; '.join(other)}" if other else "equal"


def _in_words(peaks: list[int]) -> str:
    return " and ".join(f"{peak:,}" for peak in peaks)


SWEEP = Sweep(
    file=ROOT / "benchmarks" / "memory.jsonl",
    tried=tried,
    verdict=verdict,
    failed="build",
    seconds=SECONDS,
    tasks=50,
)


def run(wanted: list[str]) -> None:
    """Try models; without names those that are not known."""
    known = SWEEP.read()
    SWEEP.run((name,) for name in wanted or models() if wanted or name not in known)


# -- the page ----------------------------------------------------------------------------------------------------------


def table() -> str:
    """The page."""
    results = SWEEP.read()
    verdicts = {name: verdict(each) for name, each in results.items()}
    ran = {name: said for name, said in verdicts.items() if not said.startswith(("not built", "does not run"))}
    equal = [name for name, said in ran.items() if said == "equal"]
    zoos = ("torchvision", "timm", "transformers")
    counts = {
        zoo: Counter(said.partition(":")[0] for name, said in verdicts.items() if zoo_of(name) == zoo) for zoo in zoos
    }
    near = [_away(results[name]) for name in equal if isinstance(results[name]["profiler"], dict)]
    within = {way: sum(each[way] <= 0.01 for each in near) for way in ("inference", "sgd")}
    lines = [
        "# The memory of whole zoos",
        "",
        f"Of {len(ran)} models that really run here, {len(equal)} take at their peak what `memory=True` says, to the",
        "byte: in inference, and in both iterations of a training loop with SGD, with AdamW, and with AdamW over lists",
        "(`foreach=True`). What they take was seen by `checks/storage_tracker.py` in real runs on the CPU.",
        "",
        "torch's own profiler hears of workspaces inside of kernels as well. Its peak is within 1 % of that of",
        f"`memory=True` for {within['inference']} of {len(near)} models in inference, and for {within['sgd']} in a",
        "training step with SGD.",
        "",
        f"Training is on {BATCH} samples; models of transformers have two layers and a small vocabulary. torch's fast",
        "path of attention, one kernel that nobody looks into, is off.",
        "",
        f"{date.today().isoformat()}; torch {torch.__version__}, "
        + ", ".join(f"{package} {version(package)}" for package in ("torchvision", "timm", "transformers"))
        + ". Written by `benchmarks/memory.py`, which says what is compared.",
        "",
        "| | " + " | ".join(zoos) + " |",
        "|---|" + "--:|" * len(zoos),
    ]
    for said in ("equal", "different", "refused", "does not run for real", "not built"):
        lines.append(f"| {said} | " + " | ".join(str(counts[zoo][said]) for zoo in zoos) + " |")
    lines += ["", "## Exceptions", "", "| model | what differs |", "|---|---|"]
    lines += [f"| {name} | {said.replace('|', '/')} |" for name, said in ran.items() if said != "equal"]
    lines += [
        "",
        "## Equal",
        "",
        "Bytes at the peak: in inference, and in the second iteration of training; and how far the profiler is above.",
        "",
        "| model | inference | SGD | AdamW | AdamW over lists | profiler, inference | profiler, SGD |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in equal:
        found = results[name]
        taken = {way: peaks for way, peaks in found["taken"].items() if isinstance(peaks, list)}
        peaks = " | ".join(f"{taken[way][-1]:,}" if way in taken else "-" for way in WAYS)
        away = _away(found) if isinstance(found["profiler"], dict) else None
        shares = " | ".join(f"{100 * away[way]:.2f} %" if away else "-" for way in ("inference", "sgd"))
        lines.append(f"| {name} | {peaks} | {shares} |")
    failed = [(name, said) for name, said in verdicts.items() if name not in ran]
    lines += ["", "## Not run", "", "| model | why |", "|---|---|"]
    lines += [f"| {name} | {said.replace('|', '/')} |" for name, said in failed]
    return "\n".join(lines) + "\n"


def _away(found: dict[str, Any]) -> dict[str, float]:
    """How far the profiler is from what is told, as a part of it: of inference, and of a first iteration with SGD."""
    told, heard = found["told"], found["profiler"]
    return {way: abs(heard[way] - told[way][0]) / told[way][0] for way in ("inference", "sgd")}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:])
    elif sys.argv[1:] == ["table"]:
        sys.stdout.write(table())
    else:
        sys.exit(__doc__)
