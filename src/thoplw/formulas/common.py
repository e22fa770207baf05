"""What formulas share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from thoplw.record import Call, TensorSpec, Work

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
    return Work(flops=flops * sum([stored_elements(output) for output in call.outputs]))


def stored_elements(spec: TensorSpec) -> int:
    """Number of elements of a tensor; of a sparse one, which has no strides, those that are stored."""
    return spec.numel if spec.strides or not spec.shape else int(spec.numel * spec.density)


def product(sizes: object, rank: int) -> int:
    """Number of elements of a window given as one number for each of ``rank`` dimensions, or one for all."""
    if isinstance(sizes, int):
        return int(sizes**rank)
    if isinstance(sizes, tuple):
        return int(math.prod(sizes) ** (rank if len(sizes) == 1 else 1))
    raise TypeError(f"a window is a number or a tuple of numbers, not {sizes!r}")
