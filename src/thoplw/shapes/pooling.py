"""Shape rules of pooling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import FLOATING, QUANTISED, Shape, pair
from thoplw.shapes.layouts import suggested


def _pool(
    x: TensorSpec, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil: bool
) -> TensorSpec | None:
    if len(x.shape) != 4 or x.dtype not in FLOATING | QUANTISED or 0 in x.shape:
        return None
    windows = (kernel, stride, padding, dilation)
    if any(len(each) != 2 for each in windows) or min(*kernel, *stride, *dilation) < 1 or min(padding) < 0:
        return None
    out = []
    for size, window, step, pad, reach in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        if 2 * pad > window:
            return None
        covered = size + 2 * pad - reach * (window - 1) - 1
        count = (covered + (step - 1 if ceil else 0)) // step + 1
        # A window that ceil_mode adds must begin inside the input or its left padding.
        out.append(count - 1 if ceil and (count - 1) * step >= size + pad else count)
    return _laid_out(x, (*x.shape[:2], *out)) if min(out) > 0 else None


def _laid_out(x: TensorSpec, shape: Shape) -> TensorSpec:
    """With channels last in memory where they were."""
    return TensorSpec(shape=shape, dtype=x.dtype, strides=suggested(x, shape))


def max_pool2d(
    x: TensorSpec,
    kernel: int | Shape,
    stride: int | Shape = (),
    padding: int | Shape = 0,
    dilation: int | Shape = 1,
    ceil_mode: bool = False,
) -> TensorSpec | None:
    """``[N, C, H, W] -> [N, C, H', W']``."""
    window = pair(kernel, 2)
    return _pool(x, window, pair(stride, 2) or window, pair(padding, 2), pair(dilation, 2), ceil_mode)


def avg_pool2d(
    x: TensorSpec,
    kernel: int | Shape,
    stride: int | Shape = (),
    padding: int | Shape = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> TensorSpec | None:
    """``[N, C, H, W] -> [N, C, H', W']``."""
    if divisor_override == 0:
        return None
    window = pair(kernel, 2)
    return _pool(x, window, pair(stride, 2) or window, pair(padding, 2), (1, 1), ceil_mode)


def adaptive_avg_pool2d(x: TensorSpec, size: Shape) -> TensorSpec | None:
    """``[N, C, H, W] -> [N, C, *size]``, with channels last in memory where they were."""
    if len(x.shape) != 4 or x.dtype not in FLOATING | QUANTISED or 0 in x.shape or len(size) != 2 or min(size) < 1:
        return None
    return _laid_out(x, (*x.shape[:2], *size))


RULES: Mapping[str, Callable[..., Any]] = {
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
}
