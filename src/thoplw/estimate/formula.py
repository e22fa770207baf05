"""Find how a cost depends on sizes: fit a polynomial to some runs, and check it at others.

For example, a cost of ``3*B*S^2`` is measured at 2 * 3 points, which settle a polynomial of degree 1 in ``B`` and 2 in
``S``. Ten more runs, at the ends of the ranges and between, must have the cost that it gives; else there is no formula.

The degree in each variable rises until the polynomial agrees with two more runs. If no degree does, the search splits
sizes by residue: a network that halves its maps five times has one formula for each residue of its resolution by 32. If
that does not help either, it cuts the range where the formula of one part ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from random import Random

from thoplw.estimate.polynomial import Point, Polynomial, through

#: The highest degree in one variable that is tried. Attention among all places of a picture has degree 4 in its edge,
#: and among all places of a volume degree 6.
MOST_DEGREE = 6

#: A formula is checked at this many runs or more, if its ranges have so many; each of its pieces at two or more.
HELD_OUT = 10

#: After this many measurements the search gives up.
MOST_RUNS = 1000

#: If the modulus is larger than this, only one residue gets a formula.
MOST_RESIDUES = 32

#: The fewest sizes of a residue, or of half a range, that are worth a formula: they settle and check a degree of 4.
_FEWEST = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A polynomial, and where it holds.

    Attributes:
        ranges: the sizes of each variable.
        polynomial: the cost.
        grid: the sizes of each variable in the runs that settle it.
        held_out: the runs that it was checked at, and agrees with.
    """

    ranges: tuple[range, ...]
    polynomial: Polynomial
    grid: tuple[tuple[int, ...], ...]
    held_out: tuple[Point, ...]

    def holds(self, point: Point) -> bool:
        """Whether a point is in its ranges."""
        return all(size in sizes for size, sizes in zip(point, self.ranges, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Sizes that a model is made of, at which its cost may change its form.

    Attributes:
        moduli: sizes of patches, windows, chunks and strides.
        thresholds: sizes at which something may begin or end, such as a sliding window.
    """

    moduli: tuple[int, ...] = ()
    thresholds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """A cost that is known at some points, and can be measured at others.

    Attributes:
        at: gives the cost at a point.
        known: returns the points at which it was measured for any purpose.
    """

    at: Callable[[Point], int]
    known: Callable[[], Iterable[Point]]


def solve(
    measure: Measure, ranges: Sequence[range], hints: Hints | None = None, *, whole: bool = False
) -> tuple[Piece, ...]:
    """Return the pieces of a formula, the largest first. They do not overlap. There are none if nothing holds.

    Args:
        measure: the cost at a point. It is called for many points, for some of them often.
        ranges: the sizes of each variable.
        hints: sizes at which the cost may change its form.
        whole: try only one polynomial for the whole ranges, which takes few measurements.
    """
    asked: set[Point] = set()

    def at(point: Point) -> int:
        asked.add(point)
        if len(asked) > MOST_RUNS:
            raise _TooManyError
        return measure.at(point)

    try:
        return _Search(Measure(at, measure.known), tuple(ranges), hints or Hints(), whole).pieces()
    except _TooManyError:
        return ()


class _TooManyError(Exception):
    """A search has asked for more measurements than it may."""


class _Search:
    def __init__(self, measure: Measure, ranges: tuple[range, ...], hints: Hints, whole: bool) -> None:
        self._measure = measure
        self._ranges = ranges
        self._hints = hints
        self._whole = whole
        self._base = tuple(spread(sizes)[0] for sizes in ranges)

    def pieces(self) -> tuple[Piece, ...]:
        lines = [_Line(self._measure.at, self._base, axis, self._hints) for axis in range(len(self._ranges))]
        parts = [line.parts(sizes, whole=self._whole) for line, sizes in zip(lines, self._ranges, strict=True)]
        found: list[Piece] = []
        for cell in sorted(product(*parts), key=_size, reverse=True):
            piece = self._piece(lines, cell, 2 if found else HELD_OUT, 0 if self._whole else 3)
            if piece is not None:
                found.append(piece)
        return tuple(found)

    def _piece(self, lines: Sequence[_Line], cell: tuple[range, ...], count: int, cuts: int) -> Piece | None:
        """Return the polynomial of a cell, or of a part of it, that agrees with ``count`` or more held-out runs.

        If it misses a run, the cell is halved, and the half without that run is tried.
        """
        degrees = [line.degree(sizes) for line, sizes in zip(lines, cell, strict=True)]
        grid = tuple(tuple(spread(sizes)[: degree + 1]) for sizes, degree in zip(cell, degrees, strict=True))
        polynomial = through(grid, {point: self._measure.at(point) for point in product(*grid)})
        held_out = tuple(self._held_out(cell, grid, count))
        piece = Piece(ranges=cell, polynomial=polynomial, grid=grid, held_out=held_out)
        missed = next((point for point in held_out if polynomial(point) != self._measure.at(point)), None)
        if missed is None:
            return piece if is_whole(piece) else None
        for axis, sizes in enumerate(cell):
            if cuts and len(sizes) >= 2 * _FEWEST:
                halves = sizes[: len(sizes) // 2], sizes[len(sizes) // 2 :]
                half = next(each for each in halves if missed[axis] not in each)
                if lines[axis].parts(half, 0) == [half]:
                    found = self._piece(lines, (*cell[:axis], half, *cell[axis + 1 :]), count, cuts - 1)
                    if found is not None:
                        return found
        return None

    def _held_out(self, cell: tuple[range, ...], grid: tuple[tuple[int, ...], ...], count: int) -> Iterator[Point]:
        """Return points of a cell outside the grid: all that are known already, and others until there are enough."""
        own = set(product(*grid))
        known = (point for point in self._measure.known() if _inside(point, cell))
        chosen = dict.fromkeys(point for point in known if point not in own)
        # The corners are always among them: if the cost is a maximum of two terms, the other may be larger there.
        corners = 2 ** len(cell) if count == HELD_OUT or len(cell) > 1 else 0
        for at, point in enumerate(self._places(cell)):
            if at >= corners and len(chosen) >= count:
                break
            if point not in own:
                chosen[point] = None
        return iter(chosen)

    def _places(self, cell: tuple[range, ...]) -> Iterator[Point]:
        """Yield points at which a wrong formula is likely to fail, corners first."""
        yield from dict.fromkeys(product(*((sizes[0], sizes[-1]) for sizes in cell)))
        random = Random(0)
        for axis, sizes in enumerate(cell):
            for size in tests(sizes, self._hints):
                yield tuple(size if at == axis else random.choice(other) for at, other in enumerate(cell))
        for _ in range(4 * HELD_OUT):
            yield tuple(map(random.choice, cell))


class _Line:
    """How a cost depends on one variable, with fixed sizes for the others."""

    def __init__(self, measure: Callable[[Point], int], base: Point, axis: int, hints: Hints) -> None:
        self._measure = measure
        self._base = base
        self._axis = axis
        self._hints = hints
        self._degrees: dict[range, int | None] = {}

    def at(self, size: int) -> int:
        return self._measure((*self._base[: self._axis], size, *self._base[self._axis + 1 :]))

    def degree(self, sizes: range) -> int:
        """Return the degree of the polynomial of a part."""
        found = self._degree(sizes)
        assert found is not None  # it is a part that was found
        return found

    def parts(self, sizes: range, cuts: int = 2, *, whole: bool = False) -> list[range]:
        """Return parts of a range in each of which one polynomial holds. They do not overlap.

        Args:
            sizes: the range.
            cuts: how many times it may be cut.
            whole: return the range itself, or nothing.
        """
        if not sizes:
            return []
        if self._degree(sizes) is not None:
            return [sizes]
        if whole:
            return []
        found = self._by_residue(sizes)
        # If a formula holds for several residues but not for all, the cost does not depend on the residue.
        if found and (len(found) == 1 or sum(map(len, found)) == len(sizes)):
            return found
        cut = self._by_cut(sizes, cuts) if cuts and len(sizes) >= 2 * _FEWEST else []
        return max(found, cut, key=lambda parts: sum(map(len, parts)))

    def _by_residue(self, sizes: range, most: int = MOST_RESIDUES) -> list[range]:
        """Return the residues of one modulus for which a polynomial holds; only one if there are more than ``most``.

        If no polynomial holds for a residue, it is split by a larger modulus: a cost may have one form at 1, 5, 9,
        another at 3, 7, 11, and a third at all even sizes.
        """
        part = self._residue(sizes)
        if part is None:
            return []
        modulus = part.step // sizes.step
        found = [part]
        for other in (sizes[offset::modulus] for offset in range(modulus if modulus <= most else 0)):
            if other == part:
                continue
            if self._degree(other, self.degree(part)) is not None:
                found.append(other)
            elif 2 * modulus <= most and len(other) >= 2 * _FEWEST:
                found += self._by_residue(other, most // modulus)
        return found

    def _by_cut(self, sizes: range, cuts: int) -> list[range]:
        """Return the part around one half in which the polynomial of that half holds, and the parts below and above."""
        middle = len(sizes) // 2
        for half in (sizes[middle:], sizes[:middle]):
            part = half if self._degree(half) is not None else self._residue(half)
            if part is not None:
                part = self._grown(part, sizes)
                first, last = sizes.index(part[0]), sizes.index(part[-1])
                around = [each for rest in (sizes[:first], sizes[last + 1 :]) for each in self.parts(rest, cuts - 1)]
                return [*self.parts(sizes[first : last + 1], 0), *around]
        return []

    def _degree(self, sizes: range, at_least: int = 0) -> int | None:
        """Return the degree of the polynomial that holds in a range, or None."""
        if sizes not in self._degrees:
            self._degrees[sizes] = self._found_degree(sizes, at_least)
        return self._degrees[sizes]

    def _found_degree(self, sizes: range, at_least: int) -> int | None:
        places = spread(sizes)
        if len(sizes) == 1:
            return 0
        for degree in range(at_least, min(MOST_DEGREE, len(sizes) - 3) + 1):
            polynomial = self._through(places[: degree + 1])
            checked = (*places[degree + 1 : degree + 3], *tests(sizes, self._hints))
            if all(polynomial((size,)) == self.at(size) for size in checked):
                return degree
        return None

    def _through(self, sizes: Sequence[int]) -> Polynomial:
        return through([sizes], {(size,): self.at(size) for size in sizes})

    def _polynomial(self, part: range) -> Polynomial:
        return self._through(spread(part)[: self.degree(part) + 1])

    def _residue(self, sizes: range) -> range | None:
        """Return the sizes of one residue by the smallest modulus for which a polynomial holds."""
        for modulus in self._moduli(len(sizes)):
            part = residue(sizes, modulus)
            if self._degree(part) is not None:
                return self._widened(sizes, modulus)
        return None

    def _moduli(self, length: int) -> list[int]:
        """Return moduli to try, the largest first: a formula that holds by 64 is soon found to hold by 32."""
        most = length // _FEWEST
        found = []
        for base in sorted({1, *(each for each in self._hints.moduli if 1 < each <= most)}):
            modulus = base
            while 2 * modulus <= min(most, 64 * base):
                modulus *= 2
            found.append(modulus)
        return [each for each in dict.fromkeys(reversed(found)) if each > 1]

    def _widened(self, sizes: range, modulus: int) -> range:
        """Return the sizes of one residue by the smallest divisor of a modulus for which the same polynomial holds."""
        part = residue(sizes, modulus)
        for prime in (2, 3, 5, 7, 11, 13):
            while modulus % prime == 0:
                wider, polynomial = residue(sizes, modulus // prime), self._polynomial(part)
                if any(polynomial((size,)) != self.at(size) for size in spread(wider)[:3] if size not in part):
                    break
                if self._degree(wider, self.degree(part)) is None:
                    break
                modulus, part = modulus // prime, wider
        return part

    def _grown(self, part: range, sizes: range) -> range:
        """Extend a part at both ends of a range as far as its polynomial holds."""
        polynomial = self._polynomial(part)
        whole = residue_of(sizes, part)
        low, high = whole.index(part[0]), whole.index(part[-1])
        holds = [polynomial((whole[0],)) == self.at(whole[0]), polynomial((whole[-1],)) == self.at(whole[-1])]
        low = 0 if holds[0] else self._last(polynomial, whole, low, 0)
        high = len(whole) - 1 if holds[1] else self._last(polynomial, whole, high, len(whole) - 1)
        grown = whole[low : high + 1]
        return grown if self._degree(grown, self.degree(part)) is not None else part

    def _last(self, polynomial: Polynomial, whole: range, good: int, bad: int) -> int:
        """Return the last place on the way from a good to a bad one at which a polynomial holds, by bisection."""
        while abs(good - bad) > 1:
            middle = (good + bad) // 2
            if polynomial((whole[middle],)) == self.at(whole[middle]):
                good = middle
            else:
                bad = middle
        return good


def spread(sizes: range) -> list[int]:
    """Return up to a dozen sizes of a range, far from each other and from the ends, more of them small.

    A polynomial goes through the first few, and is checked at the next ones.
    """
    golden = (5**0.5 - 1) / 2
    places = (int(len(sizes) * ((0.3 + golden * turn) % 1) ** 2) for turn in range(200))
    return [sizes[place] for place in islice(dict.fromkeys(places), 12)]


def tests(sizes: range, hints: Hints) -> list[int]:
    """Return sizes at which a wrong formula is likely to fail: the ends, and both sides of thresholds.

    The last size, and those at thresholds, come with their neighbour, because a cost that depends on the remainder of a
    division differs there.
    """
    found = [sizes[0], sizes[-1], *sizes[-2:-1]]
    for threshold in hints.thresholds:
        if sizes[0] < threshold < sizes[-1]:
            place = (threshold - sizes[0]) // sizes.step
            found += sizes[place : place + 2]
    return list(dict.fromkeys(found))


def residue(sizes: range, modulus: int) -> range:
    """Return every ``modulus``-th size of a range: the multiples of the modulus if any, else from the first on."""
    step = sizes.step * modulus
    first = next((place for place in range(min(modulus, len(sizes))) if sizes[place] % step == 0), 0)
    return sizes[first::modulus]


def residue_of(sizes: range, part: range) -> range:
    """Return all sizes of a range that have the same residue as a part of it."""
    modulus = part.step // sizes.step
    return sizes[sizes.index(part[0]) % modulus :: modulus]


def is_whole(piece: Piece) -> bool:
    """Whether a polynomial gives whole numbers at all sizes of a piece.

    It does if it gives whole numbers at neighbouring places, in each variable one more than its degree.
    """
    places = (sizes[: len(own)] for sizes, own in zip(piece.ranges, piece.grid, strict=True))
    return all(piece.polynomial(point).denominator == 1 for point in product(*places))


def _inside(point: Point, cell: tuple[range, ...]) -> bool:
    return all(size in sizes for size, sizes in zip(point, cell, strict=True))


def _size(cell: tuple[range, ...]) -> int:
    count = 1
    for sizes in cell:
        count *= len(sizes)
    return count


def refit(piece: Piece, measure: Callable[[Point], int]) -> Piece | None:
    """Return the polynomial of another cost from the same runs; None if it disagrees with a held-out run."""
    polynomial = through(piece.grid, {point: measure(point) for point in product(*piece.grid)})
    other = replace(piece, polynomial=polynomial)
    agrees = all(polynomial(point) == measure(point) for point in piece.held_out)
    return other if agrees and is_whole(other) else None
