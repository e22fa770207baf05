"""Shape rules of what runs in training only, most often: torch's own meta kernels of these take it long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import contiguous, is_contiguous

_REAL = frozenset({"float32", "float64"})


def batch_norm(
    x: TensorSpec,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    mean: TensorSpec | None,
    var: TensorSpec | None,
    training: bool,
    *options: Any,
) -> Any:
    """``[N, C, *] -> [N, C, *] [C] [C]``: with statistics of the batch, and these."""
    if not training or not _fits(x, x, weight, bias, mean, var) or (mean is None) != (var is None):
        return None
    channels = contiguous(x.shape[1:2], x.dtype)
    return contiguous(x.shape, x.dtype), channels, channels


def batch_norm_backward(
    gradient: TensorSpec,
    x: TensorSpec,
    weight: TensorSpec | None,
    mean: TensorSpec | None,
    var: TensorSpec | None,
    saved_mean: TensorSpec | None,
    saved_scale: TensorSpec | None,
    training: bool,
    epsilon: float,
    mask: tuple[bool, ...],
) -> Any:
    """``[N, C, *] [N, C, *] -> [N, C, *] [C] [C]``: all three gradients."""
    known = (weight, saved_mean, saved_scale)
    if not training or not all(mask) or None in known or not _fits(gradient, x, *known, mean, var):
        return None
    channels = contiguous(x.shape[1:2], x.dtype)
    return contiguous(x.shape, x.dtype), channels, channels


def _fits(gradient: TensorSpec, x: TensorSpec, *channels: TensorSpec | None) -> bool:
    """Whether two images are contiguous and alike, and the rest has a number of the same type for each channel."""
    return (
        len(x.shape) > 1
        and x.numel > 0
        and x.dtype in _REAL
        and is_contiguous(x, gradient, *channels)
        and (gradient.shape, gradient.dtype) == (x.shape, x.dtype)
        and all(each is None or (each.shape == x.shape[1:2] and each.dtype == x.dtype) for each in channels)
    )


def of_activation(gradient: TensorSpec, x: TensorSpec, *options: Any) -> TensorSpec | None:
    """``[*] [*] -> [*]``."""
    alike = isinstance(x, TensorSpec) and (gradient.shape, gradient.dtype) == (x.shape, x.dtype)
    plain = alike and x.numel > 0 and x.dtype in _REAL and is_contiguous(gradient, x)
    return contiguous(x.shape, x.dtype) if plain else None


RULES: Mapping[str, Callable[..., Any]] = {
    "native_batch_norm": batch_norm,
    "native_batch_norm_backward": batch_norm_backward,
    "hardswish_backward": of_activation,
    "sigmoid_backward": of_activation,
    "silu_backward": of_activation,
    "tanh_backward": of_activation,
    "threshold_backward": of_activation,
}
