"""A forward may set switches of torch; a profile leaves them as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import thoplw


class Setting(nn.Module):
    """A layer, behind something that a forward does to torch."""

    def __init__(self, way: Callable[[], Any]) -> None:
        super().__init__()
        self.layer, self.way = nn.Linear(8, 8), way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        self.way()
        return y  # type: ignore[no-any-return] # of a layer


def switches() -> tuple[Any, ...]:
    return (
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize(
    "way",
    [
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_num_threads(torch.get_num_threads() + 1),
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
        lambda: torch.set_grad_enabled(False),
    ],
    ids=["dtype", "threads", "deterministic", "gradients"],
)
def test_switches_are_set_back(way: Callable[[], Any], execute: bool) -> None:
    before = switches()
    thoplw.profile(Setting(way), (2, 8), execute=execute)
    assert switches() == before


class Products(nn.Module):
    """Products with a weight that autocast converts once, and keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + torch.mm(x, self.layer.weight)


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_weights_that_autocast_converts_are_forgotten(dtype: torch.dtype, execute: bool) -> None:
    model, x = Products(), torch.ones(2, 8)
    with torch.autocast("cpu", dtype):
        macs = thoplw.profile(model, x, convention="macs", execute=execute)[0]
        model(x).sum().backward()
    assert macs == 2 * (2 * 8 * 8)
    assert model.layer.weight.grad is not None


def test_weights_that_autocast_converts_under_count_are_forgotten() -> None:
    model, x = Products(), torch.ones(2, 8)
    with torch.autocast("cpu"):
        with thoplw.count():
            model(x)
        model(x).sum().backward()
    assert model.layer.weight.grad is not None
