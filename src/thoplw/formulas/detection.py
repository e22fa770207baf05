"""Operators of object detection, from torchvision: no contractions."""

from __future__ import annotations

from thoplw.formulas.common import Table, elements
from thoplw.record import Call, Work

#: Intersection of two boxes: 4 minima or maxima, 2 differences, 2 comparisons with zero, a product; then union (2),
#: ratio and comparison.
_OVERLAP = 13

#: A bilinear sample: 4 + 2 multiply-accumulates, as in :mod:`thoplw.formulas.interpolation`.
_SAMPLE = 12


def suppression(call: Call) -> Work:
    """``[N, 4] [N] -> [kept]``: the overlap of each pair, as if no box was suppressed early."""
    boxes = call.args[0].shape[0]
    return Work(flops=_OVERLAP * boxes * (boxes - 1) // 2)


def sampling(ratio: int) -> int:
    """Operations for each value of a region that is sampled ``ratio^2`` times, or 4 times if that adapts to the box."""
    return (ratio if ratio > 0 else 2) ** 2 * (_SAMPLE + 1)


def aligned(call: Call) -> Work:
    """``[N, C, H, W] [R, 5] -> [R, C, h, w]``: ``sampling_ratio^2`` samples per output.

    He et al., "Mask R-CNN" (2017), section 3.
    """
    return Work(flops=elements(call) * sampling(call.arg(5, -1)))


def pooled(call: Call) -> Work:
    """``[N, C, H, W] [R, 5] -> [R, C, h, w]``: a comparison per element of a window, about one per input element."""
    return Work(flops=max(elements(call), call.args[0].numel))


FORMULAS: Table = {
    "torchvision.nms": suppression,
    "torchvision.roi_align": aligned,
    "torchvision.ps_roi_align": aligned,
    "torchvision.roi_pool": pooled,
    "torchvision.ps_roi_pool": pooled,
}
