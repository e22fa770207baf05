"""Values that may steer a model, and values that are lost."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thoplw
from thoplw.capture.abstract import Specs, abstract
from thoplw.capture.answers.known_values import KnownValues
from thoplw.capture.weights import Weights


def test_a_real_tensor_that_abstract_values_are_written_to_has_no_values_any_more() -> None:
    class Writes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            table = torch.zeros(2, 3)
            view = table[0]
            table[:, 0] = x[:, 0]
            return x if view.sum() > 0 else -x

    with pytest.raises(thoplw.DataDependentError, match=r"aten\.is_nonzero"):
        thoplw.profile(Writes(), (2, 3))


def test_a_counter_of_the_model_is_neither_written_nor_trusted() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros((), dtype=torch.long))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            before = int(self.calls)
            self.calls += 1
            return x * before

    model = Counts()
    thoplw.profile(model, (2, 3))
    assert model.calls == 0

    class Trusts(Counts):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x * int(self.calls)

    with pytest.raises(thoplw.DataDependentError, match="execute=True"):
        thoplw.profile(Trusts(), (2, 3))


def test_what_has_values() -> None:
    specs = Specs()
    model = nn.BatchNorm1d(2)
    weights = Weights(specs)
    values = KnownValues(specs, weights, lambda tensor: None)
    weights.add(model)  # the order does not matter
    cpu = torch.device("cpu")
    table = torch.ones(2, 3)
    assert values.has(table)
    assert values.has(model.num_batches_tracked)
    assert not values.has(abstract(specs.of(table), cpu))
    assert not values.has(table.to("meta"))
    assert values.stand_in(table, cpu) is table
    assert torch.equal(values.stand_in(model.weight, cpu), torch.zeros(2))
    assert values.belong_to_the_model([table, model.num_batches_tracked.view(1)])
    assert not values.belong_to_the_model([table])
    assert not values.any_lost
    values.lose(torch.ops.aten.mul_.Tensor, (table[0], 2), {})
    assert not values.has(table[1])
    assert torch.equal(values.stand_in(table, cpu), torch.zeros(2, 3))
