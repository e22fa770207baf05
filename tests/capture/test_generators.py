"""Generators that a forward returns are consumed: what they compute is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

import thoplw
from thoplw.errors import InputError


@dataclass
class Kept:
    """What a forward returns."""

    items: Any


class Linear(nn.Module):
    """32 MACs, in a forward that does what ``way`` says."""

    def __init__(self, way: Any) -> None:
        super().__init__()
        self.linear, self.way = nn.Linear(4, 4), way

    def forward(self, x: torch.Tensor) -> Any:
        return self.way(self.linear, x)


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(
    ("way", "macs"),
    [
        (lambda linear, x: (linear(x) for _ in range(3)), 96),
        (lambda linear, x: map(linear, [x, x]), 64),
        (lambda linear, x: iter([linear(x)]), 32),
        (lambda linear, x: {"a": [x, (linear(x) for _ in range(3))]}, 96),
        (lambda linear, x: ((linear(x) for _ in range(2)) for _ in range(2)), 128),
        (lambda linear, x: Kept(linear(x) for _ in range(3)), 96),
    ],
    ids=["generator", "map", "iterator", "generator inside", "generators in one", "in a dataclass"],
)
def test_what_a_forward_puts_off_is_counted(way: Any, macs: int, execute: bool) -> None:
    info = thoplw.profile(Linear(way), (2, 4), convention="macs", verbose=False, execute=execute)[2]
    assert {row.name: row.macs for row in info} == {"linear": macs}


def test_a_generator_without_an_end_and_a_forward_to_await_are_refused() -> None:
    def forever(linear: nn.Module, x: torch.Tensor) -> Any:
        while True:
            yield x

    async def later(linear: nn.Module, x: torch.Tensor) -> Any:
        return linear(x)

    async def item_by_item(linear: nn.Module, x: torch.Tensor) -> Any:
        yield linear(x)

    with pytest.raises(InputError, match="an asynchronous generator"):
        thoplw.profile(Linear(item_by_item), (2, 4))
    with pytest.raises(InputError, match="generator that has more than 65,536 items"):
        thoplw.profile(Linear(forever), (2, 4))
    with pytest.raises(InputError, match="the forward is asynchronous"):
        thoplw.profile(Linear(later), (2, 4))
