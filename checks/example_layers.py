"""Modules that several mirrors are tried on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from checks.calling import Calling
from checks.peers import Built
from torch import nn


def calling(function: Callable[..., torch.Tensor], *shapes: tuple[int, ...]) -> Built:
    """A function as a model, and its inputs."""
    return Calling(function), tuple(map(torch.zeros, shapes))


def complex_numbers(function: Callable[..., torch.Tensor], *shapes: tuple[int, ...]) -> Built:
    """A function of complex numbers as a model, and its inputs."""
    return Calling(function), tuple(torch.zeros(shape, dtype=torch.complex64) for shape in shapes)


def layer(module: nn.Module, *shapes: tuple[int, ...]) -> Built:
    """A layer as a model, and its inputs."""
    return module.eval(), tuple(map(torch.zeros, shapes))


class Calls(nn.Module):
    """A function of one tensor, which some tools pass by its name."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Attends(nn.Module):
    """Attention with 2 heads of 8 features; the values are the keys."""

    def __init__(self, to: int | None = None, weights: bool = False, **options: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, **options)
        self.to = to
        self.weights = weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        other = x if self.to is None else x[:, : self.to]
        return self.attention(x, other, other, need_weights=self.weights)[0]


class Shared(nn.Module):
    """A layer of two modules, called in both."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.Linear(4, 4)
        self.first, self.second = nn.Sequential(layer), nn.Sequential(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))
