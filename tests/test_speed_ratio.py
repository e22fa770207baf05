"""Speed, as far as a machine that does other things too can tell: by ratios of processor time, and by counting."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import thoplw
from thoplw.capture import abstract_run

IMAGE = (1, 3, 224, 224)


def seconds(*runs: Callable[[], Any], rounds: int = 4) -> list[float]:
    """What each takes of the processor: the least of some rounds, in turns, as others can only add to it."""
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, times in zip(runs, found, strict=True):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
    return [min(times) for times in found]


@pytest.mark.parametrize(
    ("name", "limit"),
    # About twice what benchmarks/speed.md has.
    [("resnet18", 0.6), ("resnet152", 0.3), ("densenet201", 0.5), ("vit_b_16", 0.35), ("swin_t", 0.55)],
)
def test_a_profile_takes_a_part_of_the_forward_on_meta(name: str, limit: float) -> None:
    with torch.device("meta"):
        model, image = torchvision.models.get_model(name).eval(), torch.empty(IMAGE)
    thoplw.profile(model, IMAGE)  # imports, and facts about operators
    ours, forward = seconds(lambda: thoplw.profile(model, IMAGE), lambda: model(image))
    assert ours < limit * forward


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


def test_time_grows_with_depth_as_the_depth_does() -> None:
    models = [nn.Sequential(*(nn.ReLU() for _ in range(depth))) for depth in (100, 1600)]
    shallow, deep = seconds(*(partial(thoplw.profile, model, (1, 8)) for model in models))
    assert deep / 1600 < 3 * shallow / 100


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "vit_b_16", "swin_t"])
def test_shape_rules_answer_all_of_the_usual_operators(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask_meta = abstract_run.AbstractRun._ask_meta

    def counted(self: Any, func: Any, *rest: Any) -> Any:
        asked.append(str(func))
        return ask_meta(self, func, *rest)

    monkeypatch.setattr(abstract_run.AbstractRun, "_ask_meta", counted)
    with torch.device("meta"):
        model = torchvision.models.get_model(name).eval()
    thoplw.profile(model, IMAGE)
    assert asked == []
