"""A saved profile that tells something of everything."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import thoplw


class Telling(nn.Module):
    """Blocks in blocks, a layer of two shapes, one that never runs, a guess, and an operator without a price."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2))
        self.shared = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(3, dtype=torch.float16), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, 4] -> [M]``."""
        for block in self.blocks:
            x = self.shared(block(x))
        x = torch.ops.attack_saved.odd(x) + self.scale.sum() + self.shared(x[:1])
        return x[x > 0]


def saved() -> dict[str, Any]:
    """The document of its profile."""
    library = torch.library.Library("attack_saved", "DEF")
    try:
        library.define("odd(Tensor x) -> Tensor")
        library.impl("odd", torch.empty_like, "Meta")
        layers = thoplw.profile(Telling(), (2, 4), verbose=False, custom_ops={nn.Conv2d: lambda *_: 1})[2]
        return layers.to_dict()
    finally:
        getattr(library, "_destroy", bool)()  # up to torch 2.0 it goes with its name
        vars(torch.ops.attack_saved).pop("odd", None)  # up to torch 2.2 it stays, of an operator that is gone
