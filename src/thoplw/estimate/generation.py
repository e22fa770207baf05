"""Add up what many steps cost from a few of them, exactly.

Example: step ``L`` of a Llama costs ``a*L + b``, as it attends to ``L`` positions. Steps 4096, 4097 and 4098 settle and
check the line; two more, at the end and in between, have to lie on it. Of Gemma each second layer attends to 1024
positions at most: steps below and above that are two parts, and bisection finds where one ends.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, pairwise
from math import comb, floor

from thoplw.estimate.polynomial import Polynomial, through

#: What is known of a step: costs, bytes, times; each is a polynomial of its own.
Figures = tuple[int | Fraction, ...]

#: A model without a cache runs over all positions again, which may attend to each other.
MOST_DEGREE = 2

#: Where there are more parts than this, steps are no formula, and all of them are to be run.
MOST_PARTS = 32

#: With fewer steps than this, all of them are run.
FEWEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Steps in a row whose figures are polynomials in their position.

    Attributes:
        first: the first step.
        last: the last one.
        polynomials: one for each figure.
        held_out: steps that the polynomials were not made of, and agree with.
    """

    first: int
    last: int
    polynomials: tuple[Polynomial, ...]
    held_out: tuple[int, ...] = ()

    def at(self, position: int) -> tuple[Fraction, ...]:
        """The figures of a step."""
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

        Between two steps at which figures change places, one is the largest throughout, and so is its sum.
        """
        ends = sorted({self.first, self.last + 1, *self._crossings()})
        return sum(
            (max(_sum(each, first, after - 1) for each in self.polynomials) for first, after in pairwise(ends)),
            start=Fraction(0),
        )

    def _crossings(self) -> Iterator[int]:
        """Steps that begin a stretch in which one figure is above another, or no longer is."""
        for one, other in combinations(self.polynomials, 2):
            steep, slope = (one.terms.get((power,), 0) - other.terms.get((power,), 0) for power in (2, 1))
            turn = floor(-Fraction(slope) / (2 * steep)) + 1 if steep else self.first
            turn = min(max(turn, self.first), self.last + 1)
            # Before the turn, and from there on, the difference does not change direction.
            for first, after in pairwise((self.first, turn, self.last + 1)):
                if first < after:
                    above = one((first,)) > other((first,))
                    places = range(first, after)
                    yield first
                    yield first + bisect_left(places, True, key=lambda at: (one((at,)) > other((at,))) is not above)


def _sum(polynomial: Polynomial, first: int, last: int) -> Fraction:
    """A sum of values in a row, by Newton's forward differences: of ``k``-th ones, ``comb(n, k + 1)`` each."""
    degree = max((powers[0] for powers in polynomial.terms), default=0)
    differences = [polynomial((first + place,)) for place in range(degree + 1)]
    count, total = last - first + 1, Fraction(0)
    for order in range(degree + 1):
        total += differences[0] * comb(count, order + 1)
        differences = [high - low for low, high in pairwise(differences)]
    return total


def known_first(first: int, last: int) -> tuple[int, ...]:
    """The steps that :func:`parts` asks for in any case, of no fewer than :data:`FEWEST`."""
    return (first, first + 1, last, _between(first, last))


def parts(at: Callable[[int], Figures], first: int, last: int) -> tuple[Part, ...] | None:
    """Cut steps into parts in which polynomials hold; None where there are too many parts.

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
    """The longest part that begins with a step."""
    for degree in range(1, MOST_DEGREE + 1):
        settled = first + degree
        if settled >= last:
            break
        part = Part(first=first, last=settled, polynomials=_through(at, range(first, settled + 1)))
        grown = _grown(part, at, last)
        if grown.last > settled:
            return grown
    # Too few steps are left to check anything, or nothing holds here: as many as settle it, or one.
    places = range(first, last + 1) if last - first <= 1 else range(first, first + 1)
    return Part(first=first, last=places[-1], polynomials=_through(at, places))


def _through(at: Callable[[int], Figures], places: range) -> tuple[Polynomial, ...]:
    known = {place: at(place) for place in places}
    count = len(known[places[0]])
    return tuple(through([places], {(place,): known[place][each] for place in places}) for each in range(count))


def _grown(part: Part, at: Callable[[int], Figures], last: int) -> Part:
    """A part with as many steps more as its polynomials hold for, by bisection."""
    held_out: set[int] = set()

    def holds(place: int) -> bool:
        held_out.add(place)
        return part.at(place) == at(place)

    bad = last + 1
    # Most often it holds to the end: ask there first, and in between.
    while (missed := _missed(holds, part, bad - 1)) is not None:
        good, bad = part.last, missed
        if bad > good + 1 and not holds(good + 1):  # most often where nothing holds
            bad = good + 1
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if holds(middle) else (good, middle)
    kept = sorted(place for place in held_out if place < bad)
    return replace(part, last=bad - 1, held_out=tuple(kept))


def _missed(holds: Callable[[int], bool], part: Part, end: int) -> int | None:
    """A step up to some end at which a part does not hold, if one of two is such."""
    places = (end, _between(part.first, end))
    return next((place for place in places if place > part.last and not holds(place)), None)


def _between(first: int, last: int) -> int:
    """A step within a part, far from its ends, and from what is a multiple of anything."""
    return first + int((last - first) * (5**0.5 - 1) / 2)


def total(found: Sequence[Part]) -> tuple[int, ...]:
    """The sums of the figures of all steps of some parts."""
    return tuple(map(sum, zip(*(part.total for part in found), strict=True)))


def total_of_largest(found: Sequence[Part]) -> Fraction:
    """The sum of the largest figure of each step of some parts."""
    return sum((part.total_of_largest for part in found), start=Fraction(0))
