"""Check a model's cost against limits, or against an earlier profile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from thoplw.api.diff import NOTHING, Differences, Pair, differences, not_compared
from thoplw.errors import InputError, UnknownNameError
from thoplw.render import render
from thoplw.render.table import Table
from thoplw.render.units import UNITS, clever_format
from thoplw.render.words import named
from thoplw.report.figures import Figure, shown_in
from thoplw.report.notes import brief
from thoplw.report.profile import Profile

#: How many layers to name for a broken limit.
LARGEST = 10


def amount(text: str | int) -> int:
    """A number with or without a unit: ``2G``, ``1.5k``, ``12 M``, ``1824010216``; exact.

    Raises:
        InputError: the text is not a number, or not a whole one.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-z]?)", str(text).strip().replace("_", ""), re.IGNORECASE)
    unit = match[2].upper() or " " if match else ""
    if match is None or unit not in UNITS:
        raise InputError(
            f"{text!r} is not an amount; write a number with a unit ({' '.join(UNITS).strip()}), as in 2G or 1.5M"
        )
    value = Fraction(match[1]) * 1000 ** UNITS.index(unit)
    if value.denominator != 1:
        raise InputError(f"{text!r} is not a whole number; write one, or a number with a unit, as in 2G or 1.5M")
    return int(value)


