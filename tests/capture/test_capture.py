"""A run and its record: the abstract one sees what the real one sees, and errors say where."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import thoplw
from thoplw.capture import capture, expand
from thoplw.capture.step import Step
from thoplw.errors import InputError
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


@dataclass
class Kept:
    """What a forward returns."""

    items: Any


class Linear(nn.Module):
    """32 MACs, in a forward that does what ``way`` says."""

    def __init__(self, way: Any) -> None:
        super().__init__()
        self.linear, self.way = nn.Linear(4, 4), way

    def forward(self, x: torch.Tensor) -> Any:
        return self.way(self.linear, x)


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(
    ("way", "macs"),
    [
        (lambda linear, x: (linear(x) for _ in range(3)), 96),
        (lambda linear, x: map(linear, [x, x]), 64),
        (lambda linear, x: iter([linear(x)]), 32),
        (lambda linear, x: {"a": [x, (linear(x) for _ in range(3))]}, 96),
        (lambda linear, x: ((linear(x) for _ in range(2)) for _ in range(2)), 128),
        (lambda linear, x: Kept(linear(x) for _ in range(3)), 96),
        (lambda linear, x: (thoplw.profile(linear, torch.ones(2, 4), verbose=False, execute=True), linear(x))[1], 32),
        (lambda linear, x: (thoplw.profile(linear, (2, 4), verbose=False), linear(x))[1], 32),
    ],
    ids=[
        "generator",
        "map",
        "iterator",
        "generator inside",
        "generators in one",
        "in a dataclass",
        "nested and executed",
        "nested",
    ],
)
def test_what_a_forward_puts_off_is_counted_and_a_run_inside_is_not(way: Any, macs: int, execute: bool) -> None:
    info = thoplw.profile(Linear(way), (2, 4), convention="macs", verbose=False, execute=execute)[2]
    assert {row.name: row.macs for row in info} == {"linear": macs}


def test_a_generator_without_an_end_and_a_forward_to_await_are_refused() -> None:
    def forever(linear: nn.Module, x: torch.Tensor) -> Any:
        while True:
            yield x

    async def later(linear: nn.Module, x: torch.Tensor) -> Any:
        return linear(x)

    async def item_by_item(linear: nn.Module, x: torch.Tensor) -> Any:
        yield linear(x)

    with pytest.raises(InputError, match="gives its items asynchronously"):
        thoplw.profile(Linear(item_by_item), (2, 4))
    with pytest.raises(InputError, match="generator that goes on after 65,536 items"):
        thoplw.profile(Linear(forever), (2, 4))
    with pytest.raises(InputError, match="the forward is asynchronous"):
        thoplw.profile(Linear(later), (2, 4))


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


@pytest.mark.parametrize("step", [None, Step()], ids=["forward", "step"])
def test_gradients_are_refused_where_torch_is_too_old(step: Step | None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Force(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.requires_grad_()
            return x if step else torch.autograd.grad((x * x).sum(), x)[0]

    monkeypatch.setattr("thoplw.capture.CAN_EXCHANGE", False)
    with pytest.raises(InputError, match=r"gradients are counted with torch 2\.4 or newer, and this is torch 2\."):
        capture(Force(), (torch.ones(2, 3),), {}, step=step)
