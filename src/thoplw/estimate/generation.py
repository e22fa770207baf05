"""Add up what many steps cost from a few of them, exactly.

For example, step ``L`` of a Llama costs ``a*L + b``, as it attends to ``L`` positions. Steps 4096, 4097 and 4098 settle
and check the line; two more, at the end and in between, must lie on it. Every second layer of Gemma attends to at most
1024 positions: steps below and above that are two parts, and bisection finds where the first ends.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, pairwise
from math import comb, floor

from thoplw.estimate.polynomial import Polynomial, through

#: The figures of a step: costs, bytes, times. Each has a polynomial of its own.
Figures = tuple[int | Fraction, ...]

#: The highest degree: a model without a cache runs all positions again, and they may attend to each other.
MOST_DEGREE = 2

#: If there are more parts than this, steps have no formula, and all of them must run.
MOST_PARTS = 32

#: If there are fewer steps than this, all of them run.
FEWEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Steps in a row whose figures are polynomials in their position.

    Attributes:
        first: the first step.
        last: the last one.
        polynomials: one for each figure.
        held_out: steps at which the polynomials were checked, and agree.
    """

    first: int
    last: int
    polynomials: tuple[Polynomial, ...]
    held_out: tuple[int, ...] = ()

    def at(self, position: int) -> tuple[Fraction, ...]:
        """Return the figures of a step."""
        return tuple(each((position,)) for each in self.polynomials)

    @property
    def total(self) -> tuple[int, ...]:
        """The sums of the figures of all steps, which are whole numbers."""
        sums = [_sum(each, self.first, self.last) for each in self.polynomials]
        assert all(each.denominator == 1 for each in sums)
        return tuple(map(int, sums))

    @property
    def total_of_largest(self) -> Fraction:
        """The sum of the largest figure of each step.

        Between two steps at which figures change their order, one is the largest throughout, and so is its sum.
        """
        ends = sorted({self.first, self.last + 1, *self._crossings()})
        return sum(
            (max(_sum(each, first, after - 1) for each in self.polynomials) for first, after in pairwise(ends)),
            start=Fraction(0),
        )

    def _crossings(self) -> Iterator[int]:
        """Yield steps at which one figure begins to be above another, or ceases to be."""
        for one, other in combinations(self.polynomials, 2):
            steep, slope = (one.terms.get((power,), 0) - other.terms.get((power,), 0) for power in (2, 1))
            turn = floor(-Fraction(slope) / (2 * steep)) + 1 if steep else self.first
            turn = min(max(turn, self.first), self.last + 1)
            # The difference is monotonic before the turn, and from there on.
            for first, after in pairwise((self.first, turn, self.last + 1)):
                if first < after:
                    above = one((first,)) > other((first,))
                    places = range(first, after)
                    yield first
                    yield first + bisect_left(places, True, key=lambda at: (one((at,)) > other((at,))) is not above)


def _sum(polynomial: Polynomial, first: int, last: int) -> Fraction:
    """Return the sum of ``n`` values in a row by forward differences: the ``k``-th counts ``comb(n, k + 1)`` times."""
    degree = max((powers[0] for powers in polynomial.terms), default=0)
    differences = [polynomial((first + place,)) for place in range(degree + 1)]
    count, total = last - first + 1, Fraction(0)
    for order in range(degree + 1):
        total += differences[0] * comb(count, order + 1)
        differences = [high - low for low, high in pairwise(differences)]
    return total


def known_first(first: int, last: int) -> tuple[int, ...]:
    """Return the steps that :func:`parts` always asks for, of :data:`FEWEST` or more."""
    return (first, first + 1, last, _between(first, last))


def parts(at: Callable[[int], Figures], first: int, last: int) -> tuple[Part, ...] | None:
    """Cut steps into parts in which polynomials hold; return None if there are too many parts.

    Args:
        at: the figures of a step, which may be asked for several times.
        first: the first step.
        last: the last one.
    """
    found: list[Part] = []
    while not found or found[-1].last < last:
        if len(found) == MOST_PARTS:
            return None
        found.append(_part(at, found[-1].last + 1 if found else first, last))
    return tuple(found)


def _part(at: Callable[[int], Figures], first: int, last: int) -> Part:
    """Return the longest part that begins with a step."""
    for degree in range(1, MOST_DEGREE + 1):
        settled = first + degree
        if settled >= last:
            break
        part = Part(first=first, last=settled, polynomials=_through(at, range(first, settled + 1)))
        grown = _grown(part, at, last)
        if grown.last > settled:
            return grown
    # Too few steps are left to check anything, or nothing holds here: return two steps, or one.
    places = range(first, last + 1) if last - first <= 1 else range(first, first + 1)
    return Part(first=first, last=places[-1], polynomials=_through(at, places))


def _through(at: Callable[[int], Figures], places: range) -> tuple[Polynomial, ...]:
    known = {place: at(place) for place in places}
    count = len(known[places[0]])
    return tuple(through([places], {(place,): known[place][each] for place in places}) for each in range(count))


def _grown(part: Part, at: Callable[[int], Figures], last: int) -> Part:
    """Extend a part as far as its polynomials hold, by bisection."""
    held_out: set[int] = set()

    def holds(place: int) -> bool:
        held_out.add(place)
        return part.at(place) == at(place)

    bad = last + 1
    # A part most often holds to the end, so check there first, and in between.
    while (missed := _missed(holds, part, bad - 1)) is not None:
        good, bad = part.last, missed
        if bad > good + 1 and not holds(good + 1):  # the usual case if nothing holds
            bad = good + 1
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if holds(middle) else (good, middle)
    kept = sorted(place for place in held_out if place < bad)
    return replace(part, last=bad - 1, held_out=tuple(kept))


def _missed(holds: Callable[[int], bool], part: Part, end: int) -> int | None:
    """Return a step at which a part does not hold, out of the end and one before it; None if it holds at both."""
    places = (end, _between(part.first, end))
    return next((place for place in places if place > part.last and not holds(place)), None)


def _between(first: int, last: int) -> int:
    """Return a step within a part, far from its ends, and unlikely to be a multiple of a size."""
    return first + int((last - first) * (5**0.5 - 1) / 2)


def total(found: Sequence[Part]) -> tuple[int, ...]:
    """Return the sums of the figures of all steps of some parts."""
    return tuple(map(sum, zip(*(part.total for part in found), strict=True)))


def total_of_largest(found: Sequence[Part]) -> Fraction:
    """Return the sum of the largest figure of each step of some parts."""
    return sum((part.total_of_largest for part in found), start=Fraction(0))
