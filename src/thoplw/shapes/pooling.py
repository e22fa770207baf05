"""Shape rules of pooling and of its opposite, upsampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import FLOATING, QUANTISED, Shape, pair
from thoplw.shapes.layouts import suggested

#: The dtypes that pooling is known of.
_POOLED = FLOATING | QUANTISED


def _pool(
    x: TensorSpec, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil: bool
) -> TensorSpec | None:
    if len(x.shape) != 4 or x.dtype not in _POOLED or 0 in x.shape:
        return None
    if (
        not len(kernel) == len(stride) == len(padding) == len(dilation) == 2
        or min(*kernel, *stride, *dilation) < 1
        or min(padding) < 0
    ):
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
    if len(x.shape) != 4 or x.dtype not in _POOLED or 0 in x.shape or len(size) != 2 or min(size) < 1:
        return None
    return _laid_out(x, (*x.shape[:2], *size))


def upsample(x: TensorSpec, size: Shape | None, *options: Any) -> TensorSpec | None:
    """``[N, C, *] -> [N, C, *size]``, or larger by the factors that come last, with channels last where they were."""
    rank = len(x.shape) - 2
    if rank < 1 or x.dtype not in FLOATING or 0 in x.shape[1:]:  # nothing but the batch may be empty
        return None
    if size is None:
        factors = options[-1] if options else None
        if not isinstance(factors, tuple):
            return None
        scaled = [each * factor for each, factor in zip(x.shape[2:], factors, strict=False)]
        if any(0 < abs(each - round(each)) < 1e-4 for each in scaled):  # torch rounds to single precision first
            return None
        size = tuple(map(int, scaled))
    return _laid_out(x, (*x.shape[:2], *size)) if len(size) == rank and min(size) > 0 else None


def _upsample_of(rank: int, x: TensorSpec, size: Shape | None, *options: Any) -> TensorSpec | None:
    return upsample(x, size, *options) if len(x.shape) == rank + 2 else None


RULES: Mapping[str, Callable[..., Any]] = {
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    **{
        name: partial(_upsample_of, int(name[-2]))
        for name in (
            "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_bicubic2d "
            "upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d "
            "upsample_trilinear3d"
        ).split()
    },
}
