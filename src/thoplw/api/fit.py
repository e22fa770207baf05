"""The largest size, such as a batch, with which a run keeps within some memory."""

from __future__ import annotations

from collections.abc import Callable

from thoplw.errors import InputError
from thoplw.render.units import quantity

#: No size above this is tried.
MOST = 1 << 20


def largest(peak: Callable[[int], int], limit: int, most: int = MOST) -> tuple[int, dict[int, int]]:
    """Return the largest size whose peak is within a limit, if the peak never falls as the size grows.

    The peak of a training step is a line in the batch, or a few: so the next size to try is where a line through two
    known ones meets the limit. That the size fits, and the next one does not, is told by running both.

    Args:
        peak: the bytes that are taken at a size.
        limit: the most that may be.
        most: the largest size to try.

    Returns:
        The size, and the peak of every size that was tried.

    Raises:
        InputError: not even one fits.
    """
    known = {1: peak(1)}
    if known[1] > limit:
        raise InputError(f"a batch of 1 takes {quantity(known[1], 'B')}, and {quantity(limit, 'B')} are allowed")
    low, high = 1, most + 1
    halve = False
    while high - low > 1:
        wide = high - low
        guess = (low + high) // 2 if halve else _guess(known, limit, low)
        size = min(max(guess, low + 1), high - 1)
        known[size] = peak(size)
        if known[size] <= limit:
            low = size
        else:
            high = size
        halve = not halve and 2 * (high - low) > wide and high <= most
    return low, known


def _guess(known: dict[int, int], limit: int, low: int) -> int:
    """Return where a line through the two known sizes next to the limit meets it."""
    if len(known) == 1:
        return 2 * low
    (_, first), (_, second) = sorted((abs(size - low), size) for size in known)[:2]
    rise = (known[second] - known[first]) / (second - first)
    return int(first + (limit - known[first]) // rise) if rise > 0 else 2 * low
