"""Elementwise operators broadcast and lie as real kernels do it; each keeps out of what it does not know."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from checks.laid_out import by_rule_and_kernel, frozen, observable

from thoplw.shapes import RULES, SAME

BASE = torch.rand(2, 3, 4)
LAYOUTS = [
    BASE,
    BASE.mT.contiguous().mT,
    BASE[..., ::2],
    BASE[:1, :, :1].expand(2, 3, 4),
    BASE[0],
    BASE[:, :1],
    BASE[0, 0, 0],
]


@pytest.mark.parametrize(("a", "b"), [*product(LAYOUTS, LAYOUTS)])
def test_two_tensors_broadcast_as_in_torch(a: torch.Tensor, b: torch.Tensor) -> None:
    answer = RULES["aten.add"](*frozen((a, b)))
    try:
        done = a + b
    except RuntimeError:
        assert answer is None
    else:
        assert observable(answer) == observable(done)
        assert observable(RULES["aten.lt"](*frozen((a, b)))) == observable(a < b)
    fits = answer is not None and answer.shape == tuple(a.shape)
    assert RULES["aten.add_"](*frozen((a, b))) == (SAME if fits else None)


@pytest.mark.parametrize("x", LAYOUTS)
@pytest.mark.parametrize("name", ["relu", "hardtanh", "exp", "clone", "zeros_like"])
def test_one_tensor_lies_as_the_kernel_puts_it(name: str, x: torch.Tensor) -> None:
    assert observable(RULES[f"aten.{name}"](*frozen((x,)))) == observable(getattr(torch.ops.aten, name)(x))


CASES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "padding of the last dimension first": ("constant_pad_nd", (BASE, (1, 2, 0, 3))),
    "padding with nothing": ("constant_pad_nd", (BASE.transpose(0, 2), (0, 0))),
    "roll by more than there are": ("roll", (BASE, (5, -1), (0, 2))),
    "roll of nothing, along what is not there": ("roll", (BASE[:0], (1,), (7,))),
    "cat": ("cat", ((BASE, BASE[:, :2]), 1)),
    "cat from the end": ("cat", ((BASE, BASE[..., :1]), -1)),
    "sum": ("sum", (BASE, (0, -1))),
    "sum that keeps": ("mean", (BASE, (1,), True)),
    "prelu": ("prelu", (BASE, torch.ones(3))),
    "masked fill": ("masked_fill", (BASE, torch.ones(3, 1, dtype=torch.bool), 0.0)),
    "new zeros": ("new_zeros", (BASE, (5, 2))),
}


@pytest.mark.parametrize(("name", "args"), CASES.values(), ids=CASES)
def test_the_rule_answers_as_the_kernel(name: str, args: tuple[Any, ...]) -> None:
    answer, done = by_rule_and_kernel(name, args)
    assert answer == done


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("add", (BASE, BASE.double())),  # to a wider type
        ("add", (BASE, 1 + 1j)),
        ("add", (BASE.long(), 1.5)),
        ("cat", ((BASE, BASE[:1]), 1)),
        ("sum", (BASE, (0, 0))),
        ("sum", (BASE, (3,))),
        ("pad", (BASE, (1, 1), "reflect")),
        ("pad", (BASE, (1,))),
        ("masked_fill", (BASE[0], torch.ones(2, 1, 1, dtype=torch.bool), 0.0)),
        ("prelu", (BASE, torch.ones(2))),
        ("roll", (BASE, (1, 1), (0,))),
        ("addcmul_", (BASE, BASE[0], BASE)),
    ],
)
def test_other_arguments_have_no_answer(name: str, args: tuple[Any, ...]) -> None:
    assert RULES[f"aten.{name}"](*frozen(args)) is None
