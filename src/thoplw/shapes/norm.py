"""Shape rules of normalisation and softmax: the shape stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import FLOATING, Shape, axis, contiguous, is_contiguous


def _unchanged(x: TensorSpec) -> TensorSpec | None:
    return x if x.dtype in FLOATING and is_contiguous(x) and 0 not in x.shape else None


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
    if training or len(x.shape) < 2 or mean is None or var is None:
        return None
    channels = x.shape[1:2]
    agree = all(
        each is None or (each.shape == channels and each.dtype == x.dtype) for each in (weight, bias, mean, var)
    )
    return _unchanged(x) if agree else None


def layer_norm(
    x: TensorSpec, shape: Shape, weight: TensorSpec | None = None, bias: TensorSpec | None = None, *options: Any
) -> TensorSpec | None:
    """``[*, *shape] -> [*, *shape]``, contiguous whatever came in."""
    if not shape or x.shape[-len(shape) :] != tuple(shape):
        return None
    agree = all(each is None or (each.shape == tuple(shape) and each.dtype == x.dtype) for each in (weight, bias))
    return _unchanged(contiguous(x.shape, x.dtype)) if agree else None


def rms_norm(x: TensorSpec, shape: Shape, weight: TensorSpec | None = None, *options: Any) -> TensorSpec | None:
    """``[*, *shape] -> [*, *shape]``."""
    return layer_norm(x, shape, weight) if is_contiguous(x) else None


def group_norm(
    x: TensorSpec, groups: int, weight: TensorSpec | None = None, bias: TensorSpec | None = None, *options: Any
) -> TensorSpec | None:
    """``[N, C, *] -> [N, C, *]``."""
    if len(x.shape) < 2 or groups < 1 or x.shape[1] % groups:
        return None
    agree = all(each is None or (each.shape == x.shape[1:2] and each.dtype == x.dtype) for each in (weight, bias))
    return _unchanged(x) if agree else None


def softmax(x: TensorSpec, dim: int, dtype: Any = None) -> TensorSpec | None:
    """``[*] -> [*]``; the kernel's third argument, a conversion from half to float, is false where it is plain."""
    return _unchanged(x) if not dtype and axis(dim, len(x.shape)) is not None else None


RULES: Mapping[str, Callable[..., Any]] = {
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "rms_norm": rms_norm,
    "softmax": softmax,
    "_softmax": softmax,
    "log_softmax": softmax,
}
