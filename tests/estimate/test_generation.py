"""Sums of steps, against adding all of them up."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoplw.estimate.generation import FEWEST, MOST_PARTS, Figures, Part, known_first, parts, total, total_of_largest
from thoplw.estimate.polynomial import polynomial


class Steps:
    """Figures of steps, and which were asked for."""

    def __init__(self, figures: Callable[[int], Figures]) -> None:
        self._figures = figures
        self.asked: set[int] = set()

    def __call__(self, position: int) -> Figures:
        self.asked.add(position)
        return self._figures(position)


def line(position: int) -> Figures:
    return 3 * position + 7, 5


def window(position: int) -> Figures:
    return 2 * min(position, 1024) + position, min(position, 1024)


def two_windows(position: int) -> Figures:
    return min(position, 1024) + 5 * min(position, 3001), position


def no_cache(position: int) -> Figures:
    return 2 * position**2 + 3 * position + 1, 0


def triangle(position: int) -> Figures:
    return (position * (position + 1) // 2,)


def growing(position: int) -> Figures:
    return (position if position < 2000 else position**2,)


def pages(position: int) -> Figures:
    return (100 * -(-position // 256),)


@pytest.mark.parametrize(
    ("figures", "count"),
    [
        (line, 1),
        (window, 2),
        (two_windows, 3),
        (no_cache, 1),
        (triangle, 1),
        (growing, 2),
        (pages, 16),
    ],
)
def test_parts_end_where_a_formula_does_and_sums_are_exact(figures: Callable[[int], Figures], count: int) -> None:
    steps, first, last = Steps(figures), 100, 4000
    found = parts(steps, first, last)
    assert found is not None
    assert len(found) == count
    assert [found[0].first, *(each.first - 1 for each in found[1:])] == [first, *(each.last for each in found[:-1])]
    assert found[-1].last == last
    assert total(found) == tuple(map(sum, zip(*map(figures, range(first, last + 1)), strict=True)))
    assert len(steps.asked) < 25 * count
    for part in found:
        for position in {part.first, *part.held_out, part.last}:
            assert part.at(position) == figures(position)
        settled = {part.first, part.first + 1, part.first + 2}
        assert part.last - part.first < 4 or len({*part.held_out} - settled) >= 2


def test_a_line_takes_four_steps() -> None:
    steps = Steps(line)
    assert parts(steps, 4096, 5118) is not None
    assert steps.asked == {*known_first(4096, 5118)}


def test_what_is_no_formula_says_so() -> None:
    steps = Steps(lambda position: (position * 7919 % 1009,))
    assert parts(steps, 1, 1000) is None
    assert len(steps.asked) < 1000


@given(st.integers(1, 50), st.integers(0, 60), st.integers(1, 80), st.integers(0, 9), st.integers(0, 9))
def test_any_window_anywhere(first: int, more: int, size: int, slope: int, base: int) -> None:
    def figures(position: int) -> Figures:
        return slope * min(position, size) + base, position

    found = parts(figures, first, first + more)
    assert found is not None
    assert total(found) == tuple(map(sum, zip(*map(figures, range(first, first + more + 1)), strict=True)))


@pytest.mark.parametrize("count", range(1, FEWEST))
def test_few_steps_are_added_up_as_they_are(count: int) -> None:
    numbers = [3, 1, 4, 1, 5, 9, 2, 6][:count]
    found = parts(lambda position: (numbers[position - 10],), 10, 9 + count)
    assert found is not None
    assert total(found) == (sum(numbers),)
    assert len(found) <= MOST_PARTS


def test_the_largest_of_several_figures_is_summed_step_by_step() -> None:
    """Parabolas and lines that cross at any place, or nowhere, or touch."""
    draw = random.Random(0)
    for _ in range(300):
        first = draw.randrange(1, 50)
        last = first + draw.randrange(60)
        drawn = [
            polynomial(
                {
                    (2,): Fraction(draw.randrange(-3, 4), draw.randrange(1, 4)),
                    (1,): Fraction(draw.randrange(-60, 60)),
                    (0,): Fraction(draw.randrange(-900, 900)),
                }
            )
            for _ in range(draw.randrange(1, 6))
        ]
        part = Part(first=first, last=last, polynomials=tuple(drawn))
        assert total_of_largest([part, part]) == 2 * sum(max(part.at(step)) for step in range(first, last + 1))
