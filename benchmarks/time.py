"""Whether the times of layers, and what lies between them, add up to that of the model without timers.

::

    python benchmarks/time.py [--models NAME ...] [--repeat N]

Every model runs on the CPU, with one thread, in float32, as ``thoplw.measure`` runs it: untouched and with timers in
turn. Writes ``benchmarks/time.md``.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import thoplw  # noqa: E402
from thoplw.capture.inputs import arguments  # noqa: E402
from thoplw.capture.nesting import map_tensors  # noqa: E402
from thoplw.models.registry import load  # noqa: E402

PAGE = ROOT / "benchmarks" / "time.md"

#: Models of every kind that one core runs in a second, with samples or tokens.
MODELS: dict[str, dict[str, int]] = {
    "resnet18": {},
    "resnet50": {},
    "mobilenet_v2": {},
    "mobilenet_v3_small": {"batch": 4},
    "efficientnet_b0": {},
    "densenet121": {},
    "squeezenet1_1": {"batch": 2},
    "timm:vit_tiny_patch16_224": {},
    "timm:convnext_atto": {},
    "timm:mixer_s32_224": {},
}

#: What the sum may miss, of the untouched run.
BOUND = 0.1

HEAD = """\
# Times of layers

{day}; Python {python}, torch {torch}, one thread of {hardware}. `thoplw.measure`, {repeat} runs of each kind after two
that do not count: *untouched* is the median of those without timers; *layers* and *between* are means of the middle
half of those with timers; all by the clock of the process, which stands while other programs run. The times of layers
and what lies between them add up to the untouched run within {bound:.0%} in {good} of {all} models. The load of the
machine was {load} while this ran, on {others} processors: what holds elsewhere is the sum, not its parts. Written by
`benchmarks/time.py`.

| model | calls | layers, ms | between, ms | sum, ms | untouched, ms | sum / untouched | slowest, fastest untouched |
|---|--:|--:|--:|--:|--:|--:|--:|
"""


def measured(name: str, repeat: int, **options: int) -> thoplw.Measurement:
    loaded = load(name, real=True, **options)
    args, kwargs = map_tensors(arguments(loaded.inputs, real=True), _random)
    return thoplw.measure(loaded.model, thoplw.Inputs(*args, **kwargs), repeat=repeat, clock="process")


def _random(tensor: torch.Tensor) -> Any:
    return torch.rand_like(tensor) if tensor.is_floating_point() else tensor


def line(name: str, options: dict[str, int], times: thoplw.Measurement) -> str:
    layers = sum(row.latency for row in times.rows)
    cells = [
        f"{name}{''.join(f', {key} {value}' for key, value in options.items())}",
        len(times.timed[0]),
        *(f"{1e3 * each:.1f}" for each in (layers, times.between, times.accounted, times.latency)),
        f"{times.accounted / times.latency:.3f}",
        f"{max(times.untouched) / times.latency:.2f}, {min(times.untouched) / times.latency:.2f}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = {}
    for name in options.models:
        found[name] = measured(name, options.repeat, **MODELS.get(name, {}))
        print(line(name, MODELS.get(name, {}), found[name]), flush=True)
    good = sum(abs(times.accounted / times.latency - 1) <= BOUND for times in found.values())
    head = HEAD.format(
        day=date.today().isoformat(),
        python=python_version(),
        torch=version("torch").partition("+")[0],
        hardware=_processor(),
        repeat=options.repeat,
        bound=BOUND,
        good=good,
        all=len(found),
        load=f"{os.getloadavg()[1]:.1f}",
        others=os.cpu_count(),
    )
    lines = "\n".join(line(name, MODELS.get(name, {}), times) for name, times in found.items())
    PAGE.write_text(f"{head}{lines}\n", encoding="utf-8")


def _processor() -> str:
    from thoplw.capture.machine import _name_of_processor

    return _name_of_processor(Path("/proc/cpuinfo"))


if __name__ == "__main__":
    main()
