"""Shape rules of elementwise operators, and of reductions and concatenation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes import layouts
from thoplw.shapes.common import (
    FLOATING,
    QUANTISED,
    SAME,
    Shape,
    axis,
    contiguous,
    dense,
    is_contiguous,
    laid_out,
)
from thoplw.shapes.layouts import broadcast
from thoplw.shapes.views import chunks


def unary(x: TensorSpec, *options: Any, **more_options: Any) -> TensorSpec | None:
    """``[*] -> [*]``."""
    if x.dtype in FLOATING:
        return _iterated(x, x)
    return x if x.dtype in QUANTISED and is_contiguous(x) else None


def gelu(x: TensorSpec, *, approximate: str = "none") -> TensorSpec | None:
    """``[*] -> [*]``."""
    return unary(x) if approximate in ("none", "tanh") else None


def celu(x: TensorSpec, alpha: float = 1) -> TensorSpec | None:
    """``[*] -> [*]``, divided by alpha."""
    return unary(x) if alpha else None


def _iterated(a: TensorSpec, b: TensorSpec) -> TensorSpec | None:
    """The output of an elementwise kernel on two tensors, of the first one's dtype; that one, if the output equals it.

    Of a tensor and itself, it is what a kernel of one tensor returns.
    """
    if a.shape == b.shape and a.strides == b.strides == dense(a.shape):  # as most are
        return a
    shape = broadcast(a.shape, b.shape)
    if shape is None:
        return None
    strides = layouts.iterated(shape, a, b)
    return a if shape == a.shape and strides == a.strides else TensorSpec(shape=shape, dtype=a.dtype, strides=strides)


def is_finite(x: TensorSpec) -> TensorSpec | None:
    """``[*] -> [*]``: the values are compared with themselves, as NaN differs from itself."""
    return binary(x, x, result="bool") if x.dtype in FLOATING else None


def prelu(x: TensorSpec, weight: TensorSpec) -> TensorSpec | None:
    """``[N, C, *] [C] -> [N, C, *]``, or with one number for all."""
    channels = x.shape[1] if len(x.shape) > 1 else 1
    if x.dtype not in FLOATING or weight.dtype != x.dtype or weight.shape not in ((), (1,), (channels,)):
        return None
    return laid_out(x, layouts.preserved(x))


#: The dtypes of tensors of one element that may stand for a number.
_NUMERIC = FLOATING | {"int64"}

#: A Python number, as kernels of two operands see it.
_NUMBER = contiguous((), "float32")


def hardtanh(x: TensorSpec, *options: Any) -> TensorSpec | None:
    """``[*] -> [*]``, laid out like the input, as the kernel allocates its output with ``empty_like``."""
    return laid_out(x, layouts.preserved(x)) if x.dtype in FLOATING else None


def log_sigmoid(x: TensorSpec) -> TensorSpec | None:
    """``[*] -> [*]``, contiguous whatever came in."""
    return contiguous(x.shape, x.dtype) if x.dtype in FLOATING else None


def power(x: TensorSpec, exponent: Any) -> TensorSpec | None:
    """``[*] -> [*]``, with a number for an exponent."""
    return unary(x) if isinstance(x, TensorSpec) and isinstance(exponent, (int, float)) else None


def clone(x: TensorSpec, *, memory_format: Any = None) -> TensorSpec | None:
    """``[*] -> [*]``, without gaps."""
    return None if memory_format is not None or 0 in x.shape else laid_out(x, layouts.preserved(x))


def roll(x: TensorSpec, shifts: Shape | int, dims: Shape | int = ()) -> TensorSpec | None:
    """``[*] -> [*]``."""
    moves, along = ((each,) if isinstance(each, int) else each for each in (shifts, dims))
    if 0 in x.shape and len(moves) == len(along):  # comes back as a copy, whatever the dimensions are
        return laid_out(x, layouts.preserved(x))
    if len(moves) != len(along) or not moves or any(axis(dim, len(x.shape)) is None for dim in along):
        return None
    for move, dim in zip(moves, along, strict=True):  # each time two pieces change places
        where = dim % len(x.shape)
        second = move % x.shape[where]
        pieces = chunks(x, (x.shape[where] - second, second), where)
        x = laid_out(x, layouts.joined(pieces, x.shape))
    return x


def masked_fill(x: TensorSpec, mask: TensorSpec, value: Any) -> TensorSpec | None:
    """``[*] [*] -> [*]``, the mask broadcast, with a number."""
    if mask.dtype != "bool" or not isinstance(value, (int, float)) or x.dtype not in FLOATING:
        return None
    fits = is_contiguous(x, mask) and 0 not in x.shape and _reaches(mask.shape, x.shape)
    return contiguous(x.shape, x.dtype) if fits else None


def _reaches(small: Shape, large: Shape) -> bool:
    """Whether one shape is broadcast to the other, which stays as it is."""
    aligned = zip(reversed(small), reversed(large), strict=False)
    return len(small) <= len(large) and all(size in (1, wanted) for size, wanted in aligned)


def pad(x: TensorSpec, amounts: Shape, mode: str = "constant", value: float | None = None) -> TensorSpec | None:
    """``[*, A] -> [*, left + A + right]``, amounts for the last dimension first, with a number all around.

    Channels stay last in memory where they were.
    """
    if mode != "constant" or not amounts or len(amounts) % 2 or len(amounts) > 2 * len(x.shape):
        return None
    padded = list(x.shape)
    for pair in range(len(amounts) // 2):
        padded[-pair - 1] += amounts[2 * pair] + amounts[2 * pair + 1]
    if min(amounts) < 0 or 0 in x.shape or x.dtype not in FLOATING or isinstance(value, complex):
        return None
    shape = tuple(padded)
    return TensorSpec(shape=shape, dtype=x.dtype, strides=layouts.padded(shape, x, amounts))


def constant_pad(x: TensorSpec, amounts: Shape, value: float = 0) -> TensorSpec | None:
    """As :func:`pad`."""
    return pad(x, amounts, value=value)


def new_zeros(x: TensorSpec, size: Shape, **options: Any) -> TensorSpec | None:
    """``[*] -> size``, of the same dtype."""
    if x.dtype not in FLOATING or options.get("dtype") is not None or min(size, default=0) < 0:
        return None
    return contiguous(tuple(size), x.dtype)


def in_place(x: TensorSpec, *options: Any, **more_options: Any) -> Any:
    """``[*] -> [*]``, in place; options may be numbers or tensors of one element."""
    if x.dtype not in FLOATING:
        return None
    for option in options:
        if isinstance(option, complex):
            return None
        if isinstance(option, TensorSpec) and (option.shape or option.dtype not in _NUMERIC):
            return None
    return SAME


def binary(a: Any, b: Any, alpha: float = 1, *, result: str | None = None, **options: Any) -> TensorSpec | None:
    """``[*] [*] -> [*]``, with a number or a tensor on either side; the smaller tensor is broadcast."""
    if options:
        return None
    if not isinstance(a, TensorSpec):
        a, b = b, a
    if a.dtype not in FLOATING or isinstance(alpha, complex):
        return None
    if isinstance(b, TensorSpec):
        out = _iterated(a, b) if a.dtype == b.dtype else None
    else:
        out = _iterated(a, _NUMBER) if isinstance(b, (int, float)) else None
    return out if out is None or result is None else replace(out, dtype=result)


def binary_in_place(a: TensorSpec, b: Any, alpha: float = 1, **options: Any) -> Any:
    """``[*] [*] -> [*]``, written to the first."""
    if not isinstance(a, TensorSpec):
        return None
    out = binary(a, b, alpha, **options)
    return SAME if out is not None and out.shape == a.shape else None


def alike_in_place(x: TensorSpec, *operands: Any, value: Any = 1) -> Any:
    """``[*] [*] ... -> [*]``, all alike, written to the first; with numbers. What optimizers do to their states."""
    if x.dtype not in FLOATING or isinstance(value, complex):
        return None
    for each in operands:
        if not isinstance(each, TensorSpec):
            if not isinstance(each, (int, float)):
                return None
        elif (each.shape, each.dtype) != (x.shape, x.dtype):
            return None
    return SAME


def filled_like(x: TensorSpec, *, memory_format: Any = None, **options: Any) -> TensorSpec | None:
    """``[*] -> [*]``, without gaps."""
    is_usual = memory_format is None or memory_format.name == "preserve_format"
    if not is_usual or x.dtype not in FLOATING or 0 in x.shape or any(map(options.get, ("dtype", "layout"))):
        return None
    return laid_out(x, layouts.preserved(x))


def dropout(x: TensorSpec, probability: float, train: bool) -> Any:
    """``[*] -> [*]``: nothing happens in inference."""
    return SAME if not train and 0 <= probability <= 1 else None


def cat(tensors: tuple[TensorSpec, ...], dim: int = 0) -> TensorSpec | None:
    """``[*, A, *] [*, B, *] -> [*, A + B, *]``."""
    if not tensors:
        return None
    first = tensors[0]
    rank = len(first.shape)
    where = axis(dim, rank)
    if where is None:
        return None
    dtype, before, after = first.dtype, first.shape[:where], first.shape[where + 1 :]
    joined = 0
    for each in tensors:
        sizes = each.shape
        if each.dtype != dtype or len(sizes) != rank or sizes[:where] != before or sizes[where + 1 :] != after:
            return None
        joined += sizes[where]
    shape = (*before, joined, *after)
    return TensorSpec(shape=shape, dtype=dtype, strides=layouts.joined(tensors, shape))


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


_UNARY = (
    "abs cos elu erf exp hardsigmoid hardswish leaky_relu log mish neg reciprocal relu "
    "rsqrt selu sigmoid silu sin softplus sqrt square tanh"
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
    **dict.fromkeys("addcdiv_ addcmul_ lerp_".split(), alike_in_place),
    **dict.fromkeys("empty_like ones_like zeros_like".split(), filled_like),
    **dict.fromkeys("eq ge gt le lt ne".split(), partial(binary, result="bool")),
    "celu": celu,
    "gelu": gelu,
    "isfinite": is_finite,
    "hardtanh": hardtanh,
    "log_sigmoid": log_sigmoid,
    "relu6": hardtanh,
    "pow": power,
    "prelu": prelu,
    "clone": clone,
    "roll": roll,
    "masked_fill": masked_fill,
    "pad": pad,
    "constant_pad_nd": constant_pad,
    "new_zeros": new_zeros,
    "dropout": dropout,
    "dropout_": dropout,
    "feature_dropout": dropout,
    "cat": cat,
    "mean": reduction,
    "sum": reduction,
}
