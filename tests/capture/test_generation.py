"""A model that is called again and again, in one record."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from thoplw.capture import capture
from thoplw.capture.generation import ByForward, ByFunctions, Caller
from thoplw.capture.options import Options
from thoplw.errors import InputError


class Sums(nn.Module):
    """Keeps a row for each position."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, ids: torch.Tensor, rows: torch.Tensor | None = None) -> dict[str, Any]:
        new = self.table(ids)
        rows = new if rows is None else torch.cat([rows, new], 1)
        return {"sum": rows.sum(1), "rows": rows}


def prefill(model: nn.Module, ids: torch.Tensor) -> Any:
    return [model(ids)["rows"]]


def step(model: nn.Module, ids: torch.Tensor, state: Any) -> Any:
    return [model(ids, state[0])["rows"]]


@pytest.mark.parametrize("make", [ByForward, lambda *given: ByFunctions(*given, prefill, step)])
def test_calls_are_parts_of_the_record_and_leave_what_they_hand_on(make: Any) -> None:
    caller = make(Sums(), 2, 20)
    seen: list[Any] = []
    plan = ((5, 2), (7, 0))

    def on_return(scope: int, module: nn.Module, inputs: Any, output: Any) -> None:
        if module is caller:
            seen.append(output)

    trace = capture(caller, (plan,), {}, Options(on_return=on_return))
    (states,) = seen
    assert [[each.spec.shape for (each,) in calls] for calls in states] == [
        [(2, 5, 4), (2, 6, 4), (2, 7, 4)],
        [(2, 7, 4)],
    ]
    assert [[each.bytes for (each,) in calls] for calls in states] == [[160, 192, 224], [224]]
    rounds = next(index for index, info in enumerate(trace.modules) if info.path == "round")
    parts = [part for _, part in trace.parts(rounds) if part.steps]
    assert len(parts) == 4  # and two that ended as they began
    tables = [
        [scope for scope in part.scopes if part.modules[scope.module].class_name == "Embedding"] for part in parts
    ]
    assert [each.inputs[0].shape for (each,) in tables] == [(2, 5), (2, 1), (2, 1), (2, 7)]
    assert not caller.model._forward_hooks
    assert not caller.model._forward_pre_hooks


def test_a_model_that_stops_too_soon_is_told() -> None:
    class Once(Caller):
        def drive(self, length: int) -> None:
            self.model(self.ids(length))

    with pytest.raises(InputError, match="Sums stopped after 1 calls, and 3 and more were asked for"):
        capture(Once(Sums(), 1, 20), (((4, 2),),), {})
