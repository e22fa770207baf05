"""Boxes that torchvision's detection models read: masks are pasted, and keypoints sought, at the size of a box."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor
from thoplw.capture.run import Run

_STATEMENT = "boxes that are found cover their picture"


@contextmanager
def boxes_cover_pictures(run: Run) -> Iterator[None]:
    """Have torchvision's Mask R-CNN and Keypoint R-CNN find boxes of the size of a picture, for want of values.

    They get values where the model has chosen among its candidates. Before that boxes stay without, as candidates that
    are alike would be dropped.
    """
    heads = sys.modules.get("torchvision.models.detection.roi_heads")
    if heads is None:
        yield
        return
    cls, choose = heads.RoIHeads, heads.RoIHeads.postprocess_detections

    def with_values(boxes: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        if type(boxes) is not AbstractTensor:
            return boxes
        height, width = shape
        whole = torch.tensor([[0, 0, width, height]], dtype=boxes.dtype, device=run.device)
        return whole.repeat(boxes.shape[0], 1)

    def chosen(self: Any, logits: Any, regression: Any, proposals: Any, shapes: list[tuple[int, int]]) -> Any:
        boxes, scores, labels = choose(self, logits, regression, proposals, shapes)
        if self.has_mask() or self.has_keypoint():
            run.assume(_STATEMENT, "torchvision.nms")
            boxes = [with_values(*pair) for pair in zip(boxes, shapes, strict=True)]
        return boxes, scores, labels

    cls.postprocess_detections = chosen
    try:
        yield
    finally:
        cls.postprocess_detections = choose
