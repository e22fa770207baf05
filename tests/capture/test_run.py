"""Recording, which both kinds of run share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.calling import Calling
from checks.releases import since
from torch import nn

from thoplw.capture import capture
from thoplw.capture.abstract import Specs
from thoplw.capture.live_run import LiveRun
from thoplw.capture.options import Options
from thoplw.capture.run import Run
from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.torch_internals import below_autograd, is_autocast_on
from thoplw.capture.weights import Weights
from thoplw.record import Assumption, Call, TensorSpec


def run_of(model: nn.Module) -> Run:
    specs = Specs()
    weights = Weights(specs)
    weights.add(model)
    scopes = ModuleScopes(weights.indices, specs)
    return Run(specs=specs, weights=weights, scopes=scopes, device=torch.device("cpu"))


def test_records_hold_specs() -> None:
    run, x = run_of(nn.ReLU()), torch.ones(2, 3)
    spec = TensorSpec(shape=(2, 3), dtype="float32", strides=(3, 1))
    assert run.freeze([x, (1, [x]), None, "mean"]) == (spec, (1, (spec,)), None, "mean")
    assert run.freeze_named({"out": x, "dim": 1}) == {"out": spec, "dim": 1}
    assert run.freeze(x.untyped_storage()) == 24
    assert run.used == {id(x)}


def test_what_is_noted_belongs_to_the_module_that_runs() -> None:
    run, call = run_of(nn.Sequential(nn.ReLU())), Call(target="aten.relu")
    assert (run.scope, run.where()) == (-1, "")
    assert run.scopes is not None
    run.scopes.open(0)
    assert run.where() == "in the model itself (Sequential)"
    run.scopes.open(1)
    assert run.where() == "in module '0' (ReLU)"
    run.record(call)
    run.assume("every candidate is kept", "aten.nonzero")
    assert run.steps == [(call, 1)]
    assert run.assumptions == [Assumption("every candidate is kept", "aten.nonzero", 1)]


def test_equal_operators_on_real_tensors_share_a_record() -> None:
    run, add = run_of(nn.ReLU()), torch.ops.aten.add.Tensor
    for x, y in ((1.0, 2.0), (3.0, 4.0)):
        assert run.execute(add, (torch.tensor(x), torch.tensor(y)), {}) == x + y
    run.execute(add, (torch.tensor(1), torch.tensor(2)), {})
    (first, _), (second, _), (third, _) = run.steps
    assert first is second
    assert first is not third


def test_an_argument_whose_repr_fails_is_recorded() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise ValueError("no")

    run, shy = run_of(nn.ReLU()), Shy()
    run.record_executed(torch.ops.aten.relu.default, (torch.ones(2), shy), {}, torch.ones(2))
    ((call, _),) = run.steps
    assert call.target == "aten.relu"


@pytest.mark.parametrize("execute", [False, True])
def test_a_composite_without_a_rule_is_recorded_with_its_parts(execute: bool) -> None:
    class Composite(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return nn.functional.bilinear(x, x, torch.ones(2, 3, 3))

    (call,) = [
        call
        for call, _ in capture(Composite(), (torch.ones(4, 3),), {}, Options(execute=execute)).steps
        if call.target == "aten.bilinear"
    ]
    assert call.output.shape == (4, 2)
    assert call.parts


@pytest.mark.parametrize("execute", [False, True])
def test_autocast_casts_what_the_pieces_of_a_composite_are_given(execute: bool) -> None:
    """A composite without a kernel of autocast is answered in the handler of a mode, where autocast is off."""
    states = []
    dtypes = []

    class Composites(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = nn.LSTM(3, 3)

        def products(self, x: torch.Tensor) -> None:
            returned = [
                torch.einsum("ab,bc->ac", x, x),
                torch.tensordot(x, x, 1),
                torch.inner(x, x),
                torch.linalg.multi_dot([x, x, x]),
                torch.linalg.matrix_power(x, 3),
                self.steps(x)[0],
                nn.functional.bilinear(x, x, torch.ones(2, 3, 3)),
            ]
            dtypes.append([each.dtype for each in returned])
            states.append(is_autocast_on())

        def forward(self, x: torch.Tensor) -> None:
            self.products(x)  # an answer that is not one under autocast
            with torch.autocast("cpu", torch.bfloat16):
                self.products(x)
                with torch.autocast("cpu", enabled=False):
                    self.products(x)
                self.products(x)
            self.products(x)

    model, x = Composites(), torch.ones(3, 3)
    with torch.no_grad():
        model(x)
    expected, dtypes[:], states[:] = dtypes[:], [], []
    assert torch.bfloat16 in expected[1]
    capture(model, (x,), {}, Options(execute=execute))
    assert dtypes == expected
    assert states == [False, True, False, True, False]


def test_a_run_knows_whether_it_drew_random_numbers() -> None:
    def drew(module: nn.Module) -> bool:
        run = LiveRun(specs=Specs(), weights=Weights(Specs()), scopes=None, device=torch.device("cpu"))
        with below_autograd(), run:
            module(torch.ones(2, 4, 4))
        return run.drew

    assert not drew(nn.Sequential(nn.Dropout(), nn.RReLU()).eval())
    assert not drew(nn.TransformerEncoderLayer(4, 1).eval())
    assert drew(nn.Dropout())
    assert drew(nn.RReLU())


def _counted() -> torch.Tensor:
    return torch.arange(16).view(4, 4).float()


@since("2.4", "autocast casts other operators before")
@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.einsum("ij,jk->ik", _counted(), _counted()),  # of values that are known
        lambda x: torch.linalg.matrix_power(_counted(), 3),
        lambda x: nn.functional.pad(x, (1, 1, 1, 1), "reflect"),
        lambda x: nn.functional.pad(x, (1, 1, 1, 1), "replicate"),
        lambda x: nn.functional.pad(x, (1, 1, 1, 1), "circular"),
    ],
)
def test_pieces_are_cast_also_of_known_values_and_of_paddings(function: Any, execute: bool) -> None:
    def inside_and_outside(x: torch.Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            inside = function(x)
        return inside, function(x)

    x = torch.ones(1, 2, 4, 4, dtype=torch.bfloat16)
    trace = capture(Calling(inside_and_outside), (x,), {}, Options(execute=execute))
    assert [each.dtype for each in trace.outputs] == [str(each.dtype)[6:] for each in inside_and_outside(x)]
