"""Shape rules of linear algebra that has no meta kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import FLOATING, Shape, contiguous, dense


def reflectors(x: TensorSpec) -> tuple[TensorSpec, TensorSpec] | None:
    """``[*, M, N] -> [*, M, N] [*, min(M, N)]``, matrices column by column, as LAPACK has them."""
    if len(x.shape) < 2 or x.dtype not in FLOATING:
        return None
    *batch, rows, columns = x.shape
    turned = dense((*batch, columns, rows))
    strides: Shape = (*turned[:-2], turned[-1], turned[-2])
    return TensorSpec(shape=x.shape, dtype=x.dtype, strides=strides), contiguous((*batch, min(rows, columns)), x.dtype)


RULES: Mapping[str, Callable[..., Any]] = {"geqrf": reflectors}
