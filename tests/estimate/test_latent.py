"""Latent attention that is not expanded, against the products written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from thoplw.capture import capture
from thoplw.estimate.latent import saved

BATCH, HEADS, RANK, PLAIN, ROTARY, VALUE = 2, 4, 12, 6, 3, 5


class Latent(nn.Module):
    """The attention of DeepSeek-V2, section 2.1, on a cache of latents."""

    def __init__(self, expands: bool = True) -> None:
        super().__init__()
        self.up = nn.Linear(RANK, HEADS * (PLAIN + VALUE), bias=False)
        self.expands = expands

    def forward(self, query: torch.Tensor, latents: torch.Tensor, rotary: torch.Tensor) -> torch.Tensor:
        wide = latents.shape[:2]
        if self.expands:
            both = self.up(latents).view(*wide, HEADS, PLAIN + VALUE).transpose(1, 2)
        else:
            both = latents.new_zeros(wide[0], HEADS, wide[1], PLAIN + VALUE)
        key = torch.cat([both[..., :PLAIN], rotary[:, None].expand(-1, HEADS, -1, -1)], -1)
        return F.scaled_dot_product_attention(query, key, both[..., PLAIN:])


def by_hand(query: torch.Tensor, latents: torch.Tensor, rotary: torch.Tensor, weight: torch.Tensor) -> tuple[Any, int]:
    """The same result without expanding anything, and how many products it took."""
    keys, values = weight.view(HEADS, PLAIN + VALUE, RANK).split([PLAIN, VALUE], 1)
    count = 0

    def product(equation: str, *operands: torch.Tensor) -> torch.Tensor:
        nonlocal count
        sizes: dict[str, int] = {}
        for letters, operand in zip(equation.partition("->")[0].split(","), operands, strict=True):
            sizes.update(zip(letters, operand.shape, strict=True))
        total = 1
        for size in sizes.values():
            total *= size
        count += total
        return torch.einsum(equation, *operands)

    absorbed = product("bhqn,hnr->bhqr", query[..., :PLAIN], keys)
    scores = product("bhqr,bpr->bhqp", absorbed, latents)
    scores = scores + product("bhqe,bpe->bhqp", query[..., PLAIN:], rotary)
    weights = (scores / (PLAIN + ROTARY) ** 0.5).softmax(-1)
    summed = product("bhqp,bpr->bhqr", weights, latents)
    return product("bhqr,hvr->bhqv", summed, values), count


@pytest.mark.parametrize("positions", [9, 100])
def test_it_is_what_an_engine_multiplies(positions: int) -> None:
    torch.manual_seed(0)
    model = Latent()
    query = torch.randn(BATCH, HEADS, 1, PLAIN + ROTARY)
    latents, rotary = torch.randn(BATCH, positions, RANK), torch.randn(BATCH, positions, ROTARY)
    result, count = by_hand(query, latents, rotary, model.up.weight)
    torch.testing.assert_close(result, model(query, latents, rotary))
    expanded = BATCH * positions * RANK * HEADS * (PLAIN + VALUE)
    attended = BATCH * HEADS * positions * (PLAIN + ROTARY + VALUE)
    less = saved(capture(model, (query, latents, rotary), {}))
    assert less.macs == expanded + attended - count
    assert less.flops == 2 * less.macs


@pytest.mark.parametrize(
    ("model", "new", "positions"),
    [
        (Latent(expands=False), 1, 50),  # nothing is expanded
        (Latent(), 50, 50),  # a prefill: each position is new
    ],
)
def test_there_is_nothing_to_save(model: Latent, new: int, positions: int) -> None:
    given = (
        torch.randn(BATCH, HEADS, new, PLAIN + ROTARY),
        torch.randn(BATCH, positions, RANK),
        torch.randn(BATCH, positions, ROTARY),
    )
    assert saved(capture(model, given, {})).macs == 0
