"""What differs between two profiles, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from thoplw.errors import InputError
from thoplw.render.table import Table
from thoplw.render.units import clever_format


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A figure before and after."""

    before: int
    after: int

    @property
    def grown(self) -> int:
        """By how much; negative for what has become less."""
        return self.after - self.before

    def __add__(self, other: Pair) -> Pair:
        return Pair(before=self.before + other.before, after=self.after + other.after)


NOTHING = Pair(before=0, after=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A layer that is not the same in both.

    Attributes:
        name: path of the module; empty for the model itself.
        cls: name of its class; ``ReLU -> GELU`` where that changed.
        kind: what happened to it.
        macs: its own, in the unit of the convention.
        params: its own.
    """

    name: str
    cls: str
    kind: Literal["added", "removed", "changed"]
    macs: Pair
    params: Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Two profiles, side by side.

    Attributes:
        models: names of the classes, before and after.
        convention: what counted both.
        unit: of ``macs``: ``MAC`` or ``FLOP``.
        changes: layers that differ: those there were before, then those that were added, in definition order.
        same: number of layers that do not differ.
        macs: totals.
        params: totals.
        notes: what the figures of either lack.
    """

    models: tuple[str, str]
    convention: str
    unit: str
    changes: tuple[Change, ...]
    same: int
    macs: Pair
    params: Pair
    notes: tuple[str, ...]

    def table(self, fmt: str = "raw") -> Table:
        """Every layer that differs, and all others in one row, so that columns add up.

        Args:
            fmt: ``raw`` numbers, or ``clever`` ones with units.
        """
        figure, growth = _FIGURES[fmt]
        unit = f"{self.unit}s"

        def cells(*pairs: Pair) -> tuple[str, ...]:
            return tuple(
                cell for pair in pairs for cell in (figure(pair.before), figure(pair.after), growth(pair.grown))
            )

        rest_macs = _less(self.macs, (change.macs for change in self.changes))
        rest_params = _less(self.params, (change.params for change in self.changes))
        rows = [
            (change.name or "(model)", change.cls, change.kind, *cells(change.macs, change.params))
            for change in self.changes
        ]
        if self.same:
            rows.append((f"({self.same} more)", "", "same", *cells(rest_macs, rest_params)))
        return Table(
            columns=(
                "Name", "Class", "Change",
                f"{unit} before", f"{unit} after", f"{unit} +/-", "Params before", "Params after", "Params +/-",
            ),
            rows=tuple(rows),
            footer=("Total", " -> ".join(dict.fromkeys(self.models)), "", *cells(self.macs, self.params)),
            notes=self.notes,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, with exact figures."""

        def pairs(macs: Pair, params: Pair) -> dict[str, Any]:
            return {
                name: {"before": pair.before, "after": pair.after, "grown": pair.grown}
                for name, pair in (("macs", macs), ("params", params))
            }

        return {
            "models": list(self.models),
            "convention": self.convention,
            "unit": self.unit,
            "totals": pairs(self.macs, self.params),
            "changes": [
                {"name": each.name, "class": each.cls, "change": each.kind, **pairs(each.macs, each.params)}
                for each in self.changes
            ],
            "same": self.same,
            "notes": list(self.notes),
        }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Differences:
    """Match the layers of two profiles by name.

    Args:
        before: what :meth:`thoplw.LayerInfo.to_dict` gives.
        after: the same, of the other model.

    Raises:
        InputError: they were counted by different conventions.
    """
    conventions = before["convention"], after["convention"]
    if len(set(conventions)) > 1:
        raise InputError(
            f"before was counted by {conventions[0]!r} and after by {conventions[1]!r}: figures of different "
            "conventions do not compare; profile one of them again"
        )
    old, new = _layers(before), _layers(after)
    found = [_change(name, old.get(name), new.get(name)) for name in dict.fromkeys((*old, *new))]
    changes = tuple(change for change in found if change is not None)
    return Differences(
        models=(before["model"], after["model"]),
        convention=conventions[0],
        unit=after["unit"],
        changes=changes,
        same=len(found) - len(changes),
        macs=Pair(before=before["totals"]["macs"], after=after["totals"]["macs"]),
        params=Pair(before=before["totals"]["params"], after=after["totals"]["params"]),
        notes=_notes(before, after),
    )


def gaps(document: Mapping[str, Any], where: str = "") -> tuple[str, ...]:
    """What the figures of a profile lack, in words.

    Args:
        document: what :meth:`thoplw.LayerInfo.to_dict` gives.
        where: what to call it, as in " before".
    """
    notes = []
    if document["uncounted"]:
        notes.append(f"Not counted{where}: {', '.join(document['uncounted'])}.")
    notes += [f"Assumed{where}: {statement}." for statement in document["assumptions"]]
    return tuple(notes)


def _notes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    inputs = (f"Inputs differ: {before['inputs']} before, {after['inputs']} after.",)
    return (
        *(inputs if before["inputs"] != after["inputs"] else ()),
        *gaps(before, " before"),
        *gaps(after, " after"),
    )


def _layers(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Modules that hold no other, and those with figures of their own."""
    modules = document["layers"]
    inside = [module["depth"] for module in modules[1:]] + [0]
    return {
        module["name"]: module
        for module, below in zip(modules, inside, strict=True)
        if below <= module["depth"] or module["macs"] or module["params"]
    }


def _change(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Change | None:
    classes = [each["class"] for each in (old, new) if each is not None]
    macs, params = (Pair(before=(old or {}).get(key, 0), after=(new or {}).get(key, 0)) for key in ("macs", "params"))
    if old and new and len(set(classes)) == 1 and not macs.grown and not params.grown:
        return None
    return Change(
        name=name,
        cls=" -> ".join(dict.fromkeys(classes)),
        kind="added" if old is None else "removed" if new is None else "changed",
        macs=macs,
        params=params,
    )


def _less(total: Pair, parts: Iterable[Pair]) -> Pair:
    part = sum(parts, start=NOTHING)
    return Pair(before=total.before - part.before, after=total.after - part.after)


#: Name -> how a figure, and how a difference is written.
_FIGURES: dict[str, tuple[Callable[[int], str], Callable[[int], str]]] = {
    "raw": (str, "{:+d}".format),
    "clever": (clever_format, lambda value: clever_format(value, "%+.2f")),
}

#: How figures can be written.
FIGURES = tuple(_FIGURES)
