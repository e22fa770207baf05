"""Single layers and functions by the mirror of torchinfo, with figures as its rules give them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from checks import peers
from checks.example_layers import Shared
from torch import nn
from torch.nn.utils import prune

from thoplw.capture import capture
from thoplw.errors import InputError
from thoplw.pricing.mirrors.torchinfo import Sizes, sizes


class Tied(nn.Module):
    """Two layers with one weight, and other parameters beside them."""

    def __init__(self, own: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.last.weight = self.first.weight
        self.own = nn.Parameter(torch.zeros(own))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x))


class Named(nn.Module):
    """A layer that returns tensors by name."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"all": x, "one": x[:1]}


class Again(nn.Module):
    """Calls its only layer three times, and has a parameter and a layer beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.idle = nn.Linear(4, 4), nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(self.layer(x))) * self.scale


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer releases call TorchScript deprecated
        return torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))


def pruned() -> nn.Module:
    layer = nn.Linear(4, 4)
    prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]
    return layer


def said(figure: int, params: int) -> dict[str, int]:
    return {"figure": figure, "params": params}


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...], dict[str, int]]] = {  # what runs, the shape of its input, figures
    "linear: once per sample, however long": (nn.Linear(4, 6), (2, 5, 4), said(2 * 30, 30)),
    "conv2d: its bias too": (nn.Conv2d(4, 6, 3), (2, 4, 5, 5), said(2 * 9 * (6 * 4 * 9 + 6), 6 * 4 * 9 + 6)),
    "conv2d, no batch: channels stand for the samples": (nn.Conv2d(4, 6, 3), (4, 5, 5), said(6 * 3 * 222, 222)),
    "a norm": (nn.LayerNorm(4), (2, 5, 4), said(2 * 8, 8)),
    "rnn: once per step and sequence": (nn.RNN(3, 4), (5, 2, 3), said(10 * (12 + 16 + 8), 36)),
    "tied: each layer has it": (nn.Sequential(Tied(0)), (2, 4), said(64, 32)),
}

SLIPS: dict[str, tuple[nn.Module, dict[str, int], dict[str, int]]] = {  # the model, what torchinfo says, its mirror
    "shared": (Shared(), said(80, 60), said(80, 20)),
    "tied": (Tied(10), said(64, 32), said(64, 42)),
    "named": (nn.Sequential(Named()), said(3, 3), said(6, 3)),
    "pruned": (nn.Sequential(pruned()), said(2 * 12, 12), said(2 * 4 + 8 * 16, 20)),
}


def mirrored(model: nn.Module, x: torch.Tensor) -> Any:
    return peers.priced("torchinfo", capture(model, (x,), {}))


@pytest.mark.parametrize("case", LAYERS)
def test_layer(case: str) -> None:
    module, shape, figures = LAYERS[case]
    assert mirrored(nn.Sequential(module), torch.zeros(shape)) == figures


@pytest.mark.parametrize("case", LAYERS)
def test_layer_side_by_side(case: str) -> None:
    peers.require("torchinfo")
    module, shape, figures = LAYERS[case]
    assert peers.measure("torchinfo", nn.Sequential(module), (torch.zeros(shape),)) == figures


@pytest.mark.parametrize("case", SLIPS)
def test_slip(case: str) -> None:
    model, _, figures = SLIPS[case]
    assert mirrored(model, torch.zeros(2, 4)) == figures


@pytest.mark.parametrize("case", SLIPS)
def test_slip_side_by_side(case: str) -> None:
    peers.require("torchinfo")
    model, figures, _ = SLIPS[case]
    assert peers.measure("torchinfo", model, (torch.zeros(2, 4),)) == figures


def test_parameters_of_layers_that_never_ran() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].idle = nn.Linear(2, 2)
    assert mirrored(model, torch.zeros(2, 4))["params"] == 20 + 6


SIZES: dict[str, tuple[Callable[[], nn.Module], torch.Tensor, Sizes]] = {  # what runs, its input, bytes
    "a layer: its output twice": (lambda: nn.Linear(4, 6), torch.zeros(2, 5, 4), Sizes(160, 2 * 240, 4 * 30)),
    "no parameters: nothing": (nn.ReLU, torch.zeros(2, 4), Sizes(32, 0, 0)),
    "in half precision": (lambda: nn.Linear(4, 4).bfloat16(), torch.zeros(2, 4).bfloat16(), Sizes(16, 2 * 16, 40)),
    "of an LSTM its outputs, no states": (lambda: nn.LSTM(3, 4), torch.zeros(5, 2, 3), Sizes(120, 320, 4 * 16 * 9)),
    "tied: each layer has it": (lambda: Tied(10), torch.zeros(2, 4), Sizes(32, 2 * 2 * 32, 2 * 64)),
    "each call's output, parameters of layers that ran": (Again, torch.zeros(2, 4), Sizes(32, 3 * 2 * 32, 4 * 20)),
    "scripted: parameters alone": (lambda: nn.Sequential(scripted()), torch.zeros(2, 4), Sizes(32, 0, 4 * 20)),
    "an input of numbers": (lambda: nn.Embedding(9, 4), torch.zeros(2, 3, dtype=torch.long), Sizes(48, 192, 144)),
}


@pytest.mark.parametrize("case", SIZES)
def test_sizes(case: str) -> None:
    build, x, figures = SIZES[case]
    assert sizes(capture(build(), (x,), {})) == figures


@pytest.mark.parametrize("case", SIZES)
def test_sizes_side_by_side(case: str) -> None:
    peers.require("torchinfo")
    build, x, figures = SIZES[case]
    assert peers.torchinfo_sizes(build(), (x,)) == figures


@pytest.mark.parametrize("model", peers.MODELS)
@pytest.mark.slow
def test_sizes_of_models_side_by_side(model: str) -> None:
    peers.require("torchinfo")
    assert peers.torchinfo_sizes(*peers.build(model)) == sizes(peers.trace(model))


def test_sizes_are_of_a_forward() -> None:
    with pytest.raises(InputError, match="torchinfo's sizes are of a forward alone"):
        sizes(replace(capture(nn.ReLU(), (torch.zeros(2),), {}), phases=b"\x02"))


def test_total_size() -> None:
    assert Sizes(1, 20, 300).total == 321
