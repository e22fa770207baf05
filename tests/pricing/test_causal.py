from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from checks.releases import older
from torch import nn

import thoplw
from thoplw.pricing.causal import _IS_CAUSAL


class Attention(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)


@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (3, 7), (7, 3), (1, 4)])
@pytest.mark.parametrize("causal", [True, False])
def test_only_what_the_mask_leaves(queries: int, keys: int, causal: bool) -> None:
    batch, heads, size, values = 2, 3, 4, 6
    shapes = (batch, heads, queries, size), (batch, heads, keys, size), (batch, heads, keys, values)
    tensors = tuple(torch.empty(shape) for shape in shapes)
    # The mask that the documentation of torch writes out.
    mask = torch.ones(queries, keys, dtype=torch.bool).tril(diagonal=0) if causal else torch.ones(queries, keys)
    pairs = int(mask.sum())
    macs, _, _ = thoplw.profile(Attention(causal), tensors, convention="macs-causal")
    assert macs == batch * heads * pairs * (size + values)
    full, _, _ = thoplw.profile(Attention(causal), tensors, convention="macs")
    assert full == batch * heads * queries * keys * (size + values)


@pytest.mark.parametrize("target", _IS_CAUSAL)
def test_where_the_argument_stands(target: str) -> None:
    packet = getattr(torch.ops.aten, target.removeprefix("aten."), None)
    if packet is None or (older("2.1") and "efficient" in target) or (older("2.5") and "cudnn" in target):
        pytest.skip("this torch has no such operator, or it takes others")
    names = [argument.name for argument in packet.default._schema.arguments]
    assert names[_IS_CAUSAL[target]] == "is_causal"
