"""Functions where a test needs modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


class Calling(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)
