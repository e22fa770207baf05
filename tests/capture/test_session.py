"""A session records whatever runs, under a root that stands for it."""

from __future__ import annotations

import signal
import sys

import pytest
import torch
import torch.nn.modules.module as module_globals
from torch import nn

from thoplw.capture import Session
from thoplw.capture.abstract import Specs
from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.torch_internals import dispatch_modes
from thoplw.capture.weights import Weights


def test_models_become_known_when_they_are_called() -> None:
    first, second = nn.Sequential(nn.Linear(2, 3)), nn.Sequential(nn.ReLU())
    with Session() as session:
        second(first(torch.ones(1, 2))).exp()
        first(torch.ones(4, 2))
    trace = session.trace()
    assert [(info.path, info.parent) for info in trace.modules] == [
        ("", -1),
        ("Sequential", 0),
        ("Sequential.0", 1),
        ("Sequential_2", 0),
        ("Sequential_2.0", 3),
    ]
    assert [(scope.module, scope.parent) for scope in trace.scopes] == [
        (0, -1), (1, 0), (2, 1), (3, 0), (4, 3), (1, 0), (2, 5)
    ]  # fmt: skip
    where = {call.target: scope for call, scope in trace.steps}
    assert (where["aten.relu"], where["aten.exp"]) == (4, 0)
    assert trace.used == {id(first[0].weight), id(first[0].bias)}


def test_what_runs_after_a_session_is_not_recorded() -> None:
    with Session() as session:
        torch.ones(2).exp()
    torch.ones(2).log()
    assert [call.target for call, _ in session.trace().steps][-1] == "aten.exp"
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("at", ["__enter__", "__exit__"])
def test_an_interrupt_while_a_session_begins_or_ends_leaves_nothing(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, before = getattr(ModuleScopes, at), sys.getrecursionlimit()

    def interrupted(*args: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return plain(*args)

    monkeypatch.setattr(ModuleScopes, at, interrupted)
    with pytest.raises(KeyboardInterrupt), Session():
        pass
    assert (dispatch_modes(), sys.getrecursionlimit()) == (0, before)
    assert not module_globals._global_forward_pre_hooks


def test_a_root_is_the_first_of_all() -> None:
    weights = Weights(Specs())
    weights.add_root("count")
    weights.add(nn.ReLU(), "relu", parent=0)
    assert [(info.path, info.class_name, info.parent) for info in weights.infos] == [
        ("", "count", -1),
        ("relu", "ReLU", 0),
    ]
    with pytest.raises(AssertionError):
        weights.add_root("another")
