"""The mirror of torchinfo, against what was recorded of it, and the record against torchinfo itself."""

from __future__ import annotations

import pytest
from tests.pricing import peers

#: Model -> why the two differ there; docs/mirrors/torchinfo.md has more.
EXCEPTIONS: dict[str, str] = {}

#: Small, so that running them for real takes seconds, and of many kinds.
SIDE_BY_SIDE = (
    "mobilenet_v3_small squeezenet1_1 shufflenet_v2_x1_0 deit_tiny_patch16_224 ghostnet_100 lstm bert upsampling"
)


@pytest.mark.parametrize("model", peers.MODELS)
def test_mirror(model: str) -> None:
    peers.check("torchinfo", model, EXCEPTIONS)


@pytest.mark.parametrize("model", SIDE_BY_SIDE.split())
def test_record(model: str) -> None:
    peers.check_side_by_side("torchinfo", model)
