"""A rule says that there is a view exactly where torch can make one, and otherwise where a copy lies."""

from __future__ import annotations

from itertools import permutations
from math import prod
from typing import Any

import pytest
import torch
from checks.laid_out import frozen, observable

from thoplw.shapes import RULES, SAME
from thoplw.shapes.views import reshape, view

BASE = torch.arange(2 * 3 * 4.0).reshape(2, 3, 4)

#: The same numbers in every order of dimensions, cut, stepped and expanded.
LAYOUTS = [
    *(BASE.permute(order) for order in permutations(range(3))),
    BASE[:, :2],
    BASE[..., ::2],
    BASE[:, :1].expand(2, 3, 4),
    BASE[:1],
]

SIZES = [(-1,), (6, 4), (4, 6), (2, -1), (8, 3), (2, 2, 3, 2), (1, 24, 1), (12,), (3, 4), (4, 3), (2, 3, 4), (16,)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("x", LAYOUTS)
def test_a_view_is_one_where_torch_has_one(x: torch.Tensor, size: tuple[int, ...]) -> None:
    (spec,) = frozen((x,))
    try:
        seen = x.view(size)
    except RuntimeError:  # of another number of elements, or in need of a copy
        assert view(spec, size) is None
    else:
        assert observable(view(spec, size)) == observable(seen)
    fits = x.numel() % abs(prod(size)) == 0 and (-1 in size or x.numel() == prod(size))
    assert observable(reshape(spec, size)) == observable(x.reshape(size)) if fits else reshape(spec, size) is None


#: Operator -> arguments after the tensor, each for a tensor of three dimensions.
CASES: dict[str, list[tuple[Any, ...]]] = {
    "permute": [((2, 0, 1),), ((-1, 1, 0),)],
    "transpose": [(0, -1), (1, 1)],
    "select": [(1, 0), (-1, -1)],
    "slice": [(0,), (1, 1), (2, -3, -1), (2, 0, 99, 3), (1, 2, 1)],
    "unsqueeze": [(0,), (3,), (-2,)],
    "squeeze": [(), (0,), ((0, 1),)],
    "flatten": [(), (1,), (0, 1), (-2, -1)],
    "unbind": [(), (-1,)],
    "chunk": [(2, 2), (5, 1)],
    "split": [(2, 2), (1, 0)],
}


@pytest.mark.parametrize(("name", "args"), [(name, args) for name, each in CASES.items() for args in each])
@pytest.mark.parametrize("x", LAYOUTS)
def test_it_lies_where_torch_puts_it(x: torch.Tensor, name: str, args: tuple[Any, ...]) -> None:
    (spec,) = frozen((x,))
    answer = RULES[f"aten.{name}"](spec, *args)
    done = torch.ops.aten.slice(x, *args) if name == "slice" else getattr(x, name)(*args)
    assert observable(spec if answer is SAME else answer) == observable(done)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("permute", ((0, 1),)),
        ("permute", ((0, 1, 1),)),
        ("select", (0, 2)),
        ("select", (3, 0)),
        ("slice", (0, 0, 1, 0)),
        ("unsqueeze", (5,)),
        ("flatten", (2, 1)),
        ("expand", ((2, 5, 4),)),
        ("split_with_sizes", ((1, 2),)),
        ("chunk", (0,)),
        ("unflatten", (0, (2, 3))),
        ("t", ()),
    ],
)
def test_what_torch_refuses_has_no_answer(name: str, args: tuple[Any, ...]) -> None:
    assert RULES[f"aten.{name}"](*frozen((BASE,)), *args) is None
