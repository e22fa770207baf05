"""What the caching allocator of CUDA makes of the bytes that a run requests.

Example: 600 bytes take a block of 1,024, cut from a segment of 2 MiB that the allocator asked the driver for and keeps.
``torch.cuda.max_memory_allocated()`` tells of blocks, and ``max_memory_reserved()`` of segments. The sizes below are
those of ``c10/cuda/CUDACachingAllocator`` in PyTorch's source, described in "CUDA semantics: memory management" of its
documentation, with the settings that it has by default.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from thoplw.record import Lifetimes

#: Blocks are a multiple of this.
BLOCK = 512

#: Blocks up to this come from small segments, and others from large ones; what is left over of a large one is a block
#: of its own above this.
SMALL = 1 << 20

#: The size of a small segment, and that of a large one for blocks below ``LARGE``; those for others are a multiple of
#: the first.
SMALL_SEGMENT, LARGE_SEGMENT, LARGE = 2 << 20, 20 << 20, 10 << 20


class Allocated(NamedTuple):
    """What an allocator has at most at a time, in bytes.

    Attributes:
        allocated: in blocks that are in use, as ``torch.cuda.max_memory_allocated()`` tells it.
        reserved: in segments, as ``torch.cuda.max_memory_reserved()`` tells it.
    """

    allocated: int
    reserved: int


class NoRoomError(Exception):
    """A segment is needed that is larger than what is left of the capacity."""


@dataclass(slots=True, eq=False)
class Block:
    """A part of a segment; those before and after it are parts of the same one.

    Attributes:
        place: tells blocks of one size apart, as addresses do: of those that fit equally well the lowest is taken. A
            driver puts a new segment below those that there are.
    """

    size: int
    place: tuple[int, int]
    is_free: bool = True
    before: Block | None = None
    after: Block | None = None


_Free = list[tuple[int, tuple[int, int], Block]]


@dataclass(slots=True)
class CachingAllocator:
    """Segments, and blocks in them: those of one size, in use or free, are merged with what is free beside them.

    Attributes:
        capacity: bytes that segments may take; ``None`` where there is no limit.
        allocated: bytes of blocks in use, now.
        reserved: bytes of segments, now.
        most: of both, at most so far.
    """

    capacity: int | None = None
    allocated: int = 0
    reserved: int = 0
    most: Allocated = field(default_factory=lambda: Allocated(0, 0))
    _free: dict[bool, _Free] = field(default_factory=lambda: {True: [], False: []})
    _segments: count[int] = field(default_factory=lambda: count(0, -1))

    def take(self, size: int) -> Block:
        """A block for some bytes.

        Raises:
            NoRoomError: there is no room for it, not even without the segments that nobody uses.
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
        """The first of two blocks with the second in it; ``free`` is that of them which was free before."""
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
        """Give the driver back every segment that nobody uses."""
        for small, free in self._free.items():
            whole = [each for each in free if each[2].before is None and each[2].after is None]
            self.reserved -= sum(size for size, *_ in whole)
            self._free[small] = [each for each in free if each not in whole]


def allocated(lifetimes: Lifetimes, capacity: int | None = None) -> Allocated:
    """What the caching allocator has at most while storages come and go.

    Args:
        lifetimes: the storages.
        capacity: bytes that it may reserve; without it there is no limit.

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
    """The events of storages that take some bytes."""
    return (event for event in lifetimes.events if lifetimes.storages[max(event, ~event)].size)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
