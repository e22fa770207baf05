"""What formulas share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from thoplw.record import Call, Work

Formula = Callable[[Call], Work]

#: Operator (``library.name``) -> formula, or ``None`` for an operator that is free.
Table = Mapping[str, Formula | None]


def contraction(macs: int, other: int = 0) -> Work:
    """Work of ``macs`` multiply-accumulates and ``other`` floating-point operations."""
    return Work(macs=macs, flops=2 * macs + other)


def elements(call: Call) -> int:
    """Number of elements of the (first) output."""
    return call.outputs[0].numel if call.outputs else 0


def per_output(flops: int, call: Call) -> Work:
    """Work of so many floating-point operations for each element of all outputs."""
    return Work(flops=flops * sum([output.numel for output in call.outputs]))


def product(sizes: object, rank: int) -> int:
    """Number of elements of a window given as one number for each of ``rank`` dimensions, or one for all."""
    if isinstance(sizes, int):
        return int(sizes**rank)
    if isinstance(sizes, tuple):
        return int(math.prod(sizes) ** (rank if len(sizes) == 1 else 1))
    raise TypeError(f"a window is a number or a tuple of numbers, not {sizes!r}")
