"""What other counters say of the models of ``tests/test_zoo.py``, beside what thoplw says.

::

    python benchmarks/accuracy.py run TOOL ...     # each where the tool is installed; results are kept
    python benchmarks/accuracy.py table > benchmarks/accuracy.md

A tool counts each model for real (PyTorch's own on the meta device), in evaluation mode, with the default input and a
batch of one. Tools that report floating-point operations are halved.
"""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests import test_zoo  # noqa: E402

from thoplw.models.registry import load  # noqa: E402

#: Models that take one tensor, which is all that some tools can pass.
MACS = {
    name: macs
    for name, macs in test_zoo.MACS.items()
    if not name.startswith(("hf:", "raft", "ssdlite", "quantized")) and macs < 30e9
}

RESULTS = Path("accuracy.jsonl")
SECONDS = 60

Count = Callable[[torch.nn.Module, torch.Tensor], float]


def torch_counter(model: torch.nn.Module, x: torch.Tensor) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model.to("meta")(x.to("meta"))
    return counter.get_total_flops() / 2


def fvcore(model: torch.nn.Module, x: torch.Tensor) -> float:
    from fvcore.nn import FlopCountAnalysis

    return float(FlopCountAnalysis(model, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def thop(model: torch.nn.Module, x: torch.Tensor) -> float:
    import thop

    return float(thop.profile(model, (x,), verbose=False)[0])


def ptflops(model: torch.nn.Module, x: torch.Tensor) -> float:
    from ptflops import get_model_complexity_info

    return float(get_model_complexity_info(model, tuple(x.shape[1:]), as_strings=False, print_per_layer_stat=False)[0])


def torchinfo(model: torch.nn.Module, x: torch.Tensor) -> float:
    from torchinfo import summary

    return float(summary(model, input_data=x, verbose=0).total_mult_adds)


def deepspeed(model: torch.nn.Module, x: torch.Tensor) -> float:
    from deepspeed.profiling.flops_profiler import get_model_profile

    return float(get_model_profile(model, args=[x], print_profile=False, as_string=False)[1])


def torchprofile(model: torch.nn.Module, x: torch.Tensor) -> float:
    from torchprofile import profile_macs

    return float(profile_macs(model, x))


def calflops(model: torch.nn.Module, x: torch.Tensor) -> float:
    from calflops import calculate_flops

    return float(calculate_flops(model, tuple(x.shape), print_results=False, output_as_string=False)[1])


#: Name of the package -> how it counts multiply-accumulates.
TOOLS: dict[str, Count] = {
    "torch": torch_counter,
    "fvcore": fvcore,
    "thop": thop,
    "ptflops": ptflops,
    "torchinfo": torchinfo,
    "deepspeed": deepspeed,
    "torchprofile": torchprofile,
    "calflops": calflops,
}


def build(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """A real model with random weights, and an input for it."""
    zoo, _, rest = name.rpartition(":")
    if zoo == "timm":
        import timm

        model = timm.create_model(rest)
        return model.eval(), torch.randn(1, *model.pretrained_cfg["input_size"])
    import torchvision

    (x,) = load(name).inputs
    try:  # only models with a backbone take weights for it, and want to fetch some
        model = torchvision.models.get_model(rest, weights=None, weights_backbone=None)
    except (TypeError, ValueError):
        model = torchvision.models.get_model(rest, weights=None)
    return model.eval(), torch.randn(x.shape)


def run(tools: list[str]) -> None:
    """Count every model with these tools; what is known already is not done again."""
    known = {(each["tool"], each["model"]) for each in read()}

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took longer than {SECONDS} s")

    signal.signal(signal.SIGALRM, stop)
    for tool in tools:
        for name in MACS:
            if (tool, name) in known:
                continue
            found: dict[str, Any] = {"tool": tool, "version": version(tool), "model": name, "macs": None, "error": None}
            signal.alarm(SECONDS)
            try:
                with redirect_stdout(StringIO()), redirect_stderr(StringIO()), torch.no_grad():
                    found["macs"] = TOOLS[tool](*build(name))
            except Exception as error:  # whatever a tool meets is its result
                found["error"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:120]
            finally:
                signal.alarm(0)
            with RESULTS.open("a") as file:
                file.write(json.dumps(found) + "\n")


def read() -> list[dict[str, Any]]:
    """What is known."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def table() -> str:
    """The page."""
    results = read()
    versions = {each["tool"]: each["version"] for each in results}
    counts = {(each["tool"], each["model"]): each for each in results}
    tools = [tool for tool in TOOLS if tool in versions]

    def share(tool: str, near: float) -> str:
        found = {name: counts.get((tool, name), {}).get("macs") for name in MACS}
        return str(sum(macs is not None and abs(macs / MACS[name] - 1) <= near for name, macs in found.items()))

    def cell(tool: str, name: str) -> str:
        found = counts.get((tool, name))
        if found is None or found["macs"] is None:
            return "-" if found is None else "fails"
        ratio = found["macs"] / MACS[name]
        return f"{found['macs'] / 1e9:.3f}" + (f" (x {ratio:.2f})" if abs(ratio - 1) > 0.01 else "")

    lines = [
        "# What other counters say",
        "",
        f"GMACs of {len(MACS)} models, most families once, with their default input and a batch of one; a ratio to the",
        "first column stands where a figure is more than 1 % off. The first column is thoplw with",
        '`convention="macs"`, which real execution confirmed to the unit (`tests/oracle.py`). Other definitions',
        "explain many small differences: biases, norms and activations count in some tools.",
        "",
        f"{date.today().isoformat()}; " + ", ".join(f"{tool} {versions[tool]}" for tool in tools) + ". "
        "Written by `benchmarks/accuracy.py`; `torch` is its FlopCounterMode on the meta device, halved.",
        "",
        "| | " + " | ".join(tools) + " |",
        "|---|" + "--:|" * len(tools),
        "| equal to the unit | " + " | ".join(share(tool, 0) for tool in tools) + " |",
        "| within 1 % | " + " | ".join(share(tool, 0.01) for tool in tools) + " |",
        "| within 10 % | " + " | ".join(share(tool, 0.1) for tool in tools) + " |",
        "",
        "| model | thoplw | " + " | ".join(tools) + " |",
        "|---|--:|" + "--:|" * len(tools),
        *(
            f"| {name} | {macs / 1e9:.3f} | " + " | ".join(cell(tool, name) for tool in tools) + " |"
            for name, macs in MACS.items()
        ),
    ]
    failures = [each for each in results if each["error"]]
    if failures:
        lines += ["", "## What fails", "", "| tool | model | error |", "|---|---|---|"]
        lines += [f"| {e['tool']} | {e['model']} | {e['error'].replace('|', ' ')} |" for e in failures]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:] or list(TOOLS))
    elif sys.argv[1:] == ["table"]:
        sys.stdout.write(table())
    else:
        sys.exit(__doc__)
