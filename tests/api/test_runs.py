"""Runs at some sizes: each made once, with ranges and hints from what was given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from checks.secret import SecretError
from torch import nn

from thoplw.api.runs import Runs, hints_of, range_of, require_effect
from thoplw.errors import DataDependentError, InputError
from thoplw.estimate.formula import Hints
from thoplw.pricing import CONVENTIONS
from thoplw.report.figures import FIGURES


def runs(model: Any, make: Any, *variables: str) -> Runs:
    return Runs(model, make, variables, CONVENTIONS["macs"], None)


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        (7, range(7, 8)),
        ((1, 9), range(1, 10)),
        ((8, 32, 8), range(8, 33, 8)),
        ((8, 35, 8), range(8, 36, 8)),
        (range(2, 9, 2), range(2, 9, 2)),
    ],
)
def test_sizes_are_a_range_to_the_last(sizes: Any, found: range) -> None:
    assert range_of("B", sizes) == found


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((3, 2), "has no sizes"),
        ((1, 9, -1), "has no sizes"),
        (range(9, 0, -1), "has no sizes"),
        ((1, 2, 3, 4), "is no range"),
        ([1, 9], "is no range"),
        ((8, 24, 8), r"has only 3 sizes \(8, 16 … 24\): a formula needs 4"),
    ],
)
def test_sizes_that_give_no_formula_are_refused(sizes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        range_of("B", sizes)


def test_a_size_is_run_once_and_costs_what_algebra_says() -> None:
    asked: list[tuple[int, int]] = []

    def make(batch: int, size: int) -> tuple[int, int, int]:
        asked.append((batch, size))
        return batch, size, 3

    found = runs(nn.Linear(3, 5), make, "batch", "size")
    measure = found.measure(FIGURES["macs"])
    for point in ((2, 7), (4, 1), (2, 7)):
        assert measure.at(point) == point[0] * point[1] * 3 * 5
    assert asked == [(2, 7), (4, 1)]
    assert set(measure.known()) == {(2, 7), (4, 1)}


def test_a_model_that_is_built_is_built_when_its_own_sizes_change() -> None:
    built: list[int] = []

    def build(width: int) -> nn.Module:
        built.append(width)
        return nn.Linear(width, 2)

    found = runs(build, lambda width, batch: (batch, width), "width", "batch")
    costs = [found.measure(FIGURES["macs"]).at(point) for point in ((3, 1), (3, 4), (5, 1), (3, 9))]
    assert costs == [3 * 2, 4 * 3 * 2, 5 * 2, 9 * 3 * 2]
    assert built == [3, 5, 3]  # the last is kept


def test_a_model_that_cannot_run_says_at_which_sizes() -> None:
    found = runs(nn.Linear(3, 2), lambda batch, size: (batch, size), "batch", "size")
    with pytest.raises(InputError, match=r"cannot run at batch=2, size=4: .*Give ranges.*: size=\(first, last, step\)"):
        found.at((2, 4))

    class Decides(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    class Secret(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise SecretError

    with pytest.raises(InputError, match=r"cannot run at batch=2: SecretError: \(its message cannot be read\)"):
        runs(Secret(), lambda batch: (batch, 3), "batch").at((2,))
    with pytest.raises(DataDependentError, match=r"execute=True\) counts one size"):
        runs(Decides(), lambda batch: (batch, 3), "batch").at((2,))


def test_a_variable_without_effect_is_refused_and_one_size_is_not() -> None:
    found = runs(nn.Linear(3, 2), lambda batch, size: (batch, 3), "batch", "size")
    ranges = [range(1, 5), range(1, 9)]
    require_effect(found, ranges, 0, ranges[0])
    with pytest.raises(InputError, match=r"nothing depends on size: .* for size=1 and size=8; use size in make_inputs"):
        require_effect(found, ranges, 1, ranges[1])
    require_effect(found, ranges, 1, range(3, 4))


def test_hints_are_the_sizes_that_modules_and_their_configurations_name() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.window_size = (7, 14)
            self.patch_size = 1  # no size at all
            self.width = 99
            self.inner: Any = nn.MaxPool2d(2, stride=3)
            self.inner.config = SimpleNamespace(
                chunk_size=64, max_position_embeddings=2048, text_config=SimpleNamespace(n_positions=512), is_chunk=True
            )

    assert hints_of(Model()) == Hints(moduli=(7, 14, 3, 64), thresholds=(7, 14, 64, 2048, 512))
