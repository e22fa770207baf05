"""Shape rules of torchvision's operators, which have meta kernels since torchvision 0.16."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import contiguous

Two = tuple[TensorSpec, TensorSpec]


def aligned(
    x: TensorSpec, boxes: TensorSpec, scale: float, height: int, width: int, *options: Any
) -> TensorSpec | None:
    """``[N, C, H, W] [R, 5] -> [R, C, height, width]``."""
    if len(x.shape) != 4 or len(boxes.shape) != 2 or x.dtype != boxes.dtype:
        return None
    return contiguous((boxes.shape[0], x.shape[1], height, width), x.dtype)


def pooled(x: TensorSpec, boxes: TensorSpec, scale: float, height: int, width: int) -> Two | None:
    """The same, and which element of ``[H, W]`` each is."""
    cut = aligned(x, boxes, scale, height, width)
    return None if cut is None else (cut, contiguous(cut.shape, "int32"))


def by_part(x: TensorSpec, boxes: TensorSpec, scale: float, height: int, width: int, *options: Any) -> Two | None:
    """``[N, C, H, W] [R, 5] -> [R, C / (height * width), height, width]``, and which channel each is of."""
    cut = aligned(x, boxes, scale, height, width)
    if cut is None or x.shape[1] % (height * width):
        return None
    shape = (boxes.shape[0], x.shape[1] // (height * width), height, width)
    return contiguous(shape, x.dtype), contiguous(shape, "int32")


def deform_conv2d(x: TensorSpec, weight: TensorSpec, offset: TensorSpec, *options: Any) -> TensorSpec | None:
    """``[N, C, H, W] [O, C, kh, kw] [N, 2 * kh * kw, H', W'] -> [N, O, H', W']``."""
    if len(x.shape) != 4 or len(offset.shape) != 4 or len(weight.shape) != 4:
        return None
    return contiguous((x.shape[0], weight.shape[0], *offset.shape[2:]), x.dtype)


RULES: Mapping[str, Callable[..., Any]] = {
    "torchvision.deform_conv2d": deform_conv2d,
    "torchvision.ps_roi_align": by_part,
    "torchvision.ps_roi_pool": by_part,
    "torchvision.roi_align": aligned,
    "torchvision.roi_pool": pooled,
}
