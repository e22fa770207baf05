"""A run and its record: the abstract one sees what the real one sees, and errors say where."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import thoplw
from thoplw.capture import capture, expand
from thoplw.record import Call, Trace


def seen(trace: Trace) -> list[tuple[str, Any]]:
    return [(call.name, [output.shape for output in call.outputs]) for call, _ in trace.steps]


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "googlenet", "swin_t", "densenet121", "regnet_y_400mf"])
def test_abstract_run_equals_real_run(name: str) -> None:
    options = {"init_weights": False} if name == "googlenet" else {}
    model = torchvision.models.get_model(name, **options)
    x = torch.randn(1, 3, 64, 64)
    abstract, real = capture(model, (x,), {}), capture(model, (x,), {}, execute=True)
    assert seen(abstract) == seen(real)
    assert abstract.scopes == real.scopes
    assert abstract.used == real.used


def test_a_composite_is_taken_apart_when_asked() -> None:
    class Linear(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(x, torch.ones(4, 3), torch.ones(4))

    (call,) = [call for call, _ in capture(Linear(), (torch.ones(2, 3),), {}).steps if call.target == "aten.linear"]
    parts = expand(call)
    assert parts is not None
    assert [part.target for part in parts] == ["aten.t", "aten.addmm"]
    assert expand(parts[-1]) is None
    assert expand(Call(target="no_such_library.operator")) is None


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes")
def test_an_error_of_the_forward_says_where() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(5, 6)))
    with pytest.raises(RuntimeError, match="cannot be multiplied") as raised:
        thoplw.profile(model, (1, 3))
    assert raised.value.__notes__ == ["raised in module '1.0' (Linear)"]
    with pytest.raises(TypeError) as raised_by_the_model:
        thoplw.profile(model, ())
    assert raised_by_the_model.value.__notes__ == ["raised in the model itself (Sequential)"]


@pytest.mark.parametrize("part", ["weights", "inputs"])
def test_a_real_run_needs_values(part: str) -> None:
    model, x = nn.Linear(2, 2), torch.ones(1, 2)
    model, x = (model.to("meta"), x) if part == "weights" else (model, x.to("meta"))
    with pytest.raises(thoplw.InputError, match="on the meta device; leave execute out"):
        capture(model, (x,), {}, execute=True)
