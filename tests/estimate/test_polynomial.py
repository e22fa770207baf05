"""Polynomials through known values."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from thoplw.estimate.polynomial import polynomial, through

FACTORS = st.fractions(max_denominator=64)


@given(
    st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 4)), FACTORS, max_size=8),
    st.sets(st.integers(1, 9000), min_size=3, max_size=3),
    st.sets(st.integers(1, 9000), min_size=5, max_size=5),
)
def test_values_on_a_grid_give_the_polynomial_back(
    terms: dict[tuple[int, int], Fraction], across: set[int], down: set[int]
) -> None:
    made = polynomial(terms)
    grid = [*across], [*down]
    assert through(grid, {point: made(point) for point in product(*grid)}) == made


def test_a_term_without_a_factor_is_left_out() -> None:
    assert dict(polynomial({(2,): Fraction(0), (1,): Fraction(3)}).terms) == {(1,): 3}


def test_along_fixes_all_variables_but_one() -> None:
    made = polynomial({(1, 2): Fraction(3), (0, 2): Fraction(5), (1, 0): Fraction(7)})
    line = made.along(1, (4, 0))
    assert dict(line.terms) == {(2,): 17, (0,): 28}
    assert line((6,)) == made((4, 6))


@given(st.lists(FACTORS, min_size=1, max_size=6), st.integers(1, 40), st.integers(-50, 50))
def test_growth_is_the_difference_of_neighbours(factors: list[Fraction], step: int, at: int) -> None:
    line = polynomial({(power,): factor for power, factor in enumerate(factors)})
    assert line.grown(step)((at,)) == line((at + step,)) - line((at,))
