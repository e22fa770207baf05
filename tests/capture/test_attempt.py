"""One attempt: what it refuses, and what it says of errors of the forward."""

from __future__ import annotations

import pytest
import torch
from checks.secret import SecretError
from torch import nn

import thoplw
from thoplw.capture import capture
from thoplw.capture.options import Options
from thoplw.errors import InputError


def test_an_error_of_the_forward_says_where() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(5, 6)))
    with pytest.raises(RuntimeError, match="cannot be multiplied") as raised:
        thoplw.profile(model, (1, 3))
    assert raised.value.__notes__ == ["raised in module '1.0' (Linear)"]
    with pytest.raises(TypeError) as raised_by_the_model:
        thoplw.profile(model, ())
    assert raised_by_the_model.value.__notes__ == ["raised in the model itself (Sequential)"]


@pytest.mark.parametrize("execute", [False, True])
def test_an_error_that_does_not_tell_its_class_comes_through(execute: bool) -> None:
    """Not with pytest.raises(), which asks an error for its class, as isinstance() does."""

    class Failing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise SecretError

    seen: list[type] = []
    try:
        thoplw.profile(Failing(), torch.ones(2), execute=execute)
    except Exception as error:
        seen.append(type(error))
    assert seen == [SecretError]


@pytest.mark.parametrize("part", ["weights", "inputs"])
def test_a_real_run_needs_values(part: str) -> None:
    model, x = nn.Linear(2, 2), torch.ones(1, 2)
    model, x = (model.to("meta"), x) if part == "weights" else (model, x.to("meta"))
    with pytest.raises(thoplw.InputError, match="on the meta device; leave execute out"):
        capture(model, (x,), {}, Options(execute=True))


@pytest.mark.parametrize("execute", [False, True])
def test_a_class_of_tensors_is_made_before_the_run(execute: bool) -> None:
    class Marked(torch.Tensor):
        pass

    class Makes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ Marked(4, 4)

    with pytest.raises(thoplw.InputError, match=r"the constructor of a class of tensors.*as_subclass"):
        thoplw.profile(Makes(), torch.ones(2, 4), execute=execute)


def test_a_forward_that_traces_a_function_is_sent_to_a_real_run() -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    class Traces(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = make_fx(lambda z: self.inner(z).relu())(x)(x)
            return y

    with pytest.raises(InputError, match=r"^the code in the model itself \(Traces\) has make_fx trace a function"):
        thoplw.profile(Traces(), (2, 4))
    assert thoplw.profile(Traces(), torch.ones(2, 4), convention="macs", execute=True)[0] == 2 * 2 * 4 * 5
