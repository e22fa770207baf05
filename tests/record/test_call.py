"""An operator that ran."""

from __future__ import annotations

import pickle

import pytest
from checks.calls import f32

from thoplw.record import Call, TorchName

CALL = Call(
    target="aten.cat",
    args=((f32(2, 3), f32(1, 3)), 0),
    kwargs={"out": f32(3, 3), "dtype": TorchName("dtype", "float32")},
    output=f32(3, 3),
)


def test_tensors_among_arguments_and_what_was_returned() -> None:
    assert CALL.inputs == (f32(2, 3), f32(1, 3), f32(3, 3))
    assert CALL.outputs == (f32(3, 3),)
    assert Call(target="aten.split", output=(f32(1), f32(2))).outputs == (f32(1), f32(2))
    assert Call(target="aten.item", output=1).outputs == ()


def test_names() -> None:
    assert CALL.name == "aten.cat.default"
    assert Call(target="aten.add", overload="Tensor").name == "aten.add.Tensor"


@pytest.mark.parametrize(("position", "value"), [(1, 0), (2, "left out")])
def test_an_argument_that_may_be_left_out(position: int, value: object) -> None:
    assert CALL.arg(position, "left out") == value


def test_calls_are_told_apart_by_identity() -> None:
    assert Call(target="aten.relu") != Call(target="aten.relu")


@pytest.mark.parametrize("call", [CALL, Call(target="aten.relu"), Call(target="aten.linear", parts=(CALL,))])
def test_a_call_can_be_saved(call: Call) -> None:
    again = pickle.loads(pickle.dumps(call))
    assert repr(again) == repr(call)
