"""Formulas of training codes, for Llama-3-8B at 8192 tokens, against the contractions that a step runs."""

from __future__ import annotations

import pytest
import torch
from checks.llama import Config, on_meta
from checks.releases import file_since
from torch import nn

import thoplw

file_since("2.4")

C = Config(hidden=4096, ffn=14336, layers=32, heads=32, kv_heads=8, vocabulary=128256)
TOKENS = 8192
EMBEDDINGS = C.vocabulary * C.hidden
BLOCK = 2 * C.hidden * (C.hidden + C.kv_heads * C.head) + 3 * C.hidden * C.ffn
MATRICES = C.layers * BLOCK + EMBEDDINGS
NORMS = (2 * C.layers + 1) * C.hidden
ATTENTION = 12 * C.layers * C.heads * C.head * TOKENS

#: Convention -> FLOPs for each token.
EXPECTED = {
    "6n": 6 * (MATRICES + EMBEDDINGS + NORMS),
    "palm": 6 * (MATRICES + EMBEDDINGS + NORMS) + ATTENTION,
    "nanogpt": 6 * (MATRICES + EMBEDDINGS + NORMS) + ATTENTION,
    "torchtitan": 6 * (MATRICES + NORMS) + ATTENTION,
    "megatron": 6 * MATRICES + ATTENTION,
}


@pytest.fixture(scope="module")
def compared() -> thoplw.Comparison:
    inputs = torch.zeros(1, TOKENS, dtype=torch.long)
    return thoplw.compare(on_meta(C), inputs, ["macs", *EXPECTED], training=True)


@pytest.mark.parametrize("name", EXPECTED)
def test_llama_by_formula(name: str, compared: thoplw.Comparison) -> None:
    assert compared[name].total_macs == EXPECTED[name] * TOKENS
    assert not compared[name].uncounted
    assert compared[name].backward_ratio == 2


def test_how_far_they_are_from_what_runs(compared: thoplw.Comparison) -> None:
    phases = compared["macs"].by_phase()
    exact = 2 * (phases["forward"] + phases["backward"])
    assert round(exact / TOKENS / 1e9, 3) == 57.913
    assert exact == compared["megatron"].total_macs
    assert round(compared["torchtitan"].total_macs / TOKENS / 1e9, 3) == 57.914
    assert round(100 * (compared["palm"].total_macs / exact - 1), 2) == 5.45


def test_the_difference_is_explained(compared: thoplw.Comparison) -> None:
    terms = {term.kind: term.difference for term in compared.terms("palm", "torchtitan")}
    assert terms == {"6 for each parameter and token": 6 * EMBEDDINGS * TOKENS}


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(10, 4), nn.Embedding(6, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.wte.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        scores = torch.softmax((x @ x.transpose(1, 2))[:, None], -1)[:, 0]
        return self.head(scores @ x)


def test_tied_weights_count_once_and_positions_not_for_nanogpt() -> None:
    ids = torch.zeros(2, 6, dtype=torch.long)
    counted = {name: thoplw.profile(Tied(), ids, convention=name, verbose=False)[0] for name in EXPECTED}
    attention = 12 * 2 * 1 * 6 * 6 * 4
    assert counted["6n"] == 6 * (10 + 6) * 4 * 12
    assert counted["palm"] == counted["6n"] + attention
    assert counted["nanogpt"] == 6 * 10 * 4 * 12 + attention
    assert thoplw.profile_training(Tied(), ids, convention="palm", verbose=False).total_macs == counted["palm"]


def test_they_are_of_language_models() -> None:
    with pytest.raises(thoplw.InputError, match="counts tokens, and Linear was given"):
        thoplw.profile(nn.Linear(3, 4), (2, 3), convention="palm")
