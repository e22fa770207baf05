"""Every mirror says what was recorded of its tool, and the tool, where it is installed, still says so."""

from __future__ import annotations

import pytest
from checks import peers

#: Tool -> model -> why the two differ there; the pages in docs/mirrors have more.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "ptflops": {
        "swin_v2_t": "calls a softmax and the second matrix product by functions that ptflops replaces, the first by @",
        "encoder": "its layers keep the relu that they were made with, which is not the one that ptflops replaces",
    },
}

#: Small, so that running them for real takes seconds, and of many kinds.
SIDE_BY_SIDE = (
    "mobilenet_v3_small squeezenet1_1 shufflenet_v2_x1_0 deit_tiny_patch16_224 ghostnet_100 lstm bert llama encoder "
    "upsampling"
)


@pytest.mark.parametrize("model", peers.MODELS)
@pytest.mark.parametrize("tool", peers.TOOLS)
def test_mirror(tool: str, model: str) -> None:
    peers.check(tool, model, EXCEPTIONS.get(tool, {}))


@pytest.mark.parametrize("model", SIDE_BY_SIDE.split())
@pytest.mark.parametrize("tool", peers.TOOLS)
@pytest.mark.slow
def test_record(tool: str, model: str) -> None:
    peers.check_side_by_side(tool, model)
