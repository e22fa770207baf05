"""The largest size within a limit, against trying every size."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from thoplw.estimate.inverse import last_within, turning
from thoplw.estimate.polynomial import polynomial

LINES = st.lists(st.integers(-30, 30), min_size=1, max_size=6).map(
    lambda factors: polynomial({(power,): Fraction(factor, 1 + power) for power, factor in enumerate(factors)})
)
RANGES = st.builds(
    lambda first, count, step: range(first, first + count * step, step),
    st.integers(-12, 12),
    st.integers(1, 25),
    st.integers(1, 7),
)


@given(LINES, RANGES, st.integers(-1000, 1000))
def test_it_is_the_one_that_trying_all_finds(line, sizes: range, most: int) -> None:  # type: ignore[no-untyped-def]
    tried = [size for size in sizes if line((size,)) <= most]
    assert last_within(line, most, sizes) == (tried[-1] if tried else None)


@given(LINES, RANGES)
def test_between_turns_it_only_rises_or_falls(line, sizes: range) -> None:  # type: ignore[no-untyped-def]
    turns = [0, *turning(line, sizes), len(sizes)]
    for first, end in pairwise(turns):
        values = [line((size,)) for size in sizes[first:end]]
        assert values in (sorted(values), sorted(values, reverse=True))
