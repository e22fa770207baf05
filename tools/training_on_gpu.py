"""On a GPU: the operators that training steps really run there, beside what ``device="cuda"`` said without running.

::

    python tools/training_on_gpu.py [--seconds 120] [--device cpu]

First the ways to train of ``checks/training_variants.py``, then models of all zoos, the cheapest first, in float32 and
with autocast to bfloat16, until the time is up. ``thoplw.count`` sees the operators of a real step; equal means the
same multiply-accumulates by phase. A line for each that differs, with the operators; the last line says how many there
were.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_map

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.sweep import in_short  # noqa: E402
from checks.training_variants import VARIANTS, total, train  # noqa: E402
from checks.training_zoo import build, loss_of, models  # noqa: E402

import thoplw  # noqa: E402

Built = tuple[torch.nn.Module, Any, Callable[[Any], torch.Tensor], dict[str, Any]]


def cases() -> Iterator[tuple[str, Callable[[], Built]]]:
    """What is trained: its name, and how a model, its inputs, a loss and options are made."""
    for name, variant in VARIANTS.items():
        if not variant.second_order:
            yield name, lambda variant=variant: (*variant.build(), total, variant.options)
    for name in models():
        for autocast in (None, torch.bfloat16):
            options = {"optimizer": torch.optim.AdamW, "autocast": autocast}
            yield f"{name} {autocast or ''}", lambda name=name, options=options: (*build(name), loss_of, options)


def compared(make: Callable[[], Built], device: str) -> str:
    """``equal``, or what differs."""
    model, inputs, loss, options = make()
    told = thoplw.profile_training(model, inputs, loss=loss, device=device, verbose=False, **options)
    inputs = tree_map(lambda each: each.to(device) if isinstance(each, torch.Tensor) else each, inputs)
    given = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    model = model.to(device)
    with torch.device(device), thoplw.count(convention="macs") as counted:
        train(model, *given, options, loss, device)
    seen = counted.layer_info
    if told.by_phase() == seen.by_phase():
        return "equal"
    operators = [Counter(dict(info.by_operator())) for info in (told, seen)]
    more, less = (dict(one - other) for one, other in (operators, operators[::-1]))
    return f"{told.by_phase()} for {seen.by_phase()}; told alone {more}; seen alone {less}"


def lines(seconds: float, device: str) -> Iterator[str]:
    """What differs, until the time is up, and at last one line for all."""
    end = time.monotonic() + seconds
    found: Counter[str] = Counter()
    for name, make in cases():
        if time.monotonic() > end:
            yield f"the time is up at {name}"
            break
        try:
            said = compared(make, device)
        except Exception as error:
            said = f"failed: {in_short(error)}"
        found[said.partition(":")[0] if said.startswith(("equal", "failed")) else "different"] += 1
        if said != "equal":
            yield f"{name}: {said}"
    yield f"{torch.cuda.get_device_name() if device == 'cuda' else device}, torch {torch.__version__}: {dict(found)}"


def main() -> None:
    """Read the command line, and write lines as they come."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--device", default="cuda", help="where it really runs")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for line in lines(options.seconds, options.device):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
