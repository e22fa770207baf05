"""Models of torchvision: built without weights, with the inputs they are meant for."""

from __future__ import annotations

import pytest
import torchvision
from checks.loaded import devices, shapes

import thoplw
from thoplw.models.registry import load


@pytest.mark.parametrize("name", torchvision.models.list_models())
def test_every_model_of_torchvision_is_built_without_weights(name: str) -> None:
    loaded = load(name)
    assert loaded.name == name
    assert devices(loaded) == {"meta"}
    assert shapes(loaded.inputs)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", [(1, 3, 224, 224)]),
        ("torchvision:resnet18", [(1, 3, 224, 224)]),
        ("googlenet", [(1, 3, 224, 224)]),
        ("inception_v3", [(1, 3, 299, 299)]),
        ("efficientnet_b7", [(1, 3, 600, 600)]),
        ("vit_h_14", [(1, 3, 224, 224)]),  # its default weights are for 518, but the model is built for 224
        ("fcn_resnet50", [(1, 3, 520, 520)]),
        ("r3d_18", [(1, 3, 16, 112, 112)]),
        ("raft_small", [(1, 3, 520, 960)] * 2),
        ("quantized_resnet18", [(1, 3, 224, 224)]),
    ],
)
def test_the_input_is_the_one_the_model_is_meant_for(name: str, expected: list[tuple[int, ...]]) -> None:
    loaded = load(name)
    assert shapes(loaded.inputs) == expected
    assert devices(loaded) == {"meta"}
    macs, _, _ = thoplw.profile(loaded.model, loaded.inputs, verbose=False)
    assert macs > 0


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("fasterrcnn_resnet50_fpn", 800),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", 320),
        ("ssd300_vgg16", 300),
    ],
)
def test_a_detector_takes_a_list_of_pictures(name: str, size: int) -> None:
    inputs = load(name).inputs
    assert inputs is not None
    (pictures,) = inputs
    assert isinstance(pictures, list)
    assert shapes(pictures) == [(3, size, size)]
