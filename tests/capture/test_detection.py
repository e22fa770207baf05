"""Detection models that read the boxes which they found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection.roi_heads import RoIHeads

import thoplw


@pytest.mark.parametrize("build", [detection.maskrcnn_resnet50_fpn, detection.keypointrcnn_resnet50_fpn])
def test_boxes_cover_their_picture(build: Callable[..., nn.Module]) -> None:
    torch.manual_seed(0)  # a box without an area is dropped for real
    model = build(
        weights=None,
        weights_backbone=None,
        min_size=64,
        max_size=64,
        rpn_pre_nms_top_n_test=5,
        rpn_post_nms_top_n_test=5,
        rpn_nms_thresh=1.0,
        box_nms_thresh=1.0,
        box_score_thresh=0.0,
        box_detections_per_img=3,
    )
    x, before = [torch.rand(3, 48, 64)], RoIHeads.postprocess_detections
    macs, _, info = thoplw.profile(model, (x,), convention="macs", verbose=False)
    assert "boxes that are found cover their picture" in info.assumptions
    assert not info.uncounted
    # These settings keep every candidate in a real run too.
    assert thoplw.profile(model, (x,), convention="macs", execute=True, verbose=False)[0] == macs
    assert RoIHeads.postprocess_detections is before


def test_where_nothing_reads_boxes_nothing_is_assumed_of_them() -> None:
    model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    _, _, info = thoplw.profile(model, ([torch.rand(3, 64, 64)],), verbose=False)
    assert list(info.assumptions) == ["every candidate is kept"]
