"""One run of a model, as plain values."""

from __future__ import annotations

import pickle

import pytest
from checks.calls import call, f32

from thoplw.errors import DataDependentError, InputError
from thoplw.record import Call, ModuleCall, ModuleInfo, Scope, Trace, Weight

X, W = f32(2, 3), f32(3, 3)
PRODUCT, ADDITION = call("mm", X, W, out=X), call("add", X, X, out=X)
LINEAR, RELU = call("linear", X, W, out=X), call("relu", X, out=X)

#: A model of a layer with a layer inside, and another.
TRACE = Trace(
    modules=(
        ModuleInfo("", ("mine:Model",), "Model", -1),
        ModuleInfo("a", ("mine:Block",), "Block", 0),
        ModuleInfo("a.b", ("mine:Linear",), "Linear", 1, parameters=(Weight("weight", 1, W, True),)),
        ModuleInfo("c", ("mine:Linear",), "Linear", 0),
    ),
    scopes=(Scope(0, -1, (X,), (X,)), Scope(1, 0), Scope(2, 1, (X,), (X,)), Scope(3, 0)),
    steps=((LINEAR, 2), (RELU, 1), (LINEAR, 3), (RELU, 0)),
    used=frozenset({1}),
    torch="2.14.1",
)


def linear_of_two(call: Call) -> tuple[Call, ...] | None:
    return (PRODUCT, ADDITION) if call.target == "aten.linear" else None


def test_what_a_call_of_a_module_saw_is_a_record_of_its_own() -> None:
    (at, first), (then, second) = TRACE.parts()
    assert (at, then) == ((1, 2), (3,))
    assert [(info.path, info.parent) for info in first.modules] == [("", -1), ("b", 0)]
    assert first.steps == ((LINEAR, 1), (RELU, 0))
    assert [(scope.module, scope.parent) for scope in first.scopes] == [(0, -1), (1, 0)]
    assert (second.modules[0].class_name, second.steps) == ("Linear", ((LINEAR, 0),))
    assert {part.torch for part in (first, second)} == {"2.14.1"}


def test_inputs_and_outputs_are_those_of_the_model() -> None:
    assert (TRACE.inputs, TRACE.outputs) == ((X,), (X,))


def test_weights_and_calls_of_a_module_are_found_by_name() -> None:
    seen = ModuleCall(info=TRACE.modules[2], leaf=True, inputs=(X,), outputs=(X,), calls=(LINEAR, RELU))
    assert (seen.weight("weight"), seen.weight("bias")) == (W, None)
    assert (seen.call_of("aten.relu", "aten.gelu"), seen.call_of("aten.gelu")) == (RELU, None)


def test_parts_are_found_at_every_depth_and_once_for_each_call() -> None:
    outer = call("outer", X, out=X)
    asked = []

    def expand(call: Call) -> tuple[Call, ...] | None:
        asked.append(call)
        return (LINEAR, RELU) if call is outer else linear_of_two(call)

    trace = Trace(modules=TRACE.modules, scopes=TRACE.scopes, steps=((outer, 0), (LINEAR, 2), (outer, 1)))
    whole = trace.completed(expand)
    assert asked == [outer, LINEAR, PRODUCT, ADDITION, RELU]
    (first, _), (inner, _), (again, _) = whole.steps
    assert first is again
    assert first.parts is not None
    assert first.parts == (inner, RELU)
    assert inner.parts == (PRODUCT, ADDITION)
    assert trace.steps[0][0].parts is None


def test_what_cannot_be_taken_apart_stays_whole() -> None:
    def expand(call: Call) -> tuple[Call, ...] | None:
        raise DataDependentError("it decides on values")

    assert TRACE.completed(expand).steps == TRACE.steps


def test_only_a_complete_record_can_do_without_a_function_that_takes_apart() -> None:
    assert TRACE.expander(linear_of_two) is linear_of_two
    with pytest.raises(InputError, match="the record of Model lacks the parts of composite operators"):
        TRACE.expander(None)
    whole = TRACE.completed(linear_of_two)
    assert whole.expander(None)(whole.steps[0][0]) == (PRODUCT, ADDITION)
    assert all(part.complete for _, part in whole.parts())


def test_a_record_can_be_saved() -> None:
    again = pickle.loads(pickle.dumps(TRACE.completed(linear_of_two)))
    assert (again.modules, again.scopes, again.used) == (TRACE.modules, TRACE.scopes, TRACE.used)
    assert again.steps[0][0] is again.steps[2][0]
