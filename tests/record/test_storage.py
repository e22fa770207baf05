"""Lifetimes of storages, as plain values."""

from __future__ import annotations

from itertools import pairwise

import pytest

from thoplw.record import Kind, Lifetimes, Storage

#: A weight; what steps 0 and 2 made, gone before steps 2 and 4; what steps 1 and 3 made, there to the end.
ALL = Lifetimes(
    storages=(
        Storage(100, Kind.WEIGHTS, -1),
        Storage(10, Kind.TEMPORARIES, 0, 2),
        Storage(20, Kind.CACHE, 1),
        Storage(30, Kind.TEMPORARIES, 2, 4),
        Storage(40, Kind.OUTPUTS, 3),
    ),
    events=(0, 1, 2, ~1, 3, 4, ~3),
    iterations=((0, 1),),
)


def test_all_steps_are_the_whole() -> None:
    assert ALL.between(0, 5) == ALL


@pytest.mark.parametrize(
    ("first", "end", "sizes", "levels"),
    [
        (0, 2, [100, 10, 20], [100, 110, 130]),
        (1, 3, [100, 10, 20, 30], [100, 110, 130, 120, 150]),
        (2, 4, [100, 20, 30, 40], [100, 120, 150, 190]),
        (3, 5, [100, 20, 30, 40], [100, 120, 150, 190, 160]),
        (4, 5, [100, 20, 40], [100, 120, 160]),
    ],
)
def test_some_steps_have_what_was_there_before(first: int, end: int, sizes: list[int], levels: list[int]) -> None:
    part = ALL.between(first, end)
    assert [storage.size for storage in part.storages] == sizes
    assert list(part.live()) == levels
    (_, there), *_ = part.iterations
    assert [storage.step for storage in part.storages[:there]] == [-1] * there
    assert all(one.step <= other.step for one, other in pairwise(part.storages))
    assert all(0 <= storage.step < end - first for storage in part.storages[there:])
