"""Whether a profile still takes a small part of the model's own forward, and no more for each layer of a deep model.

::

    python benchmarks/speed_ratio.py    # prints a table; exits with 1 where a ratio is above its limit

Ratios of processor time within one run, as far as a machine that does other things too can tell: both sides take turns,
and of some rounds the least counts, as others can only add to it. ``benchmarks/speed.py`` measures more, and longer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision
from tabulate import tabulate

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import thoplw  # noqa: E402

IMAGE = (1, 3, 224, 224)
ROUNDS = 6

#: Model -> the part of its forward on the meta device that a profile may take: about twice what it takes today.
LIMITS = {"resnet18": 0.4, "resnet152": 0.2, "densenet201": 0.3, "vit_b_16": 0.2, "swin_t": 0.35}

#: The same of a training step with AdamW, against forward and backward.
STEPS = {"resnet18": 1.0, "vit_b_16": 1.0}

#: Layers of a shallow and of a deep model, and how many times as long a layer of the deep one may take.
DEPTHS, GROWTH = (100, 1600), 2.0

Run = Callable[[], Any]


class Ratio(NamedTuple):
    """A row of the table: times are in milliseconds."""

    what: str
    ours: float
    other: float
    ratio: float
    limit: float


def milliseconds(*runs: Run) -> list[float]:
    """What each takes of the processor: the least of some rounds, in turns."""
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS):
        for run, times in zip(runs, found, strict=True):
            start = time.process_time()
            run()
            times.append(1e3 * (time.process_time() - start))
    return [min(times) for times in found]


def beside_forward() -> Iterator[Ratio]:
    """A profile against the model's own forward on the meta device."""
    for name, limit in LIMITS.items():
        with torch.device("meta"):
            model, image = torchvision.models.get_model(name).eval(), torch.empty(IMAGE)
        profile = partial(thoplw.profile, model, IMAGE, verbose=False)
        profile()  # imports, and facts about operators
        ours, forward = milliseconds(profile, partial(model, image))
        yield Ratio(f"{name}: profile / forward", ours, forward, ours / forward, limit)


def beside_backward() -> Iterator[Ratio]:
    """A training step against the model's own forward and backward on the meta device."""
    for name, limit in STEPS.items():
        with torch.device("meta"):
            model, image = torchvision.models.get_model(name).train(), torch.empty(2, *IMAGE[1:])

        def step(model: torch.nn.Module = model, image: torch.Tensor = image) -> None:
            model(image).sum().backward()
            model.zero_grad()

        profile = partial(thoplw.profile_training, model, image, optimizer="adamw", verbose=False)
        profile()
        ours, other = milliseconds(profile, step)
        yield Ratio(f"{name}: training step / forward and backward", ours, other, ours / other, limit)


def beside_shallow() -> Ratio:
    """A deep model against a shallow one, each by the layer."""
    models = [torch.nn.Sequential(*(torch.nn.ReLU() for _ in range(depth))) for depth in DEPTHS]
    shallow, deep = milliseconds(*(partial(thoplw.profile, model, (1, 8), verbose=False) for model in models))
    ratio = (deep / DEPTHS[1]) / (shallow / DEPTHS[0])
    return Ratio(f"a layer of {DEPTHS[1]} / a layer of {DEPTHS[0]}", deep, shallow, ratio, GROWTH)


def main() -> None:
    torch.set_num_threads(1)
    rows = [*beside_forward(), *beside_backward(), beside_shallow()]
    print(tabulate(rows, ("", "ours, ms", "other, ms", "ratio", "limit"), floatfmt=".2f"))
    slow = [row.what for row in rows if row.ratio > row.limit]
    if slow:
        sys.exit(f"above the limit: {', '.join(slow)}")


if __name__ == "__main__":
    main()
