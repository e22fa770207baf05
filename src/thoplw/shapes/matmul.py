"""Shape rules of convolutions, matrix products and attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes import layouts
from thoplw.shapes.common import FLOATING, Shape, contiguous, is_contiguous, laid_out, pair


def convolution(
    x: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None = None,
    stride: int | Shape = 1,
    padding: int | Shape | str = 0,
    dilation: int | Shape = 1,
    groups: int = 1,
) -> TensorSpec | None:
    """``[N, C, *in] [O, C / groups, *kernel] -> [N, O, *out]``."""
    rank = len(weight.shape) - 2
    if isinstance(padding, str) or groups < 1 or rank < 1 or len(x.shape) != rank + 2:
        return None
    if x.dtype != weight.dtype or 0 in weight.shape:
        return None
    samples, channels, *sizes = x.shape
    filters, depth, *kernel = weight.shape
    if channels != depth * groups or filters % groups or not channels or 0 in sizes:
        return None
    if bias is not None and (bias.shape != (filters,) or bias.dtype != x.dtype):
        return None
    steps, pads, reaches = pair(stride, rank), pair(padding, rank), pair(dilation, rank)
    if not len(steps) == len(pads) == len(reaches) == rank or min(*steps, *reaches) < 1 or min(pads) < 0:
        return None
    windows = zip(sizes, kernel, steps, pads, reaches, strict=True)
    out = [(size + 2 * pad - reach * (taps - 1) - 1) // step + 1 for size, taps, step, pad, reach in windows]
    if min(out) < 1:
        return None
    shape = (samples, filters, *out)
    return TensorSpec(shape=shape, dtype=x.dtype, strides=layouts.convolution(x, weight, shape, groups))


def convolution_kernel(
    x: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    transposed: bool,
    output_padding: Shape,
    groups: int,
    *flags: bool,
) -> TensorSpec | None:
    """As :func:`convolution`, with the arguments of the kernel, and in traced models flags of its backend."""
    return None if transposed else convolution(x, weight, bias, stride, padding, dilation, groups)


def linear(x: TensorSpec, weight: TensorSpec, bias: TensorSpec | None = None) -> TensorSpec | None:
    """``[*, K] [M, K] -> [*, M]``."""
    if len(weight.shape) != 2 or len(x.shape) < 2 or x.shape[-1] != weight.shape[1] or not is_contiguous(x):
        return None
    if x.dtype != weight.dtype or (bias is not None and (bias.shape != weight.shape[:1] or bias.dtype != x.dtype)):
        return None
    return contiguous((*x.shape[:-1], weight.shape[0]), x.dtype)


def matmul(a: TensorSpec, b: TensorSpec) -> TensorSpec | None:
    """``[*, L, K] [*, K, M] -> [*, L, M]``, batch dimensions equal."""
    if len(a.shape) < 2 or len(a.shape) != len(b.shape) or a.shape[:-2] != b.shape[:-2] or a.dtype != b.dtype:
        return None
    return contiguous((*a.shape[:-1], b.shape[-1]), a.dtype) if a.shape[-1] == b.shape[-2] else None


def bmm(a: TensorSpec, b: TensorSpec) -> TensorSpec | None:
    """``[B, L, K] [B, K, M] -> [B, L, M]``."""
    return matmul(a, b) if len(a.shape) == 3 else None


def mm(a: TensorSpec, b: TensorSpec) -> TensorSpec | None:
    """``[L, K] [K, M] -> [L, M]``."""
    return matmul(a, b) if len(a.shape) == 2 else None


def addmm(bias: TensorSpec, a: TensorSpec, b: TensorSpec, *, beta: float = 1, alpha: float = 1) -> TensorSpec | None:
    """``[M] [L, K] [K, M] -> [L, M]``."""
    out = mm(a, b)
    return out if out is not None and bias.dtype == out.dtype and bias.shape in (out.shape, out.shape[1:]) else None


def _fits(mask: TensorSpec | None, scores: Shape) -> bool:
    """Whether there is no mask, or one that is broadcast to the scores."""
    if mask is None:
        return True
    aligned = zip(reversed(mask.shape), reversed(scores), strict=False)
    return len(mask.shape) <= len(scores) and all(size in (1, wanted) for size, wanted in aligned)


def attention(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    mask: TensorSpec | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    enable_gqa: bool = False,
    **more_options: Any,
) -> TensorSpec | None:
    """``[*, L, E] [*, S, E] [*, S, V] -> [*, L, V]``: heads of the key may be fewer than the query's.

    One kernel lays its output out as the query; where torch writes attention out as products, it is contiguous.
    """
    out = _attended(query, key, value, enable_gqa) if 0 <= dropout <= 1 else None
    if out is None or not _fits(mask, (*query.shape[:-1], key.shape[-2])):
        return None
    if mask is not None and (is_causal or mask.dtype not in ("bool", query.dtype)):
        return None
    one_kernel = (
        len(query.shape) in (3, 4)
        and query.shape[-1] == value.shape[-1]
        and not dropout
        and (mask is None or len(mask.shape) in (2, len(query.shape)))
        and query.strides[-1] == key.strides[-1] == value.strides[-1] == 1
        and not (0 in query.shape or 0 in key.shape or 0 in value.shape)
    )
    return laid_out(out, layouts.preserved(query)) if one_kernel else out


def _attended(query: TensorSpec, key: TensorSpec, value: TensorSpec, may_share: bool) -> TensorSpec | None:
    """A contiguous output of attention, in which heads of the key may be shared."""
    rank = len(query.shape)
    if not 3 <= rank == len(key.shape) == len(value.shape):
        return None
    if query.dtype not in FLOATING or not query.dtype == key.dtype == value.dtype:
        return None
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2] or key.shape[:-2] != value.shape[:-2]:
        return None
    shared = may_share and rank > 3 and key.shape[-3] > 0 and query.shape[-3] % key.shape[-3] == 0
    if query.shape[: -3 if shared else -2] != key.shape[: -3 if shared else -2]:
        return None
    return contiguous((*query.shape[:-1], value.shape[-1]), query.dtype)


def flex_attention(
    query: TensorSpec, key: TensorSpec, value: TensorSpec, *options: Any
) -> tuple[TensorSpec, ...] | None:
    """As :func:`attention`, grouped queries included; with it the logarithm of each row's sum, and its maximum.

    ``[B, H, L, E] [B, H / G, S, E] [B, H / G, S, V] -> [B, H, L, V] [B, H, L] [B, H, L]``; samples may share keys.
    """
    if not len(query.shape) == len(key.shape) == len(value.shape) == 4 or query.dtype not in FLOATING:
        return None
    (batch, heads, length, _), (shared, groups) = query.shape, key.shape[:2]
    if query.shape[-1] != key.shape[-1] or key.shape[:-1] != value.shape[:-1]:
        return None
    if shared not in (1, batch) or not groups or heads % groups:
        return None
    shape = (batch, heads, length, value.shape[-1])
    rows = contiguous(shape[:-1], "float64" if query.dtype == "float64" else "float32")
    return _laid_out_as(query, shape), rows, rows


def flex_attention_backward(query: TensorSpec, key: TensorSpec, value: TensorSpec, *options: Any) -> tuple[Any, ...]:
    """The gradients of query, key and value, and of tensors that the function of scores reads, which come last but one.

    Of integers there is none.
    """
    captured = options[9] if len(options) > 9 else ()
    read = (each if isinstance(each, TensorSpec) and each.dtype in FLOATING else None for each in captured)
    gradients = (_laid_out_as(each, each.shape) for each in (query, key, value))
    return (*gradients, tuple(each and contiguous(each.shape, each.dtype) for each in read))


def _laid_out_as(query: TensorSpec, shape: tuple[int, ...]) -> TensorSpec:
    """What lies closest in the query is filled first, but the last dimension has to be that."""
    order = sorted(range(4), key=lambda dim: (query.strides[dim], -dim))
    if math.prod(shape[dim] for dim in order[: order.index(3)]) > 1:
        order = [3, *(dim for dim in order if dim != 3)]
    strides, step = [0] * 4, 1
    for dim in order:
        strides[dim] = step
        step *= shape[dim]
    return TensorSpec(shape=shape, dtype=query.dtype, strides=tuple(strides))


def grouped(
    a: TensorSpec, b: TensorSpec, offsets: TensorSpec | None = None, bias: TensorSpec | None = None, dtype: Any = None
) -> TensorSpec | None:
    """Groups along the dimension that only one operand has; the meta kernel takes bfloat16 only, the CPU's more."""
    if dtype is not None or a.dtype != b.dtype or a.shape[-1] != b.shape[-2]:
        return None
    if len(a.shape) == len(b.shape) == 2:
        return None if offsets is None else contiguous((offsets.numel, a.shape[0], b.shape[1]), a.dtype)
    if len(a.shape) == len(b.shape) == 3:
        return contiguous((a.shape[0], a.shape[1], b.shape[2]), a.dtype) if a.shape[0] == b.shape[0] else None
    return contiguous((a.shape[-2], b.shape[-1]), a.dtype)


def convolution_of(rank: int, x: TensorSpec, weight: TensorSpec, *options: Any, **more: Any) -> TensorSpec | None:
    """As :func:`convolution`, over so many dimensions and no others."""
    return convolution(x, weight, *options, **more) if len(weight.shape) == rank + 2 else None


RULES: Mapping[str, Callable[..., Any]] = {
    "conv1d": partial(convolution_of, 1),
    "conv2d": partial(convolution_of, 2),
    "conv3d": partial(convolution_of, 3),
    "convolution": convolution_kernel,
    "_convolution": convolution_kernel,
    "linear": linear,
    "_grouped_mm": grouped,
    "matmul": matmul,
    "bmm": bmm,
    "mm": mm,
    "addmm": addmm,
    "scaled_dot_product_attention": attention,
}
