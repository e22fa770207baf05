"""A cost as a formula: polynomials, each with the sizes for which it holds, and the runs that show that it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from thoplw.errors import InputError, UnknownNameError
from thoplw.estimate import notation
from thoplw.estimate.formula import Piece
from thoplw.estimate.inverse import last_within
from thoplw.estimate.polynomial import Point

if TYPE_CHECKING:
    from sympy import Expr


@dataclass(frozen=True, slots=True)
class Domain:
    """The sizes for which a formula holds: ``B = 1 … 64, R = 32, 64 … 1024``.

    Attributes:
        ranges: variable -> its sizes.
    """

    ranges: Mapping[str, range]

    def __contains__(self, sizes: object) -> bool:
        """Whether a mapping gives each variable a size of its range."""
        return isinstance(sizes, Mapping) and all(sizes.get(name) in known for name, known in self.ranges.items())

    def __str__(self) -> str:
        return ", ".join(f"{name} = {notation.sizes(known)}" for name, known in self.ranges.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One run, and what the formula says of it.

    Attributes:
        sizes: variable -> size.
        measured: the cost that the run had.
        formula: the cost by the formula.
        held_out: whether the formula was made without it.
    """

    sizes: Mapping[str, int]
    measured: int
    formula: Fraction
    held_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """How one figure depends on sizes, exactly. ``print`` shows it; a call gives its value.

    Attributes:
        name: of the figure, such as ``macs``.
        variables: names, in the order in which they were given.
        pieces: the polynomials, the one that holds for most sizes first; their ranges do not overlap.
        evidence: the runs that it was made of, and those that it was checked at.
    """

    name: str
    variables: tuple[str, ...]
    pieces: tuple[Piece, ...]
    evidence: tuple[Check, ...]

    @property
    def domain(self) -> tuple[Domain, ...]:
        """The sizes for which it holds, of each piece."""
        return tuple(Domain(dict(zip(self.variables, piece.ranges, strict=True))) for piece in self.pieces)

    def __call__(self, **sizes: int) -> int:
        """The figure at a size for each variable, exact.

        Raises:
            UnknownNameError: there is no such variable.
            InputError: a variable has no size, or the sizes are not in the domain.
        """
        point = self._point(sizes)
        piece = next((piece for piece in self.pieces if piece.holds(point)), None)
        if piece is None:
            asked = ", ".join(f"{name}={size}" for name, size in zip(self.variables, point, strict=True))
            raise InputError(
                f"the formula of {self.name} is not known to hold for {asked}: it holds for {self.where()}. Make one "
                "with ranges that include it"
            )
        return int(piece.polynomial(point))

    def __str__(self) -> str:
        """Of several pieces, each on a line with the sizes for which it holds."""
        if len(self.pieces) == 1:
            return notation.text(self.pieces[0].polynomial, self.variables)
        return "\n".join(
            f"{notation.text(piece.polynomial, self.variables)} for {domain}"
            for piece, domain in zip(self.pieces, self.domain, strict=True)
        )

    def where(self, most: int = 3) -> str:
        """The domain in words, cut after the first few pieces."""
        shown = "; or ".join(map(str, self.domain[:most]))
        return shown if len(self.pieces) <= most else f"{shown}; or in {len(self.pieces) - most} more pieces"

    def latex(self) -> str:
        r"""For LaTeX: ``262144 B S^{2} + 7504658432 B S``; several pieces are a ``cases`` environment."""
        found = [notation.latex(piece.polynomial, self.variables) for piece in self.pieces]
        if len(found) == 1:
            return found[0]
        where = (notation.latex_where(piece.ranges, self.variables) for piece in self.pieces)
        lines = (f"{each} & {known}" for each, known in zip(found, where, strict=True))
        return "\\begin{cases}\n" + " \\\\\n".join(lines) + "\n\\end{cases}"

    def python(self, name: str = "") -> str:
        """The source of a function of the variables, in whole numbers alone; it refuses sizes outside of the domain.

        Args:
            name: of the function; the name of the figure if left out.
        """
        lines = [f"def {name or self.name}({', '.join(f'{each}: int' for each in self.variables)}) -> int:"]
        for piece in self.pieces:
            lines.append(f"    if {notation.python_where(piece.ranges, self.variables)}:")
            lines.append(f"        return {notation.python(piece.polynomial, self.variables)}")
        known = ", ".join(f"{each}={{{each}}}" for each in self.variables)
        lines.append(f'    raise ValueError(f"no formula for {known}")')
        return "\n".join(lines) + "\n"

    def sympy(self) -> Expr:
        """For sympy: a polynomial in whole positive symbols of these names; ``Piecewise`` where there are several."""
        import sympy

        found = [notation.sympy(piece.polynomial, self.variables) for piece in self.pieces]
        if len(found) == 1:
            return found[0]
        where = (notation.sympy_where(piece.ranges, self.variables) for piece in self.pieces)
        return sympy.Piecewise(*zip(found, where, strict=True))

    def largest(self, variable: str, most: int, last: int | None = None, /, **sizes: int) -> int:
        """The largest size of a variable at which the figure is no more than a limit.

        It is the end of the domain where the limit is not reached in it.

        Args:
            variable: whose size is asked for.
            most: the limit.
            last: look at no larger sizes than this.
            sizes: of all other variables.

        Raises:
            UnknownNameError: there is no such variable.
            InputError: a variable has no size or two, the sizes are not in the domain, or all exceed the limit.
        """
        if variable not in self.variables:
            raise UnknownNameError("variable", variable, self.variables)
        if variable in sizes:
            raise InputError(f"largest finds {variable}: leave {variable}={sizes[variable]} out")
        axis = self.variables.index(variable)
        point = self._point({**sizes, variable: 0})
        there = [
            piece
            for piece in self.pieces
            if piece.holds((*point[:axis], piece.ranges[axis][0], *point[axis + 1 :]))
        ]  # fmt: skip
        if not there:
            given = ", ".join(f"{name}={size}" for name, size in sizes.items())
            raise InputError(
                f"the formula of {self.name} is not known to hold for {given}: it holds for {self.where()}"
            )
        lines = [(piece.polynomial.along(axis, point), piece.ranges[axis]) for piece in there]
        if last is not None:
            lines = [
                (line, upto) for line, known in lines if (upto := range(known[0], min(known[-1], last) + 1, known.step))
            ]
        found = [size for line, known in lines if (size := last_within(line, most, known)) is not None]
        if not found:
            cost, size = min((line((size,)), size) for line, known in lines for size in (known[0], known[-1]))
            raise InputError(f"{self.name} is above {most} for every {variable}: at {variable}={size} it is {cost}")
        return max(found)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON; coefficients are exact, as text: ``"9/32"``."""
        return {
            "name": self.name,
            "variables": list(self.variables),
            "pieces": [
                {
                    "domain": {
                        name: {"first": sizes[0], "last": sizes[-1], "step": sizes.step}
                        for name, sizes in domain.ranges.items()
                    },
                    "terms": [
                        {
                            "coefficient": str(factor),
                            "powers": {
                                name: power for name, power in zip(self.variables, powers, strict=True) if power
                            },
                        }
                        for powers, factor in piece.polynomial.terms.items()
                    ],
                }
                for piece, domain in zip(self.pieces, self.domain, strict=True)
            ],
            "evidence": [
                {
                    "sizes": dict(each.sizes),
                    "measured": each.measured,
                    "formula": str(each.formula),
                    "held_out": each.held_out,
                }
                for each in self.evidence
            ],
        }

    def _point(self, sizes: Mapping[str, int]) -> Point:
        for name in sizes:
            if name not in self.variables:
                raise UnknownNameError("variable", name, self.variables)
        missing = [name for name in self.variables if name not in sizes]
        if missing:
            raise InputError(f"{', '.join(missing)} has no size; the variables are {', '.join(self.variables)}")
        return tuple(sizes[name] for name in self.variables)
