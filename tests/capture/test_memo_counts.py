"""How often work is done: once for what is alike, and in torch's kernels only where no shape rule answers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from checks.releases import since
from torch import nn

import thoplw
from thoplw.capture import abstract_run


def test_what_is_worked_out_does_not_grow_with_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out: list[str] = []
    first_time = abstract_run.AbstractRun._first_time

    def counted(self: Any, operator: Any, *rest: Any) -> Any:
        worked_out.append(str(operator.func))
        return first_time(self, operator, *rest)

    monkeypatch.setattr(abstract_run.AbstractRun, "_first_time", counted)
    found = []
    for depth in (2, 200):
        layers = [layer for _ in range(depth) for layer in (nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU())]
        thoplw.profile(nn.Sequential(*layers), (1, 8))
        found.append(sorted(worked_out))
        worked_out.clear()
    assert found[0] == found[1] == ["aten.layer_norm.default", "aten.linear.default", "aten.relu.default"]


NEWER = since("2.1", "torchvision makes its masks in another way before")


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "vit_b_16", pytest.param("swin_t", marks=NEWER)])
def test_shape_rules_answer_all_of_the_usual_operators(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask_meta = abstract_run.AbstractRun._ask_meta

    def counted(self: Any, func: Any, *rest: Any) -> Any:
        asked.append(str(func))
        return ask_meta(self, func, *rest)

    monkeypatch.setattr(abstract_run.AbstractRun, "_ask_meta", counted)
    with torch.device("meta"):
        model = torchvision.models.get_model(name).eval()
    thoplw.profile(model, (1, 3, 224, 224))
    assert asked == []
