"""Fit polynomials with rational coefficients to known values, exactly.

For example, the values 7, 13 and 21 at 2, 3 and 4 give ``x^2 + x + 1``::

    >>> dict(through([(2, 3, 4)], {(2,): 7, (3,): 13, (4,): 21}).terms)
    {(2,): Fraction(1, 1), (1,): Fraction(1, 1), (0,): Fraction(1, 1)}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import lcm, prod

#: A size for each variable, in the order of the variables.
Point = tuple[int, ...]

#: The power of each variable in a term.
Powers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A sum of terms, such as ``9/32*R^4``.

    Attributes:
        terms: powers of the variables -> coefficient, the highest powers first; none is zero.
    """

    terms: Mapping[Powers, Fraction]

    def __call__(self, point: Sequence[int]) -> Fraction:
        """Return the value at a point."""
        return sum((factor * _monomial(powers, point) for powers, factor in self.terms.items()), start=Fraction(0))

    def along(self, axis: int, point: Sequence[int]) -> Polynomial:
        """Return the polynomial in one variable, with the others fixed at the sizes of a point."""
        found: dict[Powers, Fraction] = {}
        for powers, factor in self.terms.items():
            rest = [0 if at == axis else power for at, power in enumerate(powers)]
            key = (powers[axis],)
            found[key] = found.get(key, Fraction(0)) + factor * _monomial(rest, point)
        return polynomial(found)

    def __sub__(self, other: int) -> Polynomial:
        """Subtract a number from a polynomial in one variable."""
        return polynomial({**self.terms, (0,): self.terms.get((0,), Fraction(0)) - other})

    def grown(self, step: int) -> Polynomial:
        """Return how much a polynomial in one variable ``x`` grows from ``x`` to ``x + step``."""
        degree = max((powers[0] for powers in self.terms), default=0)
        places = range(max(degree, 1))
        return through([places], {(at,): self((at + step,)) - self((at,)) for at in places})

    @property
    def denominator(self) -> int:
        """The smallest number that makes all coefficients whole."""
        return lcm(*(factor.denominator for factor in self.terms.values()))


def polynomial(terms: Mapping[Powers, Fraction]) -> Polynomial:
    """Return the polynomial of these terms, sorted by degree, then by the powers of the last variable."""
    known = {powers: factor for powers, factor in terms.items() if factor}
    return Polynomial({powers: known[powers] for powers in sorted(known, key=_rank, reverse=True)})


def _rank(powers: Powers) -> tuple[int, Powers]:
    return sum(powers), powers[::-1]


def _monomial(powers: Sequence[int], point: Sequence[int]) -> int:
    return prod(size**power for size, power in zip(point, powers, strict=True) if power)


def through(grid: Sequence[Sequence[int]], values: Mapping[Point, int | Fraction]) -> Polynomial:
    """Return the polynomial with given values on a grid; its degree in a variable is below the number of sizes there.

    Args:
        grid: for each variable, the sizes at which the value is known.
        values: each combination of sizes -> value.
    """
    # For one variable after the other, turn the values at its sizes into coefficients of its powers.
    known = {place: Fraction(values[point]) for place, point in zip(_places(grid), product(*grid), strict=True)}
    for axis, sizes in enumerate(grid):
        found: dict[Point, Fraction] = {}
        for place in known:
            if place[axis] == 0:
                line = [(*place[:axis], power, *place[axis + 1 :]) for power in range(len(sizes))]
                found.update(zip(line, _coefficients(sizes, [known[at] for at in line]), strict=True))
        known = found
    return polynomial(known)


def _places(grid: Sequence[Sequence[int]]) -> Iterator[Point]:
    return product(*(range(len(sizes)) for sizes in grid))


def _coefficients(sizes: Sequence[int], values: Sequence[Fraction]) -> list[Fraction]:
    """Return the coefficients of the powers 0, 1, 2, ... of one variable, by Newton's divided differences."""
    differences = list(values)
    for order in range(1, len(sizes)):
        for at in range(len(sizes) - 1, order - 1, -1):
            differences[at] = (differences[at] - differences[at - 1]) / (sizes[at] - sizes[at - order])
    found = [Fraction(0)] * len(sizes)
    for at in range(len(sizes) - 1, -1, -1):  # Horner: found = found * (x - sizes[at]) + differences[at]
        shifted = [Fraction(0), *found[:-1]]
        found = [up - sizes[at] * same for up, same in zip(shifted, found, strict=True)]
        found[0] += differences[at]
    return found
