"""The largest batch within some memory, against trying every batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoplw.api.fit import largest
from thoplw.errors import InputError


@given(st.integers(0, 50), st.lists(st.integers(0, 9), min_size=40, max_size=40), st.integers(0, 300))
def test_it_is_the_one_that_trying_all_finds(first: int, steps: list[int], limit: int) -> None:
    def peak(size: int) -> int:
        return first + sum(steps[:size])

    fitting = [size for size in range(1, 41) if peak(size) <= limit]
    if not fitting:
        with pytest.raises(InputError, match="a batch of 1 takes"):
            largest(peak, limit, 40)
        return
    assert largest(peak, limit, 40)[0] == fitting[-1]


def test_a_line_takes_few_runs() -> None:
    size, known = largest(lambda size: 1_000_000 + 12_345 * size, 2_400_000_000)
    assert size == (2_400_000_000 - 1_000_000) // 12_345
    assert len(known) <= 6
