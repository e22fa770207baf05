"""What is seen of a model that was loaded by its name."""

from __future__ import annotations

from typing import Any

import torch

from thoplw.models.registry import Loaded


def devices(loaded: Loaded) -> set[str]:
    return {weight.device.type for weight in loaded.model.parameters()}


def shapes(inputs: Any) -> list[tuple[int, ...]]:
    """Of all tensors, at any depth."""
    if isinstance(inputs, torch.Tensor):
        assert inputs.device.type == "meta"
        return [tuple(inputs.shape)]
    return [shape for each in inputs for shape in shapes(each)]
