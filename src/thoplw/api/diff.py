"""Compare two profiles, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from thoplw.errors import InputError
from thoplw.render.table import Table
from thoplw.render.units import aligned
from thoplw.render.words import named
from thoplw.report.figures import FIGURES, Figure, shown_in
from thoplw.report.notes import brief
from thoplw.report.profile import Profile
from thoplw.report.rollup import layers
from thoplw.report.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A figure before and after."""

    before: int
    after: int

    @property
    def grown(self) -> int:
        """The increase; negative for a decrease."""
        return self.after - self.before

    def __add__(self, other: Pair) -> Pair:
        return Pair(before=self.before + other.before, after=self.after + other.after)

    def __sub__(self, other: Pair) -> Pair:
        return Pair(before=self.before - other.before, after=self.after - other.after)


NOTHING = Pair(before=0, after=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A layer that differs between two profiles, or exists in only one.

    Attributes:
        name: path of the module; empty for the model itself.
        cls: name of its class; ``ReLU -> GELU`` where that changed.
        kind: what happened to it.
        figures: name of a figure -> the layer's own.
    """

    name: str
    cls: str
    kind: Literal["added", "removed", "changed"]
    figures: Mapping[str, Pair]

    @property
    def macs(self) -> Pair:
        """Its own, in the unit of the convention."""
        return self.figures["macs"]

    @property
    def params(self) -> Pair:
        """Its own."""
        return self.figures["params"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Two profiles, side by side.

    Attributes:
        models: names of the classes, before and after.
        convention: what counted both.
        unit: of the convention: ``MAC`` or ``FLOP``.
        changes: layers that differ, in definition order: first those that existed before, then those added.
        same: number of layers that do not differ.
        totals: name of a figure -> totals.
        notes: what the figures of either profile leave out, and whether their inputs differ.
    """

    models: tuple[str, str]
    convention: str
    unit: str
    changes: tuple[Change, ...]
    same: int
    totals: Mapping[str, Pair]
    notes: tuple[str, ...]

    @property
    def macs(self) -> Pair:
        """Totals, in the unit of the convention."""
        return self.totals["macs"]

    @property
    def params(self) -> Pair:
        """Totals."""
        return self.totals["params"]

    def table(self, fmt: str = "raw", *, narrow: bool = False) -> Table:
        """Every layer that differs, and all others in one row, so that columns add up.

        Args:
            fmt: ``raw`` numbers, or ``clever`` ones with units.
            narrow: leave out the figures before, which those after and their growth tell as well.
        """
        written, growth = _FORMATTERS[fmt]
        first = 1 if narrow else 0

        def cells(pairs: Mapping[str, Pair]) -> tuple[str, ...]:
            return tuple(
                cell
                for pair in pairs.values()
                for cell in (written(pair.before), written(pair.after), growth(pair.grown))[first:]
            )

        rows = [(named(each.name), each.cls, each.kind, *cells(each.figures)) for each in self.changes]
        if self.same:
            rest = {
                name: total - sum((each.figures[name] for each in self.changes), start=NOTHING)
                for name, total in self.totals.items()
            }
            rows.append((f"({self.same} more)", "", "same", *cells(rest)))
        headings = [FIGURES[name].heading_in(self.unit) for name in self.totals]
        return Table(
            columns=(
                "Name",
                "Class",
                "Change",
                *(f"{heading} {when}" for heading in headings for when in ("before", "after", "+/-")[first:]),
            ),
            rows=tuple(rows),
            footer=("Total", " -> ".join(dict.fromkeys(self.models)), "", *cells(self.totals)),
            notes=self.notes,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, with exact figures."""

        def plain(pairs: Mapping[str, Pair]) -> dict[str, Any]:
            return {
                name: {"before": pair.before, "after": pair.after, "grown": pair.grown} for name, pair in pairs.items()
            }

        return {
            "models": list(self.models),
            "convention": self.convention,
            "unit": self.unit,
            "totals": plain(self.totals),
            "changes": [
                {"name": each.name, "class": each.cls, "change": each.kind, **plain(each.figures)}
                for each in self.changes
            ],
            "same": self.same,
            "notes": list(self.notes),
        }


def differences(before: Profile, after: Profile) -> Differences:
    """Match the layers of two profiles by name.

    Args:
        before: one, such as :attr:`thoplw.LayerInfo.profile`.
        after: the other.

    Raises:
        InputError: different conventions counted the two profiles.
    """
    conventions = before.about.convention, after.about.convention
    if len(set(conventions)) > 1:
        raise InputError(
            f"before was counted by {conventions[0]!r} and after by {conventions[1]!r}: figures of different "
            "conventions cannot be compared; profile one of them again"
        )
    compared = [figure for figure in shown_in("diff") if not _lacking(before, after, figure)]
    old, new = (_layers(each, compared) for each in (before, after))
    found = [_change(name, old.get(name), new.get(name), compared) for name in dict.fromkeys((*old, *new))]
    changes = tuple(change for change in found if change is not None)
    return Differences(
        models=(before.about.model, after.about.model),
        convention=conventions[0],
        unit=after.about.unit,
        changes=changes,
        same=len(found) - len(changes),
        totals=_pairs(before.total, after.total, compared),
        notes=_notes(before, after),
    )


def _lacking(before: Profile, after: Profile, figure: Figure) -> list[str]:
    """Which of two profiles lack a figure."""
    return [when for when, each in (("before", before), ("after", after)) if figure.is_lacking(each.total)]


def not_compared(before: Profile, after: Profile) -> tuple[str, ...]:
    """A sentence for each figure that one of two profiles lacks."""
    found = ((figure, _lacking(before, after, figure)) for figure in shown_in("diff"))
    return tuple(
        f"Not compared: {figure.words}, which the profile {' and '.join(lacking)} lacks."
        for figure, lacking in found
        if lacking
    )


def _notes(before: Profile, after: Profile) -> tuple[str, ...]:
    given = [[list(shape) for shape in each.total.input_shapes] for each in (before, after)]
    inputs = (f"Inputs differ: {given[0]} before, {given[1]} after.",) if given[0] != given[1] else ()
    return (*inputs, *not_compared(before, after), *brief(before.gaps, " before"), *brief(after.gaps, " after"))


def _layers(profile: Profile, compared: Iterable[Figure]) -> dict[str, Row]:
    """Rows by name: modules that hold no others, and those with figures of their own."""
    return {row.name: row for row in layers(profile.modules, *(figure.number for figure in compared))}


def _pairs(old: Row | None, new: Row | None, compared: Iterable[Figure]) -> dict[str, Pair]:
    return {
        figure.name: Pair(
            before=0 if old is None else figure.number(old), after=0 if new is None else figure.number(new)
        )
        for figure in compared
    }  # fmt: skip


def _change(name: str, old: Row | None, new: Row | None, compared: Iterable[Figure]) -> Change | None:
    classes = [each.cls for each in (old, new) if each is not None]
    figures = _pairs(old, new, compared)
    if old and new and len(set(classes)) == 1 and not any(pair.grown for pair in figures.values()):
        return None
    return Change(
        name=name,
        cls=" -> ".join(dict.fromkeys(classes)),
        kind="added" if old is None else "removed" if new is None else "changed",
        figures=figures,
    )


#: Format -> how a figure, and how a difference is written.
_FORMATTERS: Mapping[str, tuple[Callable[[int], str], Callable[[int], str]]] = {
    "raw": (str, "{:+d}".format),
    "clever": (aligned, lambda value: aligned(value, "%+.2f")),
}

#: How figures can be written.
FORMATS = tuple(_FORMATTERS)
