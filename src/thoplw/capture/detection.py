"""Give values to the boxes of torchvision's detection models, which paste masks and seek keypoints at their size."""

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
    """Let torchvision's Mask R-CNN and Keypoint R-CNN find boxes of the size of a picture.

    An abstract run has no values of its own. Boxes get values once the model has chosen among its candidates, and not
    before: the model would drop candidates that are alike.
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
