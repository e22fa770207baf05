"""From rows to a table: which columns, which rows, in which order, and how figures are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from thoplw.errors import InputError, UnknownNameError
from thoplw.render.table import Table
from thoplw.render.units import clever_format
from thoplw.report.attribution import Row, Shape
from thoplw.report.rollup import cumulative, folded, layers, rolled_up, summed

#: How a figure is written, given the figure and the total.
Figure = Callable[[int, int], str]

#: What a table shows unless told otherwise.
DEFAULT = ("name", "class", "inputs", "outputs", "macs", "params")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What to show of the modules of a model; see :meth:`LayerInfo.summary`."""

    fmt: str = "raw"
    depth: int | None = None
    columns: Sequence[str] | None = None
    sort: str | None = None
    top: int | None = None
    own: bool = True
    fold: bool = False

    def __post_init__(self) -> None:
        for what, names, known in (
            ("fmt", (self.fmt,), FIGURES),
            ("column", (self.columns,) if isinstance(self.columns, str) else self.columns or (), COLUMNS),
            ("sort", () if self.sort is None else (self.sort,), SORTS),
        ):
            for name in names:
                if name not in known:
                    raise UnknownNameError(what, name, known)
        if self.columns is not None and (isinstance(self.columns, str) or not self.columns):
            raise InputError(f"columns={self.columns!r}: give a list of names, such as columns=['name', 'macs']")
        if self.top is not None and self.top < 1:
            raise InputError(f"top={self.top}: show at least the 1 largest layer")
        if self.top is not None and self.sort == "name":
            raise InputError("top= shows the largest layers: sort by a figure, such as sort='params', not by name")
        if self.top is not None and not self.own:
            raise InputError(
                "top= with own=False would count what is inside of a module twice: leave one of them out, "
                "or give depth= to see large parts of the model"
            )

    def table(self, modules: Sequence[Row], unit: str, notes: tuple[str, ...], about: Mapping[str, str]) -> Table:
        """The table of some modules, each given with its own figures; the first holds all others."""
        (total,) = rolled_up(modules, 0)
        columns = [column for name in self.columns or DEFAULT for column in self._columns(name, unit, total)]
        figures = [column for column in columns if isinstance(column, _Figures)]
        rows = self._rows(modules, figures)
        return Table(
            columns=tuple(column.heading for column in columns),
            rows=tuple(tuple(column.cell(row) for column in columns) for row in rows),
            footer=tuple(column.footer for column in columns),
            notes=notes,
            values={column.heading: (*map(column.value, rows), column.total) for column in figures},
            levels=tuple(row.depth for row in rows),
            about=about,
        )

    def _rows(self, modules: Sequence[Row], figures: Iterable[_Figures]) -> Sequence[Row]:
        rows = modules if self.depth is None else rolled_up(modules, self.depth)
        rows = folded(rows) if self.fold else rows
        rows = layers(rows, *(column.value for column in figures)) if self.own else cumulative(rows)
        if self.sort is None and self.top is None:
            return rows
        ordered = sorted(rows, key=SORTS[self.sort or "macs"])
        largest, rest = ordered[: self.top], ordered[self.top :] if self.top else []
        if not rest:
            return largest
        more = replace(
            summed(rest),
            name=f"({len(rest)} more)",
            cls="",
            input_shapes=(),
            output_shapes=(),
            calls=sum(row.calls for row in rest),
        )
        return [*largest, more]

    def _columns(self, name: str, unit: str, total: Row) -> list[_Text | _Figures]:
        figure, written = FIGURES[self.fmt]
        if name == "operators":
            return [_Text("Operators", lambda row: _operators(row, lambda value: figure(value, total.macs)), "")]
        if name == "share":
            return [_Figures("Share", lambda row: row.macs, total.macs, _share, _share)]
        if name == "bytes":
            return [
                _Figures(f"Bytes {dtype}".strip(), partial(_bytes, dtype), size, figure, written)
                for dtype, size in (total.bytes or {"": 0}).items()
            ]
        if name in NUMBERS:
            heading, value = NUMBERS[name]
            return [_Figures(heading or unit, value, value(total), figure, written)]
        heading, text, foot = _TEXTS[name]
        return [_Text(heading, text, foot(total))]


@dataclass(frozen=True, slots=True)
class _Text:
    """A column of words."""

    heading: str
    cell: Callable[[Row], str]
    footer: str


@dataclass(frozen=True, slots=True)
class _Figures:
    """A column that adds up."""

    heading: str
    value: Callable[[Row], int]
    total: int
    figure: Figure
    written: Figure

    def cell(self, row: Row) -> str:
        return self.figure(self.value(row), self.total)

    @property
    def footer(self) -> str:
        return self.written(self.total, self.total)


def named(path: str) -> str:
    """A module in a table or a note; the model itself has an empty path."""
    return path or "(model)"


def _shapes(shapes: tuple[Shape, ...]) -> str:
    """Shapes without the batch dimension: ``3 x 224 x 224, 10``."""
    return ", ".join(" x ".join(map(str, shape[1:])) or "scalar" for shape in shapes)


def _bytes(dtype: str, row: Row) -> int:
    return row.bytes.get(dtype, 0)


def _operators(row: Row, figure: Callable[[int], str]) -> str:
    """Those that cost something."""
    return ", ".join(f"{name} {figure(value).strip()}" for name, value in row.operators.items() if value)


def _share(value: int, total: int) -> str:
    return f"{100 * value / total if total else 0:.2f} %"


#: Name -> how a layer's figure, and how a total is written.
FIGURES: MappingProxyType[str, tuple[Figure, Figure]] = MappingProxyType(
    {
        "raw": (lambda value, _: str(value), lambda value, _: str(value)),
        "clever": (lambda value, _: clever_format(value), lambda value, _: clever_format(value)),
        "ratio": (_share, lambda value, _: clever_format(value)),
    }
)

# Name -> heading, what it says of a row, what stands in the footer given the row of the model.
_TEXTS: dict[str, tuple[str, Callable[[Row], str], Callable[[Row], str]]] = {
    "name": ("Name", lambda row: named(row.name), lambda _: "Total"),
    "class": ("Class", lambda row: row.cls, lambda model: model.cls),
    "depth": ("Depth", lambda row: str(row.depth), lambda _: ""),
    "inputs": ("Input shape", lambda row: _shapes(row.input_shapes), lambda model: _shapes(model.input_shapes)),
    "outputs": ("Output shape", lambda row: _shapes(row.output_shapes), lambda model: _shapes(model.output_shapes)),
    "calls": ("Calls", lambda row: str(row.calls), lambda _: ""),
}

#: Name -> heading (none where it is the unit), and the figure.
NUMBERS: dict[str, tuple[str, Callable[[Row], int]]] = {
    "macs": ("", lambda row: row.macs),
    "flops": ("FLOPs", lambda row: row.flops),
    "params": ("Params", lambda row: row.params),
    "trainable": ("Trainable", lambda row: row.trainable),
}

#: Names of columns.
COLUMNS = (*_TEXTS, *NUMBERS, "share", "bytes", "operators")

#: What rows can be ordered by: names go up, numbers go down.
SORTS: MappingProxyType[str, Callable[[Row], Any]] = MappingProxyType(
    {
        "name": lambda row: row.name,
        "calls": lambda row: -row.calls,
        "macs": lambda row: -row.macs,
        "share": lambda row: -row.macs,
        "flops": lambda row: -row.flops,
        "params": lambda row: -row.params,
        "trainable": lambda row: -row.trainable,
        "bytes": lambda row: -sum(row.bytes.values()),
    }
)
