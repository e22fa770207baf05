"""Which parameters count: of a model with a tied weight, a norm, a frozen layer, and one that never runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from thoplw.capture import capture
from thoplw.pricing.parameters import Parameters, every, executed, executed_with_statistics, trainable

C, OTHER = 4, 3


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(C, C, bias=False)
        self.tied = nn.Linear(C, C, bias=False)
        self.tied.weight = self.first.weight
        self.norm = nn.BatchNorm1d(C)
        self.frozen = nn.Linear(C, C, bias=False).requires_grad_(False)
        self.idle = nn.Linear(C, OTHER)
        self.direct = nn.Linear(C, C, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.frozen(self.norm(self.tied(self.first(x))))
        return nn.functional.linear(x, self.direct.weight)  # used, though its module is not called


MATRIX, NORM, STATISTICS, IDLE = C * C, 2 * C, 2 * C, C * OTHER + OTHER


@pytest.mark.parametrize(
    ("choose", "size"),
    [
        (executed, 3 * MATRIX + NORM),  # tied, frozen and direct
        (executed_with_statistics, 3 * MATRIX + NORM + STATISTICS),
        (every, 3 * MATRIX + NORM + IDLE),
        (trainable, 2 * MATRIX + NORM + IDLE),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_parameters_that_count(choose: Parameters, size: int) -> None:
    trace = capture(Net(), (torch.zeros(2, C),), {})
    assert sum(weight.spec.numel for _, weight in choose(trace)) == size


@pytest.mark.parametrize("choose", [executed, every], ids=["executed", "every"])
def test_a_tied_weight_belongs_to_the_first_module_that_holds_it(choose: Callable[..., object]) -> None:
    trace = capture(Net(), (torch.zeros(2, C),), {})
    owners = [trace.modules[index].path for index, _ in choose(trace)]  # type: ignore[attr-defined] # pairs
    assert "first" in owners
    assert "tied" not in owners
