"""``thoplw.formula``: how the cost of a model depends on batch, length, resolution or anything else, exactly."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from thoplw.api.budget import amount, size
from thoplw.api.runs import Runs, Sizes, hints_of, range_of, require_effect
from thoplw.errors import InputError, NoFormulaError, UnknownNameError
from thoplw.estimate.expression import Check, Domain, Expression
from thoplw.estimate.formula import MOST_DEGREE, Piece, refit, solve
from thoplw.estimate.polynomial import Point
from thoplw.pricing import Convention, find
from thoplw.render import render
from thoplw.render.plots import curves
from thoplw.render.table import Table
from thoplw.render.words import count, named, visible
from thoplw.report.figures import FIGURES, Figure
from thoplw.report.profile import About, Profile
from thoplw.report.rollup import cumulative
from thoplw.report.rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot
    from sympy import Expr

#: Formats that are tables, and all formats.
_TABLES = ("text", "md", "csv")
KINDS = (*_TABLES, "latex", "python", "json")

#: How many runs an error or a table of evidence shows.
_MOST_ROWS = 40

#: How many lines a plot has.
_MOST_LINES = 4

#: How many pieces of a formula a table shows.
_MOST_PIECES = 3


class Formula:
    """How the figures of a model, or of a module in it, depend on sizes. ``print`` shows all of them.

    ``f.macs``, ``f.flops``, ``f.params``, ``f.moved`` and so on are each an :class:`thoplw.Expression`;
    ``f["encoder.layers.0"]`` has those of a module, with all that it holds. A call, and all that names no
    figure, is about ``macs``: the convention's figure.

    Attributes:
        path: of the module; empty for the model itself.
        notes: what the figures leave out, and what is narrower than what was asked for; one line each.
    """

    def __init__(
        self,
        variables: tuple[str, ...],
        ranges: tuple[range, ...],
        runs: Mapping[Point, Profile],
        pieces: Mapping[str, tuple[Piece, ...]],
        path: str = "",
    ) -> None:
        """Take the runs, and the pieces that were found for each figure."""
        self.path = path
        self._variables = variables
        self._ranges = ranges
        self._runs = runs
        self._pieces = pieces
        self._expressions: dict[str, Expression] = {}
        self.notes = tuple(self._notes())

    @cached_property
    def _rows(self) -> dict[Point, dict[str, Row]]:
        """For each run, all modules by path, each with all that it holds."""
        return {point: {row.name: row for row in cumulative(each.modules)} for point, each in self._runs.items()}

    def __getattr__(self, name: str) -> Expression:
        if name in having_formulas():
            return self.figure(name)
        raise AttributeError(f"a formula has no {name!r}")

    def __getitem__(self, path: str) -> Formula:
        """The formulas of a module, with all that it holds, from the same runs.

        Raises:
            UnknownNameError: no such module ran.
        """
        whole = f"{self.path}.{path}".strip(".")
        known = dict.fromkeys(name for rows in self._rows.values() for name in rows)
        if whole not in known:
            raise UnknownNameError("module", whole, known)
        return Formula(self._variables, self._ranges, self._runs, self._pieces, whole)

    @property
    def macs(self) -> Expression:
        """The convention's figure, in its unit."""
        return self.figure("macs")

    def figure(self, name: str) -> Expression:
        """One of the figures.

        Raises:
            UnknownNameError: there is no such figure.
            InputError: the runs do not have it.
            NoFormulaError: no formula holds for it.
        """
        if name not in having_formulas():
            raise UnknownNameError("figure", name, having_formulas())
        if name not in self._pieces:
            how = "pass memory=True to thoplw.formula" if "memory" in FIGURES[name].needs else "it was left out"
            raise InputError(f"this formula has no {FIGURES[name].words}: {how}")
        if name not in self._expressions:
            self._expressions[name] = self._expression(name)
        return self._expressions[name]

    def _expression(self, name: str) -> Expression:
        def measured(point: Point) -> int:
            row = self._rows[point].get(self.path) if self.path else self._runs[point].total
            return FIGURES[name].number(row) if row is not None else 0

        fits = (refit(piece, measured) for piece in self._pieces[name]) if self.path else self._pieces[name]
        pieces = tuple(piece for piece in fits if piece is not None)
        if not pieces:
            raise NoFormulaError(
                f"no polynomial, of a degree of {MOST_DEGREE} in each variable or less, gives the {name} of "
                f"{named(self.path)} in all of these runs:\n\n{render(self._table(name, measured), 'text')}"
            )
        checks = (_checks(piece, self._variables, measured) for piece in pieces)
        return Expression(
            name=name,
            variables=self._variables,
            pieces=pieces,
            evidence=tuple(check for each in checks for check in each),
        )

    def _table(self, name: str, measured: Callable[[Point], int]) -> Table:
        runs = sorted(self._runs)
        shown = [(*map(str, point), str(measured(point))) for point in runs[:_MOST_ROWS]]
        more = f"and {len(runs) - len(shown)} more runs"
        return Table(
            columns=(*self._variables, name),
            rows=tuple(shown),
            notes=(more,) if len(shown) < len(runs) else (),
        )

    def __call__(self, **sizes: int) -> int:
        """The convention's figure at a size for each variable, exact; raises what :class:`Expression` does."""
        return self.macs(**sizes)

    @property
    def domain(self) -> tuple[Domain, ...]:
        """The sizes for which the formula of the convention's figure holds."""
        return self.macs.domain

    @property
    def evidence(self) -> tuple[Check, ...]:
        """The runs to which the formula of the convention's figure was fitted, and those at which it was checked."""
        return self.macs.evidence

    def latex(self) -> str:
        """The convention's figure for LaTeX."""
        return self.macs.latex()

    def python(self, name: str = "") -> str:
        """The convention's figure as the source of a Python function."""
        return self.macs.python(name)

    def sympy(self) -> Expr:
        """The convention's figure for sympy."""
        return self.macs.sympy()

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<Formula of {visible(self._about.model)}: {self._about.unit}s = {self.macs}>"

    @property
    def _about(self) -> About:
        return next(iter(self._runs.values())).about

    def summary(self, kind: str = "text", *, depth: int | None = None) -> str:
        """All figures in one of some formats.

        Args:
            kind: ``text``, ``md`` or ``csv`` for a table; ``latex`` for equations; ``python`` for functions; ``json``.
            depth: show the convention's figure of every module down to this depth instead, in a table.

        Raises:
            UnknownNameError: there is no such kind.
            InputError: the kind has no table, and ``depth`` is given.
        """
        if kind not in KINDS:
            raise UnknownNameError("kind", kind, KINDS)
        if kind in _TABLES:
            return render(self.table(depth=depth), kind)
        if depth is not None:
            raise InputError(f"kind={kind!r} has no rows of modules: leave depth out")
        if kind == "json":
            return render(self.to_dict(), kind)
        found = {name: each for name in self._distinct() if isinstance(each := _or_none(self, name), Expression)}
        if kind == "python":
            return "\n\n".join(each.python() for each in found.values()).rstrip()
        names = {name: FIGURES[name].heading_in(self._about.unit) for name in found}
        lines = " \\\\\n".join(rf"\mathrm{{{names[name]}}} &= {each.latex()}" for name, each in found.items())
        return f"\\begin{{align*}}\n{lines}\n\\end{{align*}}"

    def table(self, *, depth: int | None = None) -> Table:
        """A row for each figure, or for each module, as renderers take it.

        Args:
            depth: show the convention's figure of every module down to this depth, with all that it holds.

        Raises:
            NoFormulaError: no formula holds for the convention's figure.
        """
        heading = FIGURES["macs"].heading_in(self._about.unit)
        if depth is None:
            names = self._distinct()
            rows = [(FIGURES[name].heading_in(self._about.unit), str(_or_none(self, name))) for name in names]
        else:
            rows = [(named(each.path), str(_or_none(each, "macs"))) for each in self._inside(depth)]
        return Table(
            columns=("Figure", "Formula") if depth is None else ("Name", heading),
            rows=tuple(line for row in rows for line in _lines(row)),
            notes=(self.proof, *self.notes),
            about=self._about.to_dict(),
        )

    def _inside(self, depth: int) -> Iterator[Formula]:
        """The module itself, and the modules that it holds, down to a depth."""
        known = {row.name: row.depth for rows in self._rows.values() for row in rows.values()}
        prefix = f"{self.path}." if self.path else ""
        for path, at in known.items():
            if path == self.path:
                yield self
            elif path.startswith(prefix) and at - known[self.path] <= depth:
                yield self[path.removeprefix(prefix)]

    def _distinct(self) -> list[str]:
        """The figures, without those that repeat another's: MACs of a convention that counts in FLOPs."""
        unit = self._about.unit
        found: dict[str, str] = {}
        for name in self._pieces:
            found.setdefault(FIGURES[name].heading_in(unit), name)
        return list(found.values())

    @property
    def proof(self) -> str:
        """One sentence on where the formula of the convention's figure holds, and what shows it."""
        held_out = sum(each.held_out for each in self.evidence)
        fitted = len(self.evidence) - held_out
        shown = f"fitted to {count(fitted, 'run')}"
        if held_out:
            shown += f", and exact in {count(held_out, 'other')} that {'was' if held_out == 1 else 'were'} held out"
        return f"Holds for {self.macs.where()}: {shown}."

    def largest(self, variable: str, **given: float | str) -> int:
        """The largest size of a variable that keeps some limits, exact: ``f.largest("S", B=8, macs=10e12)``.

        It is the end of the domain where no limit is reached in it.

        Args:
            variable: whose size is asked for.
            given: a size for each other variable, and the most that a figure may be: ``macs=10e12``,
                ``flops="20T"`` or ``peak="24GB"``.

        Raises:
            UnknownNameError: a name is neither a variable nor a figure.
            InputError: there is no limit, or all sizes exceed it; a variable has no size, or one outside of the domain.
            NoFormulaError: a figure has no formula.
        """
        names = [*self._variables, *having_formulas()]
        for name in given:
            if name not in names:
                raise UnknownNameError("variable or figure", name, names)
        sizes = {name: _whole(name, size) for name, size in given.items() if name in self._variables}
        limits = {name: _whole(name, most) for name, most in given.items() if name in having_formulas()}
        if not limits:
            raise InputError(f"largest needs a limit, such as macs=10e12; figures: {', '.join(self._pieces)}")
        # The largest size within one limit may exceed another, which a smaller size exceeds as well where costs fall.
        largest: int | None = None
        while True:
            found = min(self.figure(name).largest(variable, most, largest, **sizes) for name, most in limits.items())
            if found == largest:
                return found
            largest = found

    def plot(self, variable: str = "", *, figure: str = "macs", **sizes: int) -> Plot:
        """A figure against one variable, with the runs: a figure of matplotlib, which ``.savefig("cost.svg")`` writes.

        Args:
            variable: across; the last one if left out.
            figure: which is drawn.
            sizes: of other variables. One that has none is drawn at a few, a line each.

        Raises:
            UnknownNameError: there is no such variable or figure.
            MissingExtraError: matplotlib is not installed.
        """
        expression = self.figure(figure)
        variable = variable or self._variables[-1]
        for name in (variable, *sizes):
            if name not in self._variables:
                raise UnknownNameError("variable", name, self._variables)
        about = self._about
        lines = {}
        for fixed in self._slices(expression, variable, sizes):
            label = ", ".join(f"{name} = {size}" for name, size in fixed.items())
            lines[label] = (
                [(size, expression(**fixed, **{variable: size})) for size in _drawn(expression, variable, fixed)],
                [
                    (each.sizes[variable], each.measured, each.held_out)
                    for each in expression.evidence
                    if fixed.items() <= each.sizes.items()
                ],
            )
        title = f"{about.model}{f', {self.path}' if self.path else ''}"
        return curves(lines, title=title, variable=variable, unit=FIGURES[figure].heading_in(about.unit))

    def _slices(self, expression: Expression, variable: str, sizes: Mapping[str, int]) -> list[dict[str, int]]:
        """Sizes for all variables but one: those given, and of others both ends, and one that was fitted."""
        piece = expression.pieces[0]
        known: list[list[int]] = []
        others = [name for name in self._variables if name != variable]
        for name, own, grid in zip(self._variables, piece.ranges, piece.grid, strict=True):
            if name != variable:
                known.append([sizes[name]] if name in sizes else sorted({own[0], grid[0], own[-1]}))
        return [dict(zip(others, point, strict=True)) for point in list(product(*known))[:_MOST_LINES]]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON: each figure that has a formula, with the runs; coefficients as text."""
        found = {name: _or_none(self, name) for name in self._pieces}
        return {
            **self._about.to_dict(),
            "module": self.path,
            "variables": {
                name: {"first": sizes[0], "last": sizes[-1], "step": sizes.step}
                for name, sizes in zip(self._variables, self._ranges, strict=True)
            },
            "figures": {name: each.to_dict() for name, each in found.items() if isinstance(each, Expression)},
            "notes": list(self.notes),
        }

    def _notes(self) -> Iterator[str]:
        pieces = self._pieces["macs"]
        if pieces and sum(prod(map(len, piece.ranges)) for piece in pieces) < prod(map(len, self._ranges)):
            where = Domain(dict(zip(self._variables, self._ranges, strict=True)))
            yield f"Narrower than asked for: elsewhere in {where} no formula was found."
        runs = list(self._runs.values())
        asleep = runs[0].gaps.not_executed.items()
        never = {path: size for path, size in asleep if all(path in each.gaps.not_executed for each in runs)}
        yield from max((replace(each, gaps=replace(each.gaps, not_executed=never)).notes for each in runs), key=len)


def formula(
    model: torch.nn.Module | Callable[..., torch.nn.Module],
    make_inputs: Callable[..., Any],
    /,
    *,
    convention: str | Convention = "thoplw",
    custom_ops: Mapping[Any, Callable[..., Any]] | None = None,
    memory: bool = False,
    verbose: bool = True,
    **sizes: Sizes,
) -> Formula:
    """Tell how the cost of a model depends on sizes, as an exact formula: ``262144*B*S^2 + 7504658432*B*S``.

    The model runs at a few sizes as :func:`thoplw.profile` runs it. A polynomial with rational coefficients goes
    through some of the costs, and has to give all others to the unit: ten runs that it was not fitted to, at the ends
    of the ranges among others. Where none does, sizes are taken by residue, or ranges are cut; ``domain`` says for
    which sizes the formula holds.

    For example::

        f = thoplw.formula(
            model, lambda B, S: {"input_ids": torch.zeros(B, S, dtype=torch.long)}, B=(1, 64), S=(1, 8192)
        )
        print(f.macs, f(B=8, S=4096))

    Args:
        model: a module; or a function of some of the variables that builds one, for a model that is built for a size.
        make_inputs: a function of the variables that makes what :func:`thoplw.profile` takes as ``tensor``.
        convention: as for :func:`thoplw.profile`.
        custom_ops: as for :func:`thoplw.profile`.
        memory: also find the formula of ``peak``, the bytes that inference takes; every run takes a second one.
        verbose: say on stderr what the figures leave out, and where the formula is narrower than asked for.
        sizes: for each variable its first and last size, ``S=(1, 8192)``; with a step, ``R=(32, 1024, 32)``; a
            ``range``; or one size.

    Returns:
        The formulas of all figures that are numbers, of the model and of each module.

    Raises:
        InputError: sizes cannot be used, functions do not take the variables, a variable changes nothing, or the model
            cannot run at some size; the message has the size.
        UnknownNameError: the convention is unknown, or a function takes a variable that has no sizes.
        NoFormulaError: no formula gives the cost of all runs; the message has the table of the runs.
    """
    found = search(model, make_inputs, sizes, find(convention), custom_ops, memory=memory)
    if verbose:
        sys.stderr.write("".join(f"thoplw: {note}\n" for note in found.notes))
    return found


def search(
    model: torch.nn.Module | Callable[..., torch.nn.Module],
    make_inputs: Callable[..., Any],
    sizes: Mapping[str, Sizes],
    convention: Convention,
    custom_ops: Mapping[Any, Callable[..., Any]] | None = None,
    *,
    memory: bool = False,
    whole: bool = False,
    figures: Collection[str] | None = None,
) -> Formula:
    """Do as :func:`formula`, for some figures beside the convention's; for all of them if none are named.

    ``whole`` tries one polynomial alone for the ranges, which takes few runs.
    """
    variables, ranges = tuple(sizes), tuple(range_of(name, each) for name, each in sizes.items())
    if not variables:
        raise InputError("a formula needs a variable with its sizes, such as S=(1, 8192)")
    clashes = [name for name in variables if name in having_formulas()]
    if clashes:
        raise InputError(f"{clashes[0]} is the name of a figure: call the variable otherwise")
    runs = Runs(model, make_inputs, variables, convention, custom_ops, memory)
    for axis, each in enumerate(ranges):
        require_effect(runs, ranges, axis, each)
    known = hints_of(runs.model(tuple(each[0] for each in ranges)))
    pieces = {"macs": solve(runs.measure(FIGURES["macs"]), ranges, known, whole=whole)}
    others = {
        name: figure
        for name, figure in having_formulas().items()
        if name not in pieces and (figures is None or name in figures)
    }
    for name, figure in (others if pieces["macs"] else {}).items():
        if "memory" in figure.needs and not memory:
            continue
        measure = runs.measure(figure)
        # Most often a formula of the same pieces and degrees as that of the cost holds, which takes no more runs.
        same = [refit(piece, measure.at) for piece in pieces["macs"]]
        found_too = tuple(piece for piece in same if piece is not None)
        pieces[name] = found_too if len(found_too) == len(same) else solve(measure, ranges, known, whole=whole)
    found = Formula(variables, ranges, runs.done, pieces)
    assert found.macs  # it raises where there is none
    return found


def having_formulas() -> dict[str, Figure]:
    """The figures that have formulas: they are numbers, the model as a whole has them, and a forward tells them."""
    return {
        name: figure
        for name, figure in FIGURES.items()
        if figure.of is not None and figure.has_total and figure.needs <= {"memory"}
    }


def _whole(name: str, number: float | str) -> int:
    """A size or a limit as a whole number: ``8``, ``10e12``, ``"2G"``, ``"24GB"``."""
    if isinstance(number, float):
        if not number.is_integer():
            raise InputError(f"{name}={number} is not a whole number")
        return int(number)
    if isinstance(number, str):
        return size(number) if name in having_formulas() and FIGURES[name].unit == "byte" else amount(number)
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise InputError(f"{name}={number!r} is not a whole number")
    return number


def _or_none(formula: Formula, name: str) -> Expression | str:
    try:
        return formula.figure(name)
    except NoFormulaError:
        return "no formula"


def _lines(row: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """A row of a table for each line of a formula, of which there may be many."""
    first, *others = row[1].split("\n")
    yield row[0], first
    yield from (("", each) for each in others[: _MOST_PIECES - 1])
    if len(others) >= _MOST_PIECES:
        yield "", f"and {len(others) + 1 - _MOST_PIECES} more, each for sizes of its own"


def _checks(piece: Piece, variables: Sequence[str], measured: Callable[[Point], int]) -> Iterator[Check]:
    places: Iterable[tuple[Point, bool]] = (
        *((point, False) for point in product(*piece.grid)),
        *((point, True) for point in piece.held_out),
    )
    for point, held_out in places:
        yield Check(
            sizes=dict(zip(variables, point, strict=True)),
            measured=measured(point),
            formula=piece.polynomial(point),
            held_out=held_out,
        )


def _drawn(expression: Expression, variable: str, fixed: Mapping[str, int]) -> list[int]:
    """Up to a few hundred sizes at which a curve is drawn, in order."""
    found: set[int] = set()
    for domain in expression.domain:
        sizes = domain.ranges[variable]
        if {**fixed, variable: sizes[0]} in domain:
            found |= {*sizes[:: max(1, len(sizes) // 200)], sizes[-1]}
    return sorted(found)