def size(text: str | int) -> int:
    """A number of bytes: ``24GB``, ``24GiB`` (by 1024, not 1000), or anything that :func:`amount` takes; exact.

    Raises:
        InputError: the text is no number of bytes.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(i?)b", str(text).strip().replace("_", ""), re.IGNORECASE)
    if match is None:
        try:
            return amount(text)
        except InputError:
            raise InputError(
                f"{text!r} is no number of bytes; write a number with a unit, as in 24GB, 24GiB or 500M"
            ) from None
    value = Fraction(match[1]) * (1024 if match[3] else 1000) ** UNITS.index(match[2].upper() or " ")
    if value.denominator != 1:
        raise InputError(f"{text!r} is not a whole number of bytes; write one, or a number with a unit, as in 24GB")
    return int(value)


def share(text: str) -> Fraction:
    """A percentage: ``1%``, ``0.5 %``; exact.

    Raises:
        InputError: the text is not a percentage.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", text.strip())
    if match is None:
        raise InputError(f"{text!r} is not a tolerance; write a percentage, as in 1% or 0.5%")
    return Fraction(match[1]) / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a model may cost: limits for figures, an earlier profile, or both.

    Attributes:
        limits: name of a figure -> the most that it may be; ``macs`` is in the unit of the convention.
        baseline: an earlier profile that must not be exceeded.
        tolerance: how far above the baseline is still allowed, as a fraction: 1/100 for 1 %.
        allow_uncounted: pass even if an operator has no price.

    Raises:
        InputError: neither a limit nor a baseline is given.
        UnknownNameError: a limit names an unknown figure.
    """

    limits: Mapping[str, int] = field(default_factory=dict)
    baseline: Profile | None = None
    tolerance: Fraction = Fraction(0)
    allow_uncounted: bool = False

    def __post_init__(self) -> None:
        if not self.limits and self.baseline is None:
            raise InputError("a budget needs a limit: of MACs, of parameters, or a baseline")
        known = [figure.name for figure in shown_in("budget")]
        for name in self.limits:
            if name not in known:
                raise UnknownNameError("figure of a budget", name, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One limit, and what was measured.

    Attributes:
        what: ``MACs``, ``FLOPs`` or ``Params``.
        against: where the limit is from: ``limit`` or ``baseline``.
        measured: the figure of the model.
        limit: the most that it may be.
        layers: the layers to look at: the largest ones, or against a baseline those that grew.
    """

    what: str
    against: str
    measured: int
    limit: int
    layers: Table | None

    @property
    def broken(self) -> bool:
        """Whether the model costs more."""
        return self.measured > self.limit

    def __str__(self) -> str:
        over = self.measured - self.limit
        return (
            f"{self.what}: {_told(self.measured)} is {_told(over)} more than the {self.against} allows, "
            f"which is {_told(self.limit)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a model keeps to its budget.

    Attributes:
        model: name of its class.
        findings: one for each limit.
        gaps: sentences that say what the figures leave out.
        uncounted: operators without a price, if these are a failure.
    """

    model: str
    findings: tuple[Finding, ...]
    gaps: tuple[str, ...]
    uncounted: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each broken limit, and one for uncounted operators; empty when the budget is kept."""
        unknown = f"the figures are too low, as these operators are not counted: {', '.join(self.uncounted)}"
        return (*(str(each) for each in self.findings if each.broken), *((unknown,) if self.uncounted else ()))

    def table(self) -> Table:
        """Return every limit beside the measured figure."""
        return Table(
            columns=("Figure", "Measured", "Most", "By", "Left", "Kept"),
            rows=tuple(
                (
                    each.what,
                    str(each.measured),
                    str(each.limit),
                    each.against,
                    str(each.limit - each.measured),
                    _yes(not each.broken),
                )
                for each in self.findings
            ),
            footer=("All", self.model, "", "", "", _yes(not self.problems)),
            notes=self.gaps,
        )

    def report(self, kind: str = "text") -> str:
        """Return all limits, and below them the layers of broken ones.

        Args:
            kind: ``text`` or ``md``.
        """
        return "\n\n".join(part if isinstance(part, str) else render(part, kind) for part in self.parts())

    def parts(self) -> Iterator[str | Table]:
        """Yield the table of limits; then, for each broken one, a line that says so, and the table of its layers."""
        yield self.table()
        for each in self.findings:
            if each.broken and each.layers is not None:
                yield f"{each}:"
                yield each.layers


def check(profile: Profile, budget: Budget) -> Verdict:
    """Compare a profile with a budget.

    Args:
        profile: such as :attr:`thoplw.LayerInfo.profile`.
        budget: the limits.

    Raises:
        InputError: the baseline was counted by another convention, or the profile lacks a figure that has a limit.
    """
    found = None if budget.baseline is None else differences(budget.baseline, profile)
    unknown = () if budget.baseline is None else not_compared(budget.baseline, profile)
    findings = []
    for figure in shown_in("budget"):
        if figure.name in budget.limits:
            findings.append(_against_limit(profile, figure, budget.limits[figure.name]))
        if found is not None and figure.name in found.totals:
            findings.append(_against_baseline(profile, figure, found, budget.tolerance))
    return Verdict(
        model=profile.about.model,
        findings=tuple(findings),
        gaps=(*unknown, *brief(profile.gaps)),
        uncounted=() if budget.allow_uncounted else tuple(profile.gaps.uncounted),
    )


def _against_limit(profile: Profile, figure: Figure, limit: int) -> Finding:
    what, total = profile.heading(figure), figure.number(profile.total)
    largest = sorted(profile.modules, key=lambda row: -figure.number(row))[:LARGEST]
    rows = [(named(row.name), row.cls, figure.number(row)) for row in largest if figure.number(row)]
    others = [("(all others)", "", total - sum(value for *_, value in rows))] if figure.adds_up else []
    table = Table(
        columns=("Name", "Class", what),
        rows=tuple((*names, str(value)) for *names, value in [*rows, *others]),
        footer=("Total", profile.about.model, str(total)),
    )
    return Finding(what=what, against="limit", measured=total, limit=limit, layers=table)


def _against_baseline(profile: Profile, figure: Figure, found: Differences, tolerance: Fraction) -> Finding:
    what, total = profile.heading(figure), found.totals[figure.name]
    grew = [change for change in found.changes if change.figures[figure.name].grown > 0]
    grew.sort(key=lambda change: -change.figures[figure.name].grown)
    shown = [(named(change.name), change.cls, change.figures[figure.name]) for change in grew[:LARGEST]]
    rest = total - sum((pair for *_, pair in shown), start=NOTHING)
    table = Table(
        columns=("Name", "Class", f"{what} before", f"{what} after", f"{what} +/-"),
        rows=tuple((*names, *_cells(pair)) for *names, pair in [*shown, ("(all others)", "", rest)]),
        footer=("Total", profile.about.model, *_cells(total)),
    )
    # Round down: the largest whole number within the tolerance.
    limit = total.before * (1 + tolerance) // 1
    return Finding(what=what, against="baseline", measured=total.after, limit=limit, layers=table)


def _cells(pair: Pair) -> tuple[str, ...]:
    return str(pair.before), str(pair.after), f"{pair.grown:+d}"


def _told(value: int) -> str:
    """``1824010216 (1.82 G)``; ``112``."""
    return str(value) if value < 1000 else f"{value} ({clever_format(value)})"


def _yes(kept: bool) -> str:
    return "yes" if kept else "NO"
