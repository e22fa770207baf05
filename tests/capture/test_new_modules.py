"""Modules and parameters that a forward creates are known where they end up."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

import thoplw
from thoplw.capture.weights import Weights


class Builds(nn.Module):
    """Has a body of 20 parameters, and makes more as ``build`` says."""

    def __init__(self, build: Callable[[Builds, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.head: nn.Module | None = None
        self.build = build

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.build(self, self.body(x))


def head(model: Builds, x: torch.Tensor) -> torch.Tensor:
    model.head = model.head or nn.Linear(x.shape[1], 2)
    return torch.as_tensor(model.head(x))


def block(model: Builds, x: torch.Tensor) -> torch.Tensor:
    model.head = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
    return torch.as_tensor(model.head[1](x))  # a part, before or without the whole


def parameter(model: Builds, x: torch.Tensor) -> torch.Tensor:
    model.scale = nn.Parameter(torch.ones(x.shape[1], 2))
    return torch.mm(x, model.scale)


def unlisted(model: Builds, x: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(nn.Linear(4, 2)(x))


def copied(model: Builds, x: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(copy.deepcopy(model.body)(x))


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(
    ("build", "rows"),
    [
        (head, {"body": (32, 20), "head": (16, 10)}),
        (block, {"body": (32, 20), "head.1": (16, 10)}),
        (parameter, {"": (16, 8), "body": (32, 20)}),
        (unlisted, {"body": (32, 20), "Linear": (16, 10)}),
        (copied, {"": (32, 0), "body": (32, 20)}),  # its parameters are those of the body once more
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_forward_creates_has_its_place(
    build: Callable[[Builds, torch.Tensor], torch.Tensor], rows: dict[str, tuple[int, int]], execute: bool
) -> None:
    model = Builds(build)
    names = [name for name, _ in model.named_parameters()]
    info = thoplw.profile(model, (2, 4), convention="macs", verbose=False, execute=execute)[2]
    assert {row.name: (row.macs, row.params) for row in info if row.macs} == rows
    assert [name for name, _ in model.named_parameters()] == names


def test_a_large_one_takes_no_memory() -> None:
    class Wide(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.head = nn.Linear(2**15, 2**15)
            return torch.as_tensor(self.head(x))

    assert thoplw.profile(Wide(), (1, 2**15), convention="macs")[:2] == (2**30, 2**30 + 2**15)


def test_what_is_created_under_count_has_its_place_too() -> None:
    model = Builds(head)
    with thoplw.count("macs") as counted:
        model(torch.ones(2, 4))
        model(torch.ones(2, 4))
    assert {row.name: (row.macs, row.params) for row in counted.layer_info} == {
        "Builds.body": (64, 20),
        "Builds.head": (32, 10),
    }


def test_a_list_made_of_known_layers_is_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """As transformers slice ``self.layers[:n]``: reading the model again would be for nothing."""
    monkeypatch.setattr(Weights, "read_again", None)

    class Sliced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers[:1]:
                x = layer(x)
            return x

    macs, params, _ = thoplw.profile(Sliced(), (2, 4), verbose=False)
    assert (macs, params) == (40, 20)
