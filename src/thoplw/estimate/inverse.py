"""The other way round: up to which size a polynomial in one variable stays within a limit, exactly.

For example, ``x^2 - 10*x`` is at most 24 up to 12, although it is less at 5 than at 1.
"""

from __future__ import annotations

from itertools import pairwise

from thoplw.estimate.polynomial import Polynomial


def last_within(line: Polynomial, most: int, sizes: range) -> int | None:
    """The last of some sizes at which a polynomial in one variable is no more than a limit, exactly; or None."""
    above = line - most
    turns = [0, *turning(above, sizes), len(sizes)]
    for first, end in reversed(list(pairwise(turns))):
        # From here to the end it only falls or only rises.
        if above((sizes[end - 1],)) <= 0:
            return sizes[end - 1]
        if above((sizes[first],)) <= 0:
            low, high = first, end - 1
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if above((sizes[middle],)) <= 0 else (low, middle)
            return sizes[low]
    return None


def turning(line: Polynomial, sizes: range) -> list[int]:
    """Places of a range at which a polynomial may begin to rise or to fall; between two of them it does but one.

    How much it grows from one size to the next is a polynomial of a lower degree: where that changes its sign is found
    between the places at which that turns.
    """
    if max((powers[0] for powers in line.terms), default=0) < 2 or len(sizes) < 3:
        return []
    growth, places = line.grown(sizes.step), sizes[:-1]
    turns = [0, *turning(growth, places), len(places)]
    found = []
    for first, end in pairwise(turns):
        low, high = first, end - 1
        rises = growth((places[low],)) > 0
        if (growth((places[high],)) > 0) != rises:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if (growth((places[middle],)) > 0) == rises else (low, middle)
            found.append(high)
        found.append(end)
    return sorted({place for place in found if 0 < place < len(sizes)})
