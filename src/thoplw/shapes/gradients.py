"""Shape rules of what runs in training only, most often: torch's own meta kernels of these take it long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import Shape, axis, contiguous, is_contiguous

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


def layer_norm(x: TensorSpec, shape: Shape, weight: TensorSpec | None, bias: TensorSpec | None, epsilon: float) -> Any:
    """``[*, *shape] -> [*, *shape] [*, 1] [*, 1]``: with the statistics of every position."""
    if not _normalises(x, shape, weight, bias):
        return None
    positions = contiguous((*x.shape[: -len(shape)], *[1] * len(shape)), x.dtype)
    return contiguous(x.shape, x.dtype), positions, positions


def layer_norm_backward(
    gradient: TensorSpec,
    x: TensorSpec,
    shape: Shape,
    mean: TensorSpec,
    scale: TensorSpec,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    mask: tuple[bool, ...],
) -> Any:
    """``[*, *shape] [*, *shape] -> [*, *shape] [*shape] [*shape]``: all three gradients."""
    if weight is None or bias is None or not all(mask) or not _normalises(x, shape, weight, bias):
        return None
    positions = (*x.shape[: -len(shape)], *[1] * len(shape))
    alike = (gradient.shape, gradient.dtype) == (x.shape, x.dtype) and is_contiguous(gradient, mean, scale)
    if not alike or {(each.shape, each.dtype) for each in (mean, scale)} != {(positions, x.dtype)}:
        return None
    features = contiguous(tuple(shape), x.dtype)
    return contiguous(x.shape, x.dtype), features, features


def _normalises(x: TensorSpec, shape: Shape, *weights: TensorSpec | None) -> bool:
    """Whether the last dimensions are ``shape``, all is contiguous, and weights are of the same type."""
    return (
        len(shape) > 0
        and x.shape[-len(shape) :] == tuple(shape)
        and x.numel > 0
        and x.dtype in _REAL
        and is_contiguous(x, *weights)
        and all(each is None or (each.shape, each.dtype) == (tuple(shape), x.dtype) for each in weights)
    )


def softmax_backward(gradient: TensorSpec, output: TensorSpec, dim: int, dtype: Any) -> TensorSpec | None:
    """``[*] [*] -> [*]``."""
    if axis(dim, len(output.shape)) is None or dtype.name != output.dtype:
        return None
    return of_activation(gradient, output)


def of_activation(gradient: TensorSpec, x: TensorSpec, *options: Any, **more_options: Any) -> TensorSpec | None:
    """``[*] [*] -> [*]``."""
    alike = isinstance(x, TensorSpec) and (gradient.shape, gradient.dtype) == (x.shape, x.dtype)
    plain = alike and x.numel > 0 and x.dtype in _REAL and is_contiguous(gradient, x)
    return contiguous(x.shape, x.dtype) if plain else None


RULES: Mapping[str, Callable[..., Any]] = {
    "mish_backward": of_activation,
    "native_batch_norm": batch_norm,
    "native_batch_norm_backward": batch_norm_backward,
    "native_layer_norm": layer_norm,
    "native_layer_norm_backward": layer_norm_backward,
    "_softmax_backward_data": softmax_backward,
    "_log_softmax_backward_data": softmax_backward,
    "gelu_backward": of_activation,
    "hardswish_backward": of_activation,
    "sigmoid_backward": of_activation,
    "silu_backward": of_activation,
    "tanh_backward": of_activation,
    "threshold_backward": of_activation,
}
