"""Detection models that read the boxes which they found."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import detection
from torchvision.models.detection.roi_heads import RoIHeads

import thoplw

COVER = "boxes that are found cover their picture"


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
    assert COVER in info.assumptions
    assert not info.uncounted
    # These settings keep every candidate in a real run too.
    assert thoplw.profile(model, (x,), convention="macs", execute=True, verbose=False)[0] == macs
    assert RoIHeads.postprocess_detections is before


FEW = {"weights": None, "weights_backbone": None, "min_size": 64, "max_size": 64}
FEW_OF_TWO = FEW | {
    "rpn_pre_nms_top_n_test": 5,
    "rpn_post_nms_top_n_test": 5,
    "rpn_nms_thresh": 1.0,
    "box_nms_thresh": 1.0,
    "box_score_thresh": 0.0,
    "box_detections_per_img": 3,
}
FEW_OF_ONE = FEW | {"score_thresh": 0.0, "nms_thresh": 1.0, "detections_per_img": 3, "topk_candidates": 5}

#: What reads the boxes that a detector found. Real runs with these settings keep every candidate too.
READS: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "int": lambda found: [[int(side) for side in box] for box in found["boxes"]],
    "tolist": lambda found: found["boxes"].round().long().tolist(),
    "certain ones": lambda found: found["boxes"][found["scores"] > -1].int().tolist(),
    "the best": lambda found: [found["boxes"][found["scores"].argmax()].int().tolist()],
    "the best two": lambda found: found["boxes"][found["scores"].topk(2)[1]].int().tolist(),
    "the largest": lambda found: [
        max(found["boxes"], key=lambda box: float((box[2:] - box[:2]).prod())).int().tolist()
    ],
}


class Crops(nn.Module):
    """Finds things in a picture, cuts them out, and looks at each again."""

    def __init__(self, detector: nn.Module, read: Callable[[dict[str, torch.Tensor]], Any]) -> None:
        super().__init__()
        self.detector, self.look, self.read = detector, nn.Conv2d(3, 4, 3), read

    def forward(self, picture: torch.Tensor) -> list[torch.Tensor]:
        (found,) = self.detector([picture])
        crops = [picture[:, y : max(b, y + 1), x : max(r, x + 1)] for x, y, r, b in self.read(found)]
        return [self.look(nn.functional.interpolate(crop[None], (8, 8))) for crop in crops]


BUILD: dict[str, Callable[[], nn.Module]] = {
    "faster": lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(**FEW_OF_TWO),
    "mask": lambda: detection.maskrcnn_resnet50_fpn(**FEW_OF_TWO),
    "retina": lambda: detection.retinanet_resnet50_fpn(**FEW_OF_ONE),
    "fcos": lambda: detection.fcos_resnet50_fpn(**FEW_OF_ONE),
    "ssdlite": lambda: detection.ssdlite320_mobilenet_v3_large(
        **{name: value for name, value in FEW_OF_ONE.items() if "size" not in name}
    ),
}


@cache
def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    return BUILD[name]()


@pytest.mark.parametrize(
    ("name", "read"), [*(("faster", read) for read in READS), *((name, "the best two") for name in [*BUILD][1:])]
)
def test_a_model_may_read_the_boxes_of_its_detector(name: str, read: str) -> None:
    model, picture = Crops(built(name), READS[read]).eval(), torch.rand(3, 48, 64)
    macs, _, info = thoplw.profile(model, picture, convention="macs", verbose=False)
    assert info.assumptions.keys() >= {COVER, "boxes that are found have a score of 1"}
    assert macs == thoplw.profile(model, picture, convention="macs", execute=True, verbose=False)[0]


def test_where_nothing_reads_boxes_nothing_is_assumed_of_them() -> None:
    model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    _, _, info = thoplw.profile(model, ([torch.rand(3, 64, 64)],), verbose=False)
    assert list(info.assumptions) == ["every candidate is kept"]
