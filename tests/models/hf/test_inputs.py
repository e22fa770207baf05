"""Inputs that a model takes, or none."""

from __future__ import annotations

from typing import Any

import torch
from checks.releases import working_transformers

from thoplw.models import hf
from thoplw.models.registry import load

working_transformers()

Shapes = dict[str, tuple[int, ...]]


def shapes(inputs: Any) -> Shapes:
    return {name: tuple(value.shape) for name, value in inputs.items()}


def test_length_and_batch() -> None:
    loaded = load("hf:bert", seq=7, batch=5)
    assert shapes(loaded.inputs) == {"input_ids": (5, 7)}


class Odd(torch.nn.Module):
    config: Any

    def forward(self, riddle: torch.Tensor) -> torch.Tensor:
        return riddle


def test_what_nobody_knows_how_to_make() -> None:
    model = Odd()
    model.config = type("Config", (), {"model_type": "odd"})()
    assert hf.inputs(model) is None
