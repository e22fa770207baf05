"""Models of timm: built without weights, with the inputs they are meant for."""

from __future__ import annotations

import pytest
from checks.loaded import devices, shapes

import thoplw
from thoplw.models.registry import load


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timm:resnet18", [(1, 3, 224, 224)]),
        ("timm:resnet50.a1_in1k", [(1, 3, 224, 224)]),
        ("timm:inception_v4", [(1, 3, 299, 299)]),
        ("timm:vit_tiny_patch16_384", [(1, 3, 384, 384)]),
    ],
)
def test_the_input_is_the_one_the_model_is_meant_for(name: str, expected: list[tuple[int, ...]]) -> None:
    loaded = load(name)
    assert shapes(loaded.inputs) == expected
    assert devices(loaded) == {"meta"}
    macs, _, _ = thoplw.profile(loaded.model, loaded.inputs, verbose=False)
    assert macs > 0
