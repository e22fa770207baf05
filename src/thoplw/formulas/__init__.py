"""What each operator costs, from the shapes of its arguments: the one index, merged from the families.

A formula takes a :class:`~thoplw.record.Call` and returns :class:`~thoplw.record.Work`. ``None`` in its place says that
the operator is known and free. What is not in the index has no price, and a report says so.

Counting rules for ``flops``: a multiply-accumulate is 2; an addition, multiplication, division, comparison,
minimum or maximum is 1; so is a transcendental function (exp, tanh, sin, square root, ...). Moving, converting and
creating data is 0.
"""

from __future__ import annotations

from types import MappingProxyType

from thoplw.formulas import (
    attention,
    backward,
    convolution,
    detection,
    fourier,
    free,
    interpolation,
    linalg,
    matmul,
    norm,
    optimizer,
    pointwise,
    pooling,
    quantized,
    recurrent,
)
from thoplw.formulas.common import Formula, Table

__all__ = ["FAMILIES", "FORMULAS", "Formula"]


_TABLES: tuple[tuple[str, Table], ...] = (
    ("attention", attention.FORMULAS),
    ("backward", backward.FORMULAS),
    ("convolution", convolution.FORMULAS),
    ("detection", detection.FORMULAS),
    ("fourier", fourier.FORMULAS),
    ("free", free.FORMULAS),
    ("interpolation", interpolation.FORMULAS),
    ("linalg", linalg.FORMULAS),
    ("matmul", matmul.FORMULAS),
    ("norm", norm.FORMULAS),
    ("optimizer", optimizer.FORMULAS),
    ("pointwise", pointwise.FORMULAS),
    ("pooling", pooling.FORMULAS),
    ("quantized", quantized.FORMULAS),
    ("recurrent", recurrent.FORMULAS),
)


def _merge() -> MappingProxyType[str, Formula | None]:
    merged: dict[str, Formula | None] = {}
    for family, table in _TABLES:
        for target, formula in table.items():
            if target in merged:
                raise ValueError(f"operator {target!r} of formulas.{family} has a row in another family")
            merged[target] = formula
    return MappingProxyType(merged)


#: Operator (``library.name``, without the trailing underscore of in-place variants) -> formula, or ``None`` for free.
FORMULAS = _merge()

#: Operator -> the family that it is in.
FAMILIES = MappingProxyType({target: family for family, table in _TABLES for target in table})
