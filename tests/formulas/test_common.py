"""What formulas share."""

from __future__ import annotations

import pytest
from checks.calls import call, f32

from thoplw.formulas.common import contraction, elements, per_output, product
from thoplw.record import Work

X, Y = f32(2, 3), f32(2, 3, 4)


def test_a_multiply_accumulate_is_two_operations() -> None:
    assert contraction(5, 3) == Work(macs=5, flops=2 * 5 + 3)


@pytest.mark.parametrize(("out", "first", "every"), [(X, 6, 6), ((X, Y), 6, 6 + 24), ((), 0, 0)])
def test_elements_are_of_the_first_output_and_work_is_of_every_one(out: object, first: int, every: int) -> None:
    record = call("op", X, out=out)
    assert elements(record) == first
    assert per_output(5, record) == Work(flops=5 * every)


@pytest.mark.parametrize(
    ("sizes", "rank", "expected"), [(3, 1, 3), (3, 2, 9), ((3,), 3, 27), ((2, 3), 2, 6), ((2, 3, 4), 3, 24)]
)
def test_a_window(sizes: object, rank: int, expected: int) -> None:
    assert product(sizes, rank) == expected


def test_a_window_of_something_else() -> None:
    with pytest.raises(TypeError, match="a window is a number or a tuple of numbers, not 'large'"):
        product("large", 2)
