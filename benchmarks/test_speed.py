"""How long a profile takes, beside the model's own forward on the meta device: ``pytest benchmarks``.

Every profile is a cold one: nothing is kept from one to the next.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from checks.llama import LLAMA_405B, on_meta

import thoplw

pytestmark = pytest.mark.timing

IMAGE = (1, 3, 224, 224)


def build(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return getattr(torchvision.models, name)().eval()


@pytest.mark.parametrize("what", ["forward", "profile"])
@pytest.mark.parametrize("name", ["resnet18", "resnet152", "vit_b_16"])
def test_beside_forward(benchmark: Any, name: str, what: str) -> None:
    model = build(name)
    image = torch.empty(IMAGE, device="meta")
    benchmark.group = name
    if what == "profile":
        benchmark.pedantic(thoplw.profile, (model, image), rounds=20, warmup_rounds=1)
    else:
        benchmark.pedantic(model, (image,), rounds=20, warmup_rounds=1)


def test_llama_405b(benchmark: Any) -> None:
    model, tokens = on_meta(LLAMA_405B), torch.zeros(1, 128, dtype=torch.long)
    benchmark.group = "Llama 405B"
    benchmark.pedantic(thoplw.profile, (model, tokens), rounds=5, warmup_rounds=1)
