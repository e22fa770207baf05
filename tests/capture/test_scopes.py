"""Every call of a known module opens and closes a scope, whatever happens inside."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import thoplw
from thoplw.capture import capture
from thoplw.capture.abstract import Specs, abstract
from thoplw.capture.options import Options
from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.torch_internals import any_module_hooks
from thoplw.record import Scope


def tree(scopes: list[Scope]) -> list[tuple[int, int]]:
    return [(scope.module, scope.parent) for scope in scopes]


def test_calls_are_nested_as_they_ran() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
    specs = Specs()
    indices = {id(module): index for index, module in enumerate(model.modules())}
    with ModuleScopes(indices, specs) as scopes:
        assert any_module_hooks()
        model(torch.ones(1, 2))
        nn.Linear(2, 2)(torch.ones(1, 2))  # not known
        assert scopes.current == -1
    assert not any_module_hooks()
    assert tree(scopes.scopes) == [(0, -1), (1, 0), (2, 0), (3, 2)]
    assert [scope.inputs[0].shape for scope in scopes.scopes] == [(1, 2), (1, 2), (1, 3), (1, 3)]
    assert [scope.outputs[0].shape for scope in scopes.scopes] == [(1, 3)] * 4


@pytest.mark.parametrize("execute", [False, True])
def test_keyword_inputs_are_shown_last(execute: bool) -> None:
    class Inner(nn.Module):
        def forward(self, x: torch.Tensor, *, scale: torch.Tensor, name: str) -> list[torch.Tensor]:
            return [x, x * scale]

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: torch.Tensor) -> Any:
            return self.inner(x, scale=x[:1], name="double")

    scope = capture(Outer(), (torch.ones(2, 3),), {}, Options(execute=execute)).scopes[1]
    assert [spec.shape for spec in scope.inputs] == [(2, 3), (1, 3)]
    assert [spec.shape for spec in scope.outputs] == [(2, 3), (2, 3)]


def test_a_module_that_raises_is_closed_by_the_one_that_catches() -> None:
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bad, self.good = nn.Linear(5, 5), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                return self.bad(x)
            except RuntimeError:
                return self.good(x)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tries, self.after = Tries(), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.after(self.tries(x))

    trace = capture(Outer(), (torch.ones(1, 2),), {})
    # Still open when it is called, the failed one holds its sibling; the module after both is where it belongs.
    assert [(trace.modules[scope.module].path, scope.outputs != ()) for scope in trace.scopes] == [
        ("", True),
        ("tries", True),
        ("tries.bad", False),
        ("tries.good", True),
        ("after", True),
    ]
    assert trace.scopes[-1].parent == 0


def test_every_call_that_returns_is_told() -> None:
    seen: list[tuple[int, str, int]] = []
    model = nn.Sequential(nn.ReLU(), nn.ReLU())
    capture(
        model,
        (torch.ones(2, 3),),
        {},
        Options(on_return=lambda scope, module, args, output: seen.append((scope, type(module).__name__, len(args)))),
    )
    assert seen == [(1, "ReLU", 1), (2, "ReLU", 1), (0, "Sequential", 1)]


def test_a_call_that_is_not_run_is_noted() -> None:
    specs = Specs()
    x = abstract(specs.of(torch.ones(2, 3)), torch.device("cpu"))
    scopes = ModuleScopes({}, specs)
    outer = scopes.open(0)
    assert scopes.record_call(4, nn.ReLU(), x, x) == 1
    assert scopes.current == outer
    assert scopes.scopes[1] == Scope(4, outer, (x.spec,), (x.spec,), ((1, 0),))
    scopes.record_call(4, nn.ReLU(), x, abstract(x.spec, torch.device("cpu")))
    assert scopes.scopes[2] == Scope(4, outer, (x.spec,), (x.spec,))


def test_a_call_that_began_before_is_none() -> None:
    specs = Specs()
    model = nn.Sequential(nn.ReLU())
    scopes = ModuleScopes({id(model): 0, id(model[0]): 1}, specs)
    scopes.close(0, model, (), {}, None)
    scopes.open(1)
    scopes.close(0, model, (), {}, None)  # nothing of it is open
    assert tree(scopes.scopes) == [(1, -1)]
    assert scopes.current == 0


class Own(nn.Module):
    """Has a call of its own, in which hooks fire as often as ``times`` says."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.a, self.b, self.times = nn.Linear(8, 8), nn.Linear(8, 4), times

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.times):
            super().__call__(x)
        return torch.as_tensor(self.forward(x) if self.times == 0 else x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.b((x @ x.t()) @ self.a(x)))


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("execute", [False, True])
def test_a_call_of_its_own_is_one_call_whether_or_not_hooks_fire(times: int, execute: bool) -> None:
    info = thoplw.profile(Own(times), (2, 8), convention="macs", verbose=False, execute=execute)[2]
    several = max(times, 1)
    assert {row.name: (row.macs, row.calls) for row in info} == {
        "": (several * 64, 1),
        "a": (several * 128, several),
        "b": (several * 64, several),
    }


def test_a_model_that_calls_itself_is_called_twice() -> None:
    class Again(nn.Module):
        def forward(self, x: torch.Tensor, again: bool = True) -> torch.Tensor:
            return torch.as_tensor(self(x, again=False)) if again else x @ x.t()

    trace = capture(Again(), (torch.ones(2, 3),), {})
    assert tree(list(trace.scopes)) == [(0, -1), (0, 0)]
    assert [scope.outputs[0].shape for scope in trace.scopes] == [(2, 2), (2, 2)]
