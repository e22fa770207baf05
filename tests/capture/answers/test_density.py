"""What part of a mask is true, after operators that make masks or pass them on."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch

from thoplw.capture.abstract import Specs, abstract
from thoplw.capture.answers.density import density_after, density_of, with_density
from thoplw.record import Call, TensorSpec


def spec(*shape: int, density: Fraction | int = 1) -> TensorSpec:
    return TensorSpec(shape=shape, dtype="bool", strides=(), density=density)


EIGHTH = Fraction(1, 8)


@pytest.mark.parametrize(
    ("target", "args", "expected"),
    [
        ("aten.one_hot", (spec(16), 8), (0, EIGHTH)),
        ("aten.one_hot", (spec(16), -1), None),
        ("aten.one_hot", (spec(16),), None),
        ("aten.topk", (spec(16, 8), 2), (1, EIGHTH)),
        ("aten.topk", (spec(8, 16), 2, 0), (1, EIGHTH)),
        ("aten.argmax", (spec(16, 8), -1), (0, EIGHTH)),
        ("aten.argmax", (spec(16, 8),), None),
        ("aten.argmin", (spec(16, 8), 1), (0, EIGHTH)),
        ("aten.max", (spec(16, 8), -1), (1, EIGHTH)),
        ("aten.min", (spec(8, 16), 0, True), (1, EIGHTH)),
        ("aten.max", (spec(16, 8),), None),
        ("aten.max", (spec(16, 8), spec(16, 8)), None),
        ("aten.scatter", (spec(16, 8), 1, spec(16, 2), 1), (0, Fraction(1, 4))),
        ("aten.scatter", (spec(16, 8), 1, spec(16, 2), 0), None),
        ("aten.eq", (spec(16, 2, density=EIGHTH), 3), (0, EIGHTH)),
        ("aten.eq", (spec(16, 2), 3), None),
        ("aten.stack", ((spec(4, density=EIGHTH), spec(4)), 0), (0, EIGHTH)),
        ("aten.any", (spec(16, 2, density=EIGHTH), -1), (0, Fraction(1, 4))),
        ("aten.any", (spec(2, 16, density=EIGHTH), 1), (0, 1)),
        ("aten.any", (spec(16, 2, density=EIGHTH),), None),
        ("aten.gt", (spec(9, density=EIGHTH), 0), (0, EIGHTH)),
        ("aten.gt", (spec(9, density=EIGHTH), 2), None),
        ("aten.sum", (spec(9, 2, 16, density=EIGHTH), (-1, -2)), (0, Fraction(8, 9))),  # one class is no expert
        ("aten.isnan", (spec(4),), (0, 0)),
        ("aten.isinf", (spec(),), (0, 0)),
        ("aten.logical_or", (spec(4, density=0), spec(4, density=0)), (0, 0)),
        ("aten.logical_or", (spec(4, density=0), spec(4)), None),
        ("aten.stack", ((spec(4, density=0), spec(4)), 0), None),
        ("aten.eq", (spec(4, density=0), True), (0, 0)),
        ("aten.eq", (spec(4, density=0), False), None),
        ("aten.any", (spec(4, density=0),), (0, 0)),
        ("aten.sum", (spec(4, 2, density=0), 0), (0, 0)),
        ("aten.all", (spec(4, density=0),), (0, 0)),
        ("aten.all", (spec(0, density=0),), None),  # all of nothing are true
        ("aten.scatter", (spec(16, 8), 1, spec(16, 0), 1), None),
        ("aten.topk", (spec(), 1), None),
        ("aten.sum", (spec(density=EIGHTH), 0), None),
        ("aten.mm", (spec(2, 2, density=EIGHTH), spec(2, 2)), None),
        ("aten.eq", (), None),
    ],
)
def test_density(target: str, args: tuple[Any, ...], expected: Any) -> None:
    assert density_after(target, args) == expected


def test_one_output_of_a_record_has_it() -> None:
    specs = Specs()
    values, indices = specs.of(torch.ones(4, 2)), specs.of(torch.ones(4, 2, dtype=torch.long))
    call = with_density(specs, Call(target="aten.topk", output=(values, indices)), 1, EIGHTH)
    assert call.output[0] is values
    assert call.output[1].density == EIGHTH
    assert specs.intern(call.output[1]) is call.output[1]
    assert density_of(abstract(call.output[1], torch.device("cpu"))) == EIGHTH
    assert density_of(torch.ones(2)) == 1
    assert with_density(specs, Call(target="aten.eq", output=values), 0, EIGHTH).output.density == EIGHTH
