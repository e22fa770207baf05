"""Give values to the boxes that torchvision's detection models find, where somebody may read them.

Mask R-CNN and Keypoint R-CNN read them: they paste masks and seek keypoints at the size of a box. A model may also cut
what its detector found out of the picture:

    for left, top, right, bottom in self.detector([picture])[0]["boxes"].int().tolist():
        self.classify(picture[:, top:bottom, left:right])
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor
from thoplw.capture.run import Run
from thoplw.capture.scopes import ModuleScopes

_COVER = "boxes that are found cover their picture"
_CERTAIN = "boxes that are found have a score of 1"

#: Height and width.
_Size = tuple[int, int]


@contextmanager
def boxes_cover_pictures(run: Run, scopes: ModuleScopes) -> Iterator[None]:
    """Let torchvision's detection models find boxes of the size of a picture.

    An abstract run has no values of its own. Boxes get values once the detector has chosen among its candidates, and
    not before: it would drop candidates that are alike. A model that holds a detector may choose among boxes by their
    scores, so these are 1. If the detector is the whole model, nobody reads what it returns, and nothing is assumed.
    """
    detection = sys.modules.get("torchvision.models.detection")
    if detection is None:
        yield
        return
    heads, transform = detection.roi_heads.RoIHeads, detection.transform.GeneralizedRCNNTransform
    choose, resize = heads.postprocess_detections, transform.postprocess

    def covering(boxes: torch.Tensor, size: _Size) -> torch.Tensor:
        if type(boxes) is not AbstractTensor:
            return boxes
        run.assume(_COVER, "torchvision.nms")
        height, width = size
        whole = torch.tensor([[0, 0, width, height]], dtype=boxes.dtype, device=run.device)
        return whole.repeat(boxes.shape[0], 1)

    def certain(scores: torch.Tensor) -> torch.Tensor:
        if type(scores) is not AbstractTensor:
            return scores
        run.assume(_CERTAIN, "torchvision.nms")
        return torch.ones(scores.shape, dtype=scores.dtype, device=run.device)

    def chosen(self: Any, logits: Any, regression: Any, proposals: Any, sizes: list[_Size]) -> Any:
        boxes, scores, labels = choose(self, logits, regression, proposals, sizes)
        if self.has_mask() or self.has_keypoint():
            boxes = list(map(covering, boxes, sizes))
        return boxes, scores, labels

    def resized(self: Any, found: Any, sizes: list[_Size], originals: list[_Size]) -> Any:
        found = resize(self, found, sizes, originals)
        if scopes.current > 0:
            for each, size in zip(found, originals, strict=True):
                each["boxes"], each["scores"] = covering(each["boxes"], size), certain(each["scores"])
        return found

    heads.postprocess_detections, transform.postprocess = chosen, resized
    try:
        yield
    finally:
        heads.postprocess_detections, transform.postprocess = choose, resize
