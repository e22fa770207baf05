"""Amounts of data add up, part by part."""

from __future__ import annotations

from thoplw.record import NOTHING, Traffic

COPY = Traffic(read=8, written=4)


def test_sums_and_multiples() -> None:
    assert COPY + Traffic(read=1) + NOTHING == Traffic(read=9, written=4)
    assert COPY * 3 == 3 * COPY == Traffic(read=24, written=12)
    assert COPY * 0 == NOTHING


def test_the_total_is_of_both() -> None:
    assert (COPY.total, NOTHING.total) == (12, 0)
