"""Shape rules of normalisation and softmax: the shape stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes import layouts
from thoplw.shapes.common import FLOATING, Shape, axis, dense, laid_out

_HALVES = frozenset({"float16", "bfloat16"})


def _laid_out(x: TensorSpec, strides: Shape) -> TensorSpec | None:
    return None if x.dtype not in FLOATING or 0 in x.shape else laid_out(x, strides)


def _agree(x: TensorSpec, shape: Shape, *weights: TensorSpec | None) -> bool:
    """Whether all of these (that are there) have this shape, and the dtype of the input."""
    for each in weights:  # noqa: SIM110 # all() and a generator take as long as the rest of a rule
        if each is not None and (each.shape != shape or each.dtype != x.dtype):
            return False
    return True


def batch_norm(
    x: TensorSpec,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    mean: TensorSpec | None,
    var: TensorSpec | None,
    training: bool,
    *options: Any,
) -> TensorSpec | None:
    """``[N, C, *] -> [N, C, *]``."""
    if len(x.shape) < 2 or (mean is None) != (var is None) or (mean is None and not training):
        return None
    return _laid_out(x, layouts.batch_norm(x)) if _agree(x, x.shape[1:2], weight, bias, mean, var) else None


def native_batch_norm(x: TensorSpec, *given: Any) -> tuple[TensorSpec, TensorSpec, TensorSpec] | None:
    """``[N, C, *] -> [N, C, *] [C] [C]``, the last two empty in evaluation, where meta kernels fill them.

    Under autocast they have the dtype of weights and statistics, which is wider.
    """
    wider = x.dtype in _HALVES and {each.dtype for each in given[:4] if each is not None} == {"float32"}
    dtype = "float32" if wider else x.dtype
    out = batch_norm(replace(x, dtype=dtype), *given)
    if out is None:
        return None
    size = (x.shape[1],) if given[4] else (0,)
    kept = TensorSpec(shape=size, dtype=dtype, strides=(1,))
    return replace(out, dtype=x.dtype), kept, kept


def layer_norm(
    x: TensorSpec, shape: Shape, weight: TensorSpec | None = None, bias: TensorSpec | None = None, *options: Any
) -> TensorSpec | None:
    """``[*, *shape] -> [*, *shape]``, contiguous whatever came in."""
    size = tuple(shape)
    if not size or x.shape[-len(size) :] != size:
        return None
    return _laid_out(x, dense(x.shape)) if _agree(x, size, weight, bias) else None


def rms_norm(x: TensorSpec, shape: Shape, weight: TensorSpec | None = None, *options: Any) -> TensorSpec | None:
    """``[*, *shape] -> [*, *shape]``, with channels last in memory where they were.

    Composed of ``x * rsqrt(mean(x**2) + eps)``, whose strides stay where they differ from contiguous ones in dimensions
    of one element only.
    """
    out = layer_norm(x, shape, weight)
    if out is None:
        return None
    several = math.prod(shape) > 1  # else the mean has the shape of the input
    steps = layouts.in_order_of(x.shape, [x.strides]) if several else layouts.iterated(x.shape, x)
    composed = replace(x, strides=steps)
    if weight is not None:
        composed = replace(x, strides=layouts.iterated(x.shape, composed, weight))
    suggested = layouts.suggested(x, x.shape)
    return _laid_out(x, composed.strides if layouts.lies(composed, suggested) else suggested)


def group_norm(
    x: TensorSpec, groups: int, weight: TensorSpec | None = None, bias: TensorSpec | None = None, *options: Any
) -> TensorSpec | None:
    """``[N, C, *] -> [N, C, *]``, with channels last in memory where they were."""
    if len(x.shape) < 2 or groups < 1 or x.shape[1] % groups:
        return None
    return _laid_out(x, layouts.suggested(x, x.shape)) if _agree(x, x.shape[1:2], weight, bias) else None


def softmax(x: TensorSpec, dim: int, dtype: Any = None) -> TensorSpec | None:
    """``[*] -> [*]``, contiguous whatever came in.

    The kernel's third argument, a conversion from half to float, is false where it is plain.
    """
    return _laid_out(x, dense(x.shape)) if not dtype and axis(dim, len(x.shape)) is not None else None


RULES: Mapping[str, Callable[..., Any]] = {
    "batch_norm": batch_norm,
    "native_batch_norm": native_batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "rms_norm": rms_norm,
    "softmax": softmax,
    "_softmax": softmax,
    "log_softmax": softmax,
}
