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
    return _by_columns(x.shape, x.dtype), contiguous((*batch, min(rows, columns)), x.dtype)


def solution(a: TensorSpec, b: TensorSpec, **options: Any) -> TensorSpec | None:
    """``[*, N, N] [*, N, M] -> [*, N, M]``, matrices column by column: no meta kernel up to torch 2.0."""
    side = a.shape[-2:]
    if len(a.shape) < 2 or len(a.shape) != len(b.shape) or a.shape[:-2] != b.shape[:-2] or a.dtype != b.dtype:
        return None
    if a.dtype not in FLOATING or side[0] != side[1] or side[0] != b.shape[-2 if options.get("left", True) else -1]:
        return None
    return _by_columns(b.shape, b.dtype)


def _by_columns(shape: Shape, dtype: str) -> TensorSpec:
    *batch, rows, columns = shape
    turned = dense((*batch, columns, rows))
    return TensorSpec(shape=shape, dtype=dtype, strides=(*turned[:-2], turned[-1], turned[-2]))


RULES: Mapping[str, Callable[..., Any]] = {"geqrf": reflectors, "linalg_solve_triangular": solution}
