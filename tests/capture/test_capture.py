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
from thoplw.capture.options import Options
from thoplw.capture.training_step import TrainingStep
from thoplw.errors import InputError
from thoplw.record import Call, Trace


def seen(trace: Trace) -> list[tuple[str, Any]]:
    return [(call.name, [output.shape for output in call.outputs]) for call, _ in trace.steps]


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "googlenet", "swin_t", "densenet121", "regnet_y_400mf"])
def test_abstract_run_equals_real_run(name: str) -> None:
    options = {"init_weights": False} if name == "googlenet" else {}
    model = torchvision.models.get_model(name, **options)
    x = torch.randn(1, 3, 64, 64)
    abstract, real = capture(model, (x,), {}), capture(model, (x,), {}, Options(execute=True))
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


class Profiling(nn.Module):
    """32 MACs, in a forward that profiles its layer, too."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.linear, self.options = nn.Linear(4, 4), options

    def forward(self, x: torch.Tensor) -> Any:
        thoplw.profile(self.linear, torch.ones(2, 4), verbose=False, **self.options)
        return self.linear(x)


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize("inner", [False, True])
def test_a_run_inside_of_a_forward_is_not_counted(inner: bool, execute: bool) -> None:
    info = thoplw.profile(Profiling(execute=inner), (2, 4), convention="macs", verbose=False, execute=execute)[2]
    assert {row.name: row.macs for row in info} == {"linear": 32}


def test_count_does_not_take_in_a_profile_inside_of_it() -> None:
    model = nn.Linear(4, 4)
    with thoplw.count("macs") as counted:
        thoplw.profile(nn.Sequential(nn.Linear(8, 8)), torch.ones(2, 8), verbose=False, execute=True)
        model(torch.ones(2, 4))
    assert {row.name: row.macs for row in counted.layer_info} == {"Linear": 32}


@pytest.mark.parametrize("transform", [torch.func.grad, torch.vmap, torch.func.functionalize])
def test_a_profile_inside_of_a_transformation_is_one_outside_of_it(transform: Any) -> None:
    model, seen = nn.Linear(4, 4), []

    def inside(x: torch.Tensor) -> torch.Tensor:
        seen.append(thoplw.profile(model, (2, 4), convention="macs")[0])
        seen.append(thoplw.profile(model, x, convention="macs")[0])
        if transform is not torch.func.functionalize:
            with pytest.raises(InputError, match="a tensor of vmap, grad"):
                thoplw.profile(model, x, execute=True)
        return torch.as_tensor(model(x).sum())

    transform(inside)(torch.ones(3, 2, 4) if transform is torch.vmap else torch.ones(2, 4))
    assert seen == [32, 32]


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="nothing raises Python 3.12's limit of calls through C")
@pytest.mark.parametrize("execute", [False, True])
def test_models_nest_as_deep_as_without_a_run(execute: bool) -> None:
    def nested(depth: int) -> nn.Module:
        model: nn.Module = nn.Linear(4, 4)
        for _ in range(depth):
            model = nn.Sequential(model)
        return model

    limit = sys.getrecursionlimit()
    deepest, x = 0, torch.ones(1, 4)
    try:
        while True:
            nested(deepest + 5)(x)
            deepest += 5
    except RecursionError:
        pass
    assert thoplw.profile(nested(deepest), x, convention="macs", execute=execute)[0] == 16
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize("execute", [False, True])
def test_modules_are_held_deeper_than_any_call_goes(execute: bool) -> None:
    layer = nn.Linear(4, 4)
    model: nn.Module = layer
    for _ in range(2_000):
        model = nn.Sequential(model)

    class Calls(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(layer(x))

    macs, _, info = thoplw.profile(Calls(), torch.ones(1, 4), convention="macs", execute=execute)
    assert macs == 16
    for kind in ("text", "tree", "json"):
        assert info.summary(kind)


@pytest.mark.parametrize("step", [None, TrainingStep()], ids=["forward", "step"])
def test_gradients_are_refused_where_torch_is_too_old(
    step: TrainingStep | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Force(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.requires_grad_()
            return x if step else torch.autograd.grad((x * x).sum(), x)[0]

    monkeypatch.setattr("thoplw.capture.CAN_EXCHANGE", False)
    with pytest.raises(InputError, match=r"gradients are counted with torch 2\.4 or newer, and this is torch 2\."):
        capture(Force(), (torch.ones(2, 3),), {}, Options(step=step))
