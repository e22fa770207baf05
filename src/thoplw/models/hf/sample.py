"""The facts about a model from which its inputs are made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

#: Default number of text tokens.
TOKENS = 128


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A model, and the size of the inputs to make for it.

    Attributes:
        model: the model whose forward takes the inputs.
        seq: number of text tokens asked for.
        batch: number of samples.
    """

    model: nn.Module
    seq: int | None
    batch: int

    @property
    def config(self) -> Any:
        """The configuration of the model."""
        return self.model.config

    @cached_property
    def takes(self) -> Mapping[str, bool]:
        """Name of each argument of the forward, and whether it has no default."""
        main = getattr(self.model, "main_input_name", None)
        return {name: must or name == main for name, must in arguments_of(self.model.forward).items()}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the model states, such as ``("image", "text")``."""
        stated = getattr(self.model, "input_modalities", ())
        return (stated,) if isinstance(stated, str) else tuple(stated)

    def find(self, *names: str, default: Any = None, among: str = "") -> Any:
        """The first of these attributes that the configuration or one below it has.

        Args:
            names: in order of preference, within each configuration.
            default: what to return if no configuration has any of them.
            among: nested configurations with this in their name are searched before the others.
        """
        for config in _configs(self.config, among):
            for name in names:
                value = getattr(config, name, None)
                if value is not None:
                    return value
        return default

    def is_second(self, name: str) -> bool:
        """Whether it is a video for a model that sees pictures through the same modules."""
        return name == "pixel_values_videos" and "pixel_values" in self.takes

    @property
    def length(self) -> int:
        """Number of text tokens."""
        limit = self.find(
            "max_position_embeddings", "n_positions", "max_target_positions", default=TOKENS, among="text"
        )
        return self.seq or min(TOKENS, limit if isinstance(limit, int) and limit > 0 else TOKENS)

    @cached_property
    def plain(self) -> int:
        """The id of a token that has no special meaning."""
        special = {
            value
            for config in _configs(self.config)
            for name, value in vars(config).items()
            if isinstance(value, int) and name.endswith(("_id", "_index", "_idx"))
        }
        return next(token for token in range(1, len(special) + 2) if token not in special)

    def floats(self, *shape: int) -> torch.Tensor:
        """A tensor without values."""
        return torch.empty(shape, device="meta")

    def filled(self, value: int, *shape: int) -> torch.Tensor:
        """A real tensor of integers."""
        return torch.full(shape, value)


def arguments_of(function: Callable[..., Any]) -> dict[str, bool]:
    """Name of each argument, and whether it has no default."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default is each.empty for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD}


def _configs(config: Any, among: str = "") -> Iterator[Any]:
    """A configuration, then those nested in it, level by level."""
    level = [config]
    while level:
        yield from level
        below = [
            (name, value) for each in level for name, value in vars(each).items() if hasattr(value, "to_diff_dict")
        ]
        level = [value for _, value in sorted(below, key=lambda pair: among not in pair[0])]
