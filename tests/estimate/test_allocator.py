"""The caching allocator, by hand; and what holds for any order of storages."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoplw.estimate.allocator import Allocated, CachingAllocator, NoRoomError, allocated
from thoplw.record import Kind, Lifetimes, Storage

MIB = 1 << 20


@pytest.mark.parametrize(
    ("size", "block", "segment"),
    [
        (1, 512, 2 * MIB),
        (512, 512, 2 * MIB),
        (513, 1024, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        # A rest of 1 MiB or less stays with a large block.
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (11 * MIB, 12 * MIB, 12 * MIB),
        (19 * MIB, 20 * MIB, 20 * MIB),
    ],
)
def test_one_storage(size: int, block: int, segment: int) -> None:
    allocator = CachingAllocator()
    allocator.take(size)
    assert allocator.most == Allocated(block, segment)


def test_what_is_free_is_merged_and_used_again() -> None:
    allocator = CachingAllocator()
    blocks = [allocator.take(MIB // 2) for _ in range(4)]
    assert allocator.reserved == 2 * MIB
    for place in (1, 3, 2):
        allocator.give_back(blocks[place], MIB // 2)
    allocator.take(MIB)  # of three halves
    assert allocator.reserved == 2 * MIB
    allocator.take(MIB)
    assert allocator.reserved == 4 * MIB


def test_the_best_fit_is_taken() -> None:
    allocator = CachingAllocator()
    large, _, small, _ = (allocator.take(size * MIB) for size in (8, 2, 4, 2))
    allocator.give_back(large, 8 * MIB)
    allocator.give_back(small, 4 * MIB)
    assert allocator.take(4 * MIB).place == small.place


def test_of_equal_fits_the_newest_segment_is_taken() -> None:
    """A driver hands out addresses downwards, and the lowest address is taken."""
    allocator = CachingAllocator()
    blocks = [allocator.take(20 * MIB) for _ in range(3)]
    for block in blocks:
        allocator.give_back(block, 20 * MIB)
    assert allocator.take(20 * MIB) is blocks[2]


def test_of_equal_fits_in_a_segment_the_first_is_taken() -> None:
    allocator = CachingAllocator()
    blocks = [allocator.take(4 * MIB) for _ in range(5)]
    for place in (3, 1):
        allocator.give_back(blocks[place], 4 * MIB)
    assert allocator.take(4 * MIB).place == blocks[1].place


def test_unused_segments_make_room() -> None:
    allocator = CachingAllocator(capacity=30 * MIB)
    block = allocator.take(20 * MIB)
    allocator.give_back(block, 20 * MIB)
    allocator.take(24 * MIB)
    assert allocator.reserved == 24 * MIB
    with pytest.raises(NoRoomError):
        allocator.take(12 * MIB)


SIZES = st.lists(st.integers(1, 30 * MIB), min_size=1, max_size=30)


@given(SIZES, st.randoms())
def test_blocks_never_overlap_and_all_comes_back(sizes: list[int], random: object) -> None:
    allocator = CachingAllocator()
    taken = []
    for size in sizes:
        taken.append((allocator.take(size), size))
        if random.random() < 0.4:  # type: ignore[attr-defined] # of random.Random
            allocator.give_back(*taken.pop(random.randrange(len(taken))))  # type: ignore[attr-defined]
        spans = sorted((*block.place, block.size) for block, _ in taken)
        for (segment, start, length), (other, begin, _) in pairwise(spans):
            assert segment != other or start + length <= begin
        assert allocator.allocated == sum(block.size for block, _ in taken) <= allocator.reserved
    for block, size in taken:
        allocator.give_back(block, size)
    assert allocator.allocated == 0
    free = [each for kept in allocator._free.values() for each in kept]
    assert sum(size for size, *_ in free) == allocator.reserved
    assert all(block.before is None and block.after is None for *_, block in free)


def test_storages_that_come_and_go() -> None:
    lifetimes = Lifetimes(
        storages=tuple(Storage(size, Kind.TEMPORARIES, 0) for size in (600, 0, 3 * MIB)),
        events=(0, 1, ~0, ~1, 2),
        iterations=((0, 0),),
    )
    assert allocated(lifetimes) == Allocated(3 * MIB, 22 * MIB)
