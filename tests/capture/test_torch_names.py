"""Things of torch by their names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.calling import Calling

from thoplw.capture import capture, expand
from thoplw.capture.options import Options
from thoplw.capture.torch_names import name_of, named
from thoplw.errors import InputError
from thoplw.record import TorchName, Trace

THINGS = {
    TorchName("dtype", "bfloat16"): torch.bfloat16,
    TorchName("layout", "sparse_coo"): torch.sparse_coo,
    TorchName("memory_format", "channels_last"): torch.channels_last,
    TorchName("device", "cuda:1"): torch.device("cuda", 1),
    TorchName("device", "meta"): torch.device("meta"),
}


@pytest.mark.parametrize("name", THINGS, ids=str)
def test_there_and_back(name: TorchName) -> None:
    assert name_of(THINGS[name]) == name
    assert named(name) == THINGS[name]


@pytest.mark.parametrize("value", [None, True, 3, 1.5, 2j, "same", TorchName("dtype", "int8")])
def test_plain_values_stay(value: Any) -> None:
    assert name_of(value) is value


def test_a_generator_goes_by_its_device() -> None:
    assert name_of(torch.Generator()) == TorchName("generator", "cpu")
    assert named(TorchName("generator", "cpu")) is None


def test_functions_and_objects_are_known_by_name_alone() -> None:
    assert name_of(test_there_and_back) == TorchName("function", f"{__name__}:test_there_and_back")
    name = name_of(object())
    assert name == TorchName("object", "builtins:object")
    with pytest.raises(InputError, match="the object 'builtins:object' cannot be taken apart"):
        named(name)


def record(function: Any, execute: bool) -> Trace:
    return capture(Calling(function), (torch.ones(2, 8, 6, 6),), {}, Options(execute=execute))


@pytest.mark.parametrize("execute", [False, True])
def test_a_record_has_names(execute: bool) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        x = x.to(torch.float64).contiguous(memory_format=torch.channels_last)
        return torch.bernoulli(x, generator=torch.Generator()) + torch.zeros(6, dtype=torch.float64, device="cpu")

    trace = record(function, execute)
    given = [value for call, _ in trace.steps for value in (*call.args, *call.kwargs.values())]
    assert {value for value in given if isinstance(value, TorchName)} >= {
        TorchName("dtype", "float64"),
        TorchName("memory_format", "channels_last"),
        TorchName("device", "cpu"),
    }
    assert [value for value in given if type(value).__module__.startswith("torch")] == []


def test_an_operator_with_a_dtype_is_taken_apart() -> None:
    trace = record(lambda x: x.softmax(1, dtype=torch.float64), execute=False)
    (call,) = (call for call, _ in trace.steps if call.target == "aten.softmax")
    assert call.args[2] == TorchName("dtype", "float64")
    parts = expand(call)
    assert parts is not None
    assert parts[-1].outputs[0].dtype == "float64"
