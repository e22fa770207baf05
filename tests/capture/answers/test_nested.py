"""Nested tensors, jagged and strided, given or made inside: rows that exist are multiplied, and no padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.releases import file_since, since
from torch import nn
from torch.nn import functional as F

import thoplw

file_since("2.2")

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")

LENGTHS = (5, 2, 3)
ROWS = sum(LENGTHS)


def nested(layout: torch.layout) -> torch.Tensor:
    return torch.nested.nested_tensor([torch.ones(length, 8) for length in LENGTHS], layout=layout)


class Feed(nn.Module):
    """Linear layers, and what stands between them."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm, self.down = nn.Linear(8, 24), nn.LayerNorm(24), nn.Linear(24, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(F.gelu(self.norm(self.up(x)))).to_padded_tensor(0.0)


class Inside(Feed):
    """Takes the padding away itself."""

    def __init__(self, layout: torch.layout) -> None:
        super().__init__()
        self.layout = layout

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        rows = [x[index, :length] for index, length in enumerate(lengths.tolist())]
        return super().forward(torch.nested.as_nested_tensor(rows, layout=self.layout))


class Attention(nn.Module):
    """Attention within each tensor, by the operators that strided ones have on a CPU."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.qkv, self.out, self.fused = nn.Linear(8, 8), nn.Linear(8, 8), fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = self.qkv(x)
        if self.fused:
            q = q.view(x.size(0), -1, 2, 4).transpose(1, 2).contiguous()
            y = F.scaled_dot_product_attention(q, q, q).transpose(1, 2).contiguous().view(x.size(0), -1, 8)
        else:
            y = torch.bmm(torch.bmm(q, q.transpose(1, 2)).softmax(-1), q)
        return torch.cat([part.sum(0, keepdim=True) for part in self.out(y).unbind()]) @ torch.ones(8, 2)


JAGGED = pytest.param(getattr(torch, "jagged", None), marks=since("2.6", "padding of jagged tensors"))
LAYOUTS = pytest.mark.parametrize("layout", [JAGGED, torch.strided])
BOTH = pytest.mark.parametrize("execute", [False, True])


def count(model: nn.Module, *inputs: Any, execute: bool) -> int:
    model(*inputs)
    macs, params, info = thoplw.profile(model, inputs, convention="macs", execute=execute, verbose=False)
    assert not info.uncounted
    assert params == sum(parameter.numel() for parameter in model.parameters())
    model(*inputs)
    return int(macs)


@BOTH
@LAYOUTS
def test_layers_take_the_rows_that_exist(layout: torch.layout, execute: bool) -> None:
    assert count(Feed(), nested(layout), execute=execute) == ROWS * 8 * 24 * 2


@BOTH
@LAYOUTS
def test_made_inside(layout: torch.layout, execute: bool) -> None:
    macs = count(Inside(layout), torch.ones(3, 5, 8), torch.tensor(LENGTHS), execute=execute)
    assert macs == ROWS * 8 * 24 * 2


@BOTH
@pytest.mark.parametrize("fused", [False, True])
def test_attention_is_within_each_tensor(fused: bool, execute: bool) -> None:
    within = sum(length * length * 8 * 2 for length in LENGTHS)
    assert count(Attention(fused), nested(torch.strided), execute=execute) == ROWS * 8 * 8 * 2 + within + 3 * 8 * 2


def test_pictures_of_all_sizes() -> None:
    class Pool(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x).to_padded_tensor(0.0).flatten(1) @ torch.ones(6 * 7, 2)

    pictures = torch.nested.nested_tensor([torch.ones(6, 4), torch.ones(5, 7)])
    assert count(Pool(), pictures, execute=False) == 2 * 6 * 7 * 2


@BOTH
@LAYOUTS
def test_padded_outside_of_a_method(layout: torch.layout, execute: bool) -> None:
    class Pads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(torch.nested.to_padded_tensor(x, 0.0))

    assert count(Pads(), nested(layout), execute=execute) == len(LENGTHS) * max(LENGTHS) * 8 * 8


@BOTH
@LAYOUTS
def test_padded_to_a_size_that_is_given(layout: torch.layout, execute: bool) -> None:
    class Pads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(torch.nested.to_padded_tensor(x, 0.0, (len(LENGTHS), 9, 8)))

    assert count(Pads(), nested(layout), execute=execute) == len(LENGTHS) * 9 * 8 * 8


@LAYOUTS
def test_values_that_do_not_exist_are_refused(layout: torch.layout) -> None:
    class Reads(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return [part.sum().item() for part in x.unbind()]

    with pytest.raises(thoplw.DataDependentError, match="execute=True"):
        thoplw.profile(Reads(), (nested(layout),))
