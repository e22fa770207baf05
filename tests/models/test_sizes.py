"""Models by name at other sizes than their own."""

from __future__ import annotations

import pytest
from checks.releases import working_transformers

from thoplw.models.sizes import _set_resolution, scalable


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("resnet18", ["batch", "resolution"]),
        ("fasterrcnn_mobilenet_v3_large_fpn", ["batch"]),  # it resizes pictures itself
        ("hf:distilbert", ["batch", "seq"]),
        ("hf:vit", ["batch", "resolution"]),
        ("hf:clip", ["batch", "seq"]),
    ],
)
def test_variables(name: str, variables: list[str]) -> None:
    assert list(scalable(name).ranges) == variables


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "timm:vit_tiny_patch16_224", "hf:vit"])
def test_ranges_have_the_own_resolution(name: str) -> None:
    assert all(224 in sizes for sizes in scalable(name).ranges["resolution"])


def test_inputs_have_the_sizes() -> None:
    (picture,) = scalable("resnet18").inputs(batch=3, resolution=96)
    assert (picture.shape, picture.device.type) == ((3, 3, 96, 96), "meta")
    (pictures,) = scalable("fasterrcnn_mobilenet_v3_large_fpn").inputs(batch=3)
    assert len(pictures) == 3


def test_inputs_have_the_length() -> None:
    working_transformers()
    assert scalable("hf:distilbert").inputs(batch=2, seq=7)["input_ids"].shape == (2, 7)


@pytest.mark.parametrize("name", ["vit_b_16", "timm:vit_tiny_patch16_224", "hf:vit"])
def test_what_is_built_for_a_resolution_is_built_anew(name: str) -> None:
    found = scalable(name)
    small, own = found.model(96), found.model(None)
    assert small is not own
    assert small is found.model(96)
    assert sum(weight.numel() for weight in own.parameters()) - sum(
        weight.numel() for weight in small.parameters()
    ) == ((14**2 - 6**2) * (192 if "tiny" in name else 768))


def test_positions_limit_the_length() -> None:
    working_transformers()
    assert scalable("hf:bert").ranges["seq"][0] == range(1, 513)
    assert scalable("hf:bert").own == {"batch": 1, "seq": 128}
    assert range(1, 73) in scalable("hf:clip").ranges["seq"], "of 77 positions"


def test_a_size_that_follows_from_others_is_left_alone() -> None:
    class Config:
        def __init__(self) -> None:
            self.image_size = 224

        @property
        def input_size(self) -> int:
            return 7 * 80

    config = Config()
    assert _set_resolution(config, 448) == 224
    assert (config.image_size, config.input_size) == (448, 560)
