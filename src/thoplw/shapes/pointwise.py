"""Shape rules of elementwise operators, and of reductions and concatenation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from thoplw.records import TensorSpec
from thoplw.shapes.common import FLOATING, QUANTISED, SAME, Shape, axis, contiguous, is_contiguous


def unary(x: TensorSpec, *options: Any, **more_options: Any) -> TensorSpec | None:
    """``[*] -> [*]``."""
    return x if x.dtype in FLOATING | QUANTISED and is_contiguous(x) else None


def in_place(x: TensorSpec, *options: Any, **more_options: Any) -> Any:
    """``[*] -> [*]``, written where it was read; with numbers for options, as tensors have to fit."""
    plain = not any(isinstance(option, (TensorSpec, complex)) for option in options)
    return SAME if plain and x.dtype in FLOATING else None


def binary(a: Any, b: Any, alpha: float = 1, *, result: str | None = None, **options: Any) -> TensorSpec | None:
    """``[*] [*] -> [*]``, with a number or a tensor on either side; the smaller tensor is broadcast."""
    if options:
        return None
    if not isinstance(a, TensorSpec):
        a, b = b, a
    if a.dtype not in FLOATING or not is_contiguous(a) or isinstance(alpha, complex):
        return None
    if isinstance(b, TensorSpec):
        if b.dtype != a.dtype or not is_contiguous(b):
            return None
        if len(b.shape) > len(a.shape) or b.numel > a.numel:
            a, b = b, a
        aligned = zip(a.shape[len(a.shape) - len(b.shape) :], b.shape, strict=False)
        if len(b.shape) > len(a.shape) or any(small not in (1, size) for size, small in aligned):
            return None
    elif not isinstance(b, (int, float)):
        return None
    return a if result is None else contiguous(a.shape, result)


def binary_in_place(a: TensorSpec, b: Any, alpha: float = 1, **options: Any) -> Any:
    """``[*] [*] -> [*]``, written to the first."""
    return SAME if binary(a, b, alpha, **options) is a else None


def dropout(x: TensorSpec, probability: float, train: bool) -> Any:
    """``[*] -> [*]``: nothing happens in inference."""
    return None if train else SAME


def cat(tensors: tuple[TensorSpec, ...], dim: int = 0) -> TensorSpec | None:
    """``[*, A, *] [*, B, *] -> [*, A + B, *]``."""
    if not tensors:
        return None
    first = tensors[0]
    where = axis(dim, len(first.shape))
    if where is None or not is_contiguous(*tensors) or any(each.dtype != first.dtype for each in tensors):
        return None
    around = first.shape[:where], first.shape[where + 1 :]
    if any((each.shape[:where], each.shape[where + 1 :]) != around for each in tensors):
        return None
    joined = sum(each.shape[where] for each in tensors)
    return contiguous((*around[0], joined, *around[1]), first.dtype)


def reduction(x: TensorSpec, dims: Shape | int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """``[*, A, *] -> [*, *]``, or ``[*, 1, *]``."""
    if dtype is not None or x.dtype not in FLOATING or not is_contiguous(x) or 0 in x.shape:
        return None
    rank = len(x.shape)
    dims = tuple(range(rank)) if not isinstance(dims, int) and not dims else dims
    gone = {axis(dim, rank) for dim in ((dims,) if isinstance(dims, int) else dims)}
    if None in gone or (not isinstance(dims, int) and len(gone) != len(dims)):
        return None
    kept = (1 if dim in gone else size for dim, size in enumerate(x.shape) if keepdim or dim not in gone)
    return contiguous(tuple(kept), x.dtype)


def embedding(weight: TensorSpec, indices: TensorSpec, *options: Any) -> TensorSpec | None:
    """``[V, D] [*] -> [*, D]``."""
    if len(weight.shape) != 2 or not is_contiguous(indices) or indices.dtype not in ("int64", "int32"):
        return None
    return contiguous((*indices.shape, weight.shape[1]), weight.dtype)


def one_hot(indices: TensorSpec, classes: int = -1) -> TensorSpec | None:
    """``[*] -> [*, classes]``."""
    return contiguous((*indices.shape, classes), "int64") if classes > 0 and indices.dtype == "int64" else None


_UNARY = (
    "abs celu cos elu erf exp gelu hardsigmoid hardswish hardtanh leaky_relu log log_sigmoid mish neg reciprocal relu "
    "relu6 rsqrt selu sigmoid silu sin softplus sqrt square tanh"
)
_UNARY_IN_PLACE = (
    "clamp_ clamp_min_ elu_ exp_ fill_ hardsigmoid_ hardswish_ hardtanh_ leaky_relu_ mish_ neg_ relu_ relu6_ rsqrt_ "
    "selu_ sigmoid_ silu_ sqrt_ tanh_ zero_"
)

RULES: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(_UNARY.split(), unary),
    **dict.fromkeys(_UNARY_IN_PLACE.split(), in_place),
    **dict.fromkeys("add div mul sub".split(), binary),
    **dict.fromkeys("add_ div_ mul_ sub_".split(), binary_in_place),
    **dict.fromkeys("eq ge gt le lt ne".split(), partial(binary, result="bool")),
    "dropout": dropout,
    "feature_dropout": dropout,
    "cat": cat,
    "mean": reduction,
    "sum": reduction,
    "embedding": embedding,
    "one_hot": one_hot,
}
