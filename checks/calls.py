"""Records made by hand, for the case tables of the formulas."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import Any

from thoplw.formulas import FORMULAS
from thoplw.record import Call, TensorSpec, Work

#: A call, the multiply-accumulates it takes, and its floating-point operations.
Case = tuple[Call, int, int]


def f32(*shape: int) -> TensorSpec:
    """A contiguous float tensor."""
    strides = tuple(accumulate(shape[:0:-1], lambda a, b: a * b, initial=1))[::-1] if shape else ()
    return TensorSpec(shape=shape, dtype="float32", strides=strides)


def c64(*shape: int) -> TensorSpec:
    """A contiguous tensor of complex numbers."""
    return replace(f32(*shape), dtype="complex64")


def call(name: str, *args: Any, out: Any, overload: str = "default") -> Call:
    """``name(*args)`` that returned ``out``; a name without a library is of ``aten``."""
    return Call(target=name if "." in name else f"aten.{name}", overload=overload, args=args, output=out)


def check(case: Case) -> None:
    """The formula says what the case does."""
    record, macs, flops = case
    formula = FORMULAS[record.target]
    assert formula is not None
    assert formula(record) == Work(macs=macs, flops=flops)
