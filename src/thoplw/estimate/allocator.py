"""Compute how much memory the caching allocator of CUDA takes for the bytes that a run requests.

For example, 600 bytes take a block of 1,024, cut from a segment of 2 MiB that the allocator gets from the driver and
keeps. ``torch.cuda.max_memory_allocated()`` counts blocks, and ``max_memory_reserved()`` counts segments. The sizes
below are the defaults of ``c10/cuda/CUDACachingAllocator`` in PyTorch's source, which "CUDA semantics: memory
management" in its documentation describes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from thoplw.record import Lifetimes

#: The sizes of blocks are multiples of this.
BLOCK = 512

#: Blocks up to this come from small segments, and others from large ones. The rest of a block of a large segment is a
#: block of its own if it is larger than this.
SMALL = 1 << 20

#: The size of a small segment, and that of a large one for blocks below ``LARGE``. For larger blocks the size of a
#: segment is a multiple of the first.
SMALL_SEGMENT, LARGE_SEGMENT, LARGE = 2 << 20, 20 << 20, 10 << 20


class Allocated(NamedTuple):
    """The most bytes that an allocator has at any time.

    Attributes:
        allocated: in blocks that are in use, as ``torch.cuda.max_memory_allocated()`` tells it.
        reserved: in segments, as ``torch.cuda.max_memory_reserved()`` tells it.
    """

    allocated: int
    reserved: int


class NoRoomError(Exception):
    """A segment is needed, and is larger than the rest of the capacity."""


@dataclass(slots=True, eq=False)
class Block:
    """A part of a segment. The blocks before and after it are parts of the same segment.

    Attributes:
        place: stands for the address: of blocks of one size the lowest is taken. A driver puts a new segment below the
            existing ones.
    """

    size: int
    place: tuple[int, int]
    is_free: bool = True
    before: Block | None = None
    after: Block | None = None


_Free = list[tuple[int, tuple[int, int], Block]]


@dataclass(slots=True)
class CachingAllocator:
    """Segments, and blocks in them. A block that is given back is merged with free blocks beside it.

    Attributes:
        capacity: bytes that segments may take; ``None`` for no limit.
        allocated: bytes of blocks in use, now.
        reserved: bytes of segments, now.
        most: the largest of both so far.
    """

    capacity: int | None = None
    allocated: int = 0
    reserved: int = 0
    most: Allocated = field(default_factory=lambda: Allocated(0, 0))
    _free: dict[bool, _Free] = field(default_factory=lambda: {True: [], False: []})
    _segments: count[int] = field(default_factory=lambda: count(0, -1))

    def take(self, size: int) -> Block:
        """Return a block for some bytes.

        Raises:
            NoRoomError: there is no room for it, even after all unused segments are released.
        """
        size = max(BLOCK, _up(size, BLOCK))
        small = size <= SMALL
        free = self._free[small]
        at = bisect_left(free, (size,))  # shorter tuples come first
        block = free.pop(at)[2] if at < len(free) else self._segment(size)
        left = block.size - size
        if left >= BLOCK if small else left > SMALL:
            rest = Block(left, (block.place[0], block.place[1] + size), before=block, after=block.after)
            if block.after is not None:
                block.after.before = rest
            block.after, block.size = rest, size
            self._keep(rest, small)
        block.is_free = False
        self.allocated += block.size
        self.most = Allocated(max(self.most.allocated, self.allocated), max(self.most.reserved, self.reserved))
        return block

    def give_back(self, block: Block, size: int) -> None:
        """Take back the block that was taken for some bytes."""
        small = max(BLOCK, _up(size, BLOCK)) <= SMALL
        self.allocated -= block.size
        if block.before is not None and block.before.is_free:
            block = self._merged(block.before, block, block.before, small)
        if block.after is not None and block.after.is_free:
            block = self._merged(block, block.after, block.after, small)
        self._keep(block, small)

    def _merged(self, first: Block, second: Block, free: Block, small: bool) -> Block:
        """Return the first of two blocks with the second merged into it; ``free`` is the one that was free before."""
        known = self._free[small]
        known.pop(bisect_left(known, (free.size, free.place)))
        first.size += second.size
        first.after = second.after
        if second.after is not None:
            second.after.before = first
        return first

    def _keep(self, block: Block, small: bool) -> None:
        block.is_free = True
        insort(self._free[small], (block.size, block.place, block))

    def _segment(self, size: int) -> Block:
        size = SMALL_SEGMENT if size <= SMALL else LARGE_SEGMENT if size < LARGE else _up(size, SMALL_SEGMENT)
        if self.capacity is not None and self.reserved + size > self.capacity:
            self._let_go()
            if self.reserved + size > self.capacity:
                raise NoRoomError
        self.reserved += size
        return Block(size, (next(self._segments), 0))

    def _let_go(self) -> None:
        """Give all unused segments back to the driver."""
        for small, free in self._free.items():
            whole = [each for each in free if each[2].before is None and each[2].after is None]
            self.reserved -= sum(size for size, *_ in whole)
            self._free[small] = [each for each in free if each not in whole]


def allocated(lifetimes: Lifetimes, capacity: int | None = None) -> Allocated:
    """Return the most that the caching allocator has while storages come and go.

    Args:
        lifetimes: the storages.
        capacity: bytes that it may reserve; ``None`` for no limit.

    Raises:
        NoRoomError: the storages do not fit.
    """
    allocator = CachingAllocator(capacity)
    blocks: dict[int, Block] = {}
    for event in _sized(lifetimes):
        if event >= 0:
            blocks[event] = allocator.take(lifetimes.storages[event].size)
        else:
            allocator.give_back(blocks.pop(~event), lifetimes.storages[~event].size)
    return allocator.most


def _sized(lifetimes: Lifetimes) -> Iterable[int]:
    """Return the events of storages that are not empty."""
    return (event for event in lifetimes.events if lifetimes.storages[max(event, ~event)].size)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
