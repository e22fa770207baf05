"""A model that no machine at hand could hold, against algebra."""

from __future__ import annotations

import pytest
import torch
from checks.llama import LLAMA_405B, on_meta

import thoplw

C = LLAMA_405B
KV = C.kv_heads * C.head
PROJECTIONS = 2 * C.hidden * C.hidden + 2 * C.hidden * KV
MLP = 3 * C.hidden * C.ffn
BATCH, TOKENS = 2, 128


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return on_meta(C)


def test_macs_and_params(model: torch.nn.Module) -> None:
    macs, params, info = thoplw.profile(
        model, torch.zeros(BATCH, TOKENS, dtype=torch.long), convention="macs", strict=True
    )
    attention = 2 * C.heads * TOKENS * TOKENS * C.head  # queries by keys, then by values; in full though causal
    per_token = C.layers * (PROJECTIONS + MLP) + C.hidden * C.vocabulary
    assert macs == BATCH * (TOKENS * per_token + C.layers * attention)
    assert params == 405_853_388_800  # as published: 405B
    assert params == C.layers * (PROJECTIONS + MLP + 2 * C.hidden) + 2 * C.hidden * C.vocabulary + C.hidden
    assert not info.not_executed
    # Seven linear layers and two norms a block, and each attention itself; embedding, last norm and output.
    assert len(info) == 10 * C.layers + 3


def test_with_softmax(model: torch.nn.Module) -> None:
    inputs = torch.zeros(BATCH, TOKENS, dtype=torch.long)
    bare, _, _ = thoplw.profile(model, inputs, convention="macs")
    macs, _, _ = thoplw.profile(model, inputs)
    assert macs - bare == BATCH * C.layers * C.heads * TOKENS * TOKENS  # no biases; norms in parts are elementwise
