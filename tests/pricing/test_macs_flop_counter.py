"""``macs`` is half of what torch's own FlopCounterMode counts, on the meta device, where that has all the formulas."""

from __future__ import annotations

import pytest
import torch
from checks.releases import file_since, plain_attention_layers

import thoplw

file_since("2.1")
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402 # where there is one

MODELS = (
    "alexnet densenet121 efficientnet_b0 googlenet inception_v3 mobilenet_v3_large resnet50 "
    "resnext50_32x4d shufflenet_v2_x1_0 squeezenet1_0 swin_t vgg11_bn vit_b_16"
).split()


@pytest.mark.parametrize("name", MODELS)
def test_macs_are_half_of_the_flop_counter(name: str) -> None:
    models = pytest.importorskip("torchvision").models
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    size = 299 if name == "inception_v3" else 224
    with torch.device("meta"):
        model = models.get_model(name, weights=None, **options).eval()
        image = torch.empty(2, 3, size, size)
    # Encoder layers would run in one kernel, for which the counter has no formula.
    with torch.no_grad(), plain_attention_layers(), FlopCounterMode(display=False) as counter:
        model(image)
    macs, _, _ = thoplw.profile(model, image, verbose=False, convention="macs")
    assert 2 * macs == counter.get_total_flops()
