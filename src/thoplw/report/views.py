"""Turn a profile into a table: choose columns and rows, order them, and write the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thoplw.errors import InputError, UnknownNameError
from thoplw.render import TABLES, check_format
from thoplw.render.table import Table
from thoplw.render.units import clever_format, quantity
from thoplw.render.words import named, shapes_in_words, some
from thoplw.report.figures import FIGURES, FORMATTERS, Figure, Figures, Formatter, Value, number, shown_in
from thoplw.report.profile import Profile
from thoplw.report.rollup import cumulative, folded, layers, rolled_up, summed
from thoplw.report.rows import Row, Shape

#: What a table shows unless told otherwise.
DEFAULT = ("name", "class", "inputs", "outputs", "macs", "params")

#: The same for a report with phases, which need the room.
OF_TRAINING = ("name", "class", "phases", "macs", "params")

#: The same for a report on a device.
ON_DEVICE = ("name", "class", "flops", "compulsory", "intensity", "bound", "floor")

#: How many different shapes to show for a module that is called several times.
SHAPES = 3


def column_names() -> tuple[str, ...]:
    """Names of all columns: words, then figures, then the operators."""
    return (*_WORDS, *(figure.name for figure in shown_in("table")), "operators")


def sort_names() -> tuple[str, ...]:
    """Names of all columns that rows can be sorted by: names ascending, figures descending."""
    return ("name", *(figure.name for figure in shown_in("table")))


def needs_device(name: str | None) -> bool:
    """Whether a column is of a device, such as a floor."""
    return name == "bound" or (name in FIGURES and FIGURES[name].on_device)


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
            ("fmt", (self.fmt,), FORMATTERS),
            ("column", (self.columns,) if isinstance(self.columns, str) else self.columns or (), column_names()),
            ("sort", () if self.sort is None else (self.sort,), sort_names()),
        ):
            for name in names:
                if name not in known:
                    raise UnknownNameError(what, name, known)
        if self.columns is not None and (isinstance(self.columns, str) or not self.columns):
            raise InputError(f"columns={self.columns!r}: give a list of names, such as columns=['name', 'macs']")
        if self.top is not None and not (type(self.top) is int and self.top >= 1):
            raise InputError(f"top={self.top!r}: give 1 or more layers to show")
        if self.top is not None and self.sort == "name":
            raise InputError("top= shows the largest layers: sort by a number, such as sort='params', not by name")
        if self.top is not None and not self.own:
            raise InputError(
                "top= with own=False would count a module inside another one twice: leave one of them out, "
                "or give depth= to see large parts of the model"
            )

    def check(self, kind: str) -> None:
        """Refuse options that an output format does not take, before the model runs.

        Raises:
            UnknownNameError: the format is unknown.
            InputError: an option works only with other formats.
        """
        check_format(kind)
        if kind == "tree" and (self.sort, self.top, self.own) != (None, None, True):
            raise InputError(
                "kind 'tree' always shows all modules, in the order in which the model defines them: sort, top and own "
                f"work only with {', '.join(sorted(TABLES.keys() - {kind}))}; use depth for a smaller tree"
            )
        if kind not in TABLES and replace(self, depth=None) != View():
            raise InputError(
                f"kind {kind!r} always holds all figures of all modules, as exact numbers, and takes only depth; "
                f"fmt, columns, sort, top and own work only with {', '.join(TABLES)}"
            )

    @property
    def _needs_late(self) -> bool:
        """Whether a column shows bytes, or what else is worked out late."""
        shown = [FIGURES[name] for name in self.columns or () if name in FIGURES]
        return any(figure.late or figure.over for figure in shown)

    def table(self, profile: Profile) -> Table:
        """The table of a profile."""
        usual = ON_DEVICE if profile.about.device else OF_TRAINING if profile.has_phases else DEFAULT
        for what, name in (*(("column", name) for name in self.columns or ()), ("sort", self.sort)):
            if not profile.about.device and needs_device(name):
                raise InputError(f"{what} {name!r} needs a device: layers.on('h100-sxm')")
        if self.sort in FIGURES and self.sort is not None:
            _refuse_lacking(f"sort={self.sort!r}", FIGURES[self.sort], profile)
        columns = [column for name in self.columns or usual for column in self._columns(name, profile)]
        figures = [column for column in columns if isinstance(column, _Figures)]
        rows = self._rows(profile.modules, figures)
        return Table(
            columns=tuple(column.heading for column in columns),
            rows=tuple(tuple(column.cell(row) for column in columns) for row in rows),
            footer=tuple(column.footer for column in columns),
            notes=(*profile.notes, *(profile.doubts if self._needs_late else ())),
            values={column.heading: (*map(column.value, rows), column.total) for column in figures},
            levels=tuple(row.depth for row in rows),
            about=profile.about.to_dict(),
        )

    def _rows(self, modules: Sequence[Row], figures: Iterable[_Figures]) -> Sequence[Row]:
        rows = modules if self.depth is None else rolled_up(modules, self.depth)
        rows = folded(rows) if self.fold else rows
        rows = layers(rows, *(column.value for column in figures)) if self.own else cumulative(rows)
        if self.sort is None and self.top is None:
            return rows
        ordered = sorted(rows, key=_order(self.sort or "macs"))
        largest, rest = ordered[: self.top], ordered[self.top :] if self.top else []
        if not rest:
            return largest
        return [*largest, _more(rest)]

    def _columns(self, name: str, profile: Profile) -> list[_Words | _Figures]:
        cell, foot = FORMATTERS[self.fmt]
        model = profile.total
        if name == "operators":
            cost = model.macs
            return [_Words("Operators", lambda row: _operators(row, lambda value: cell(value, cost)), "")]
        if name in _WORDS:
            heading, words, footer = _WORDS[name]
            return [_Words(heading, lambda row: words(row, profile.batch), footer(model, profile.batch))]
        figure = FIGURES[name]
        _refuse_lacking(f"column {name!r}", figure, profile)
        if figure.formatter is not None:
            cell = foot = figure.formatter
        heading = profile.heading(figure)
        if figure.over is not None:
            return [_Words(heading, lambda row: _ratio(figure.ratio(row)), _ratio(figure.ratio(model)))]
        if not figure.adds_up:
            size = figure.number(model) if figure.inclusive else 0

            def written(row: Row) -> str:
                try:
                    return cell(number(row.figures[name]), size)
                except KeyError:  # it is of several modules
                    return ""

            return [_Words(heading, written, foot(size, size) if size else "")]
        if not figure.parts:
            return [_Figures(heading, figure.number, figure.number(model), cell, foot)]
        whole = figure.parts_of(model)
        return [
            _Figures(f"{heading} {part}".strip(), _part(name, part), size, cell, foot)
            for part, size in (whole or {"": 0}).items()
        ]


def _refuse_lacking(where: str, figure: Figure, profile: Profile) -> None:
    if figure.is_lacking(profile.total):
        raise InputError(f"{where}: this report has no {figure.words}: {figure.lacking}")


def total_line(profile: Profile) -> str:
    """``1.82 GMACs, 3.64 GFLOPs, 11.70 M parameters (11.69 M trainable), 46.8 MB``."""
    model, unit = profile.total, profile.about.unit
    costs = [] if unit == "FLOP" else [quantity(model.macs, f"{unit}s")]
    if profile.has_phases:
        phases = (f"{quantity(size, f'{unit}s')} {phase}" for phase, size in profile.by_phase().items() if size)
        costs = [", ".join(phases)]
    trainable = "all" if model.trainable == model.params else clever_format(model.trainable)
    count = f"{clever_format(model.params)} parameters ({trainable} trainable)"
    parameters = count if model.params else "no parameters"
    size = quantity(FIGURES["bytes"].number(model), "B", "%.1f")
    return ", ".join((*costs, quantity(model.flops, "FLOPs"), parameters, size))


@dataclass(frozen=True, slots=True)
class _Words:
    """A column of text, without a total."""

    heading: str
    cell: Callable[[Row], str]
    footer: str


@dataclass(frozen=True, slots=True)
class _Figures:
    """A column of figures, whose total is the sum of all rows."""

    heading: str
    value: Callable[[Row], int]
    total: int
    written: Formatter
    written_total: Formatter

    def cell(self, row: Row) -> str:
        return self.written(self.value(row), self.total)

    @property
    def footer(self) -> str:
        return self.written_total(self.total, self.total)


def _ratio(value: float) -> str:
    """``0.98``, ``124``: three digits that matter."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _part(figure: str, part: str) -> Callable[[Row], int]:
    """One part of a figure that has parts."""

    def value(row: Row) -> int:
        parts = row[figure]
        assert isinstance(parts, Mapping)  # every row of a figure has parts, or none has
        return parts.get(part, 0)

    return value


def _order(sort: str) -> Callable[[Row], Any]:
    if sort == "name":
        return lambda row: row.name
    figure = FIGURES[sort]
    return lambda row: -(figure.number(row) if figure.over is None else figure.ratio(row))


def _more(rest: Sequence[Row]) -> Row:
    """Sum many rows in one, ``(12 more)``, which is not a module: it has no figure of what modules have inside."""
    whole = summed(rest)
    calls = sum(row.calls for row in rest)

    def late(name: str) -> Value:
        if FIGURES[name].inclusive:
            raise KeyError(name)
        return whole.figures[name]

    return replace(
        whole,
        name=f"({len(rest)} more)",
        cls="",
        input_shapes=(),
        output_shapes=(),
        other_shapes=(),
        figures=Figures({**whole.figures, "calls": calls}, late),
    )


def _shapes(several: Iterable[tuple[Shape, ...]], batch: int | None) -> str:
    """Shapes without the batch: ``3 x 224 x 224, 10``; those of other calls behind a bar: ``64 x 7 | 32 x 7``."""
    known = dict.fromkeys(several)
    words = (shapes_in_words(_without(shape, batch) for shape in shapes) for shapes in known)
    return some(words, SHAPES, " | ")


def _without(shape: Shape, batch: int | None) -> Shape:
    return shape[1:] if shape and shape[0] == batch else shape


def _inputs(row: Row, batch: int | None) -> str:
    return _shapes((row.input_shapes, *(inputs for inputs, _ in row.other_shapes)), batch)


def _outputs(row: Row, batch: int | None) -> str:
    return _shapes((row.output_shapes, *(outputs for _, outputs in row.other_shapes)), batch)


def _operators(row: Row, written: Callable[[int], str]) -> str:
    """The operators that cost something: ``aten.linear 1024, aten.softmax 16``."""
    return ", ".join(f"{name} {written(value).strip()}" for name, value in row.operators.items() if value)


# Name -> heading, the cell of a row, and the cell of the footer. Both functions take a row (the model's own, for the
# footer) and the batch size.
_WORDS: dict[str, tuple[str, Callable[[Row, int | None], str], Callable[[Row, int | None], str]]] = {
    "name": ("Name", lambda row, _: named(row.name), lambda *_: "Total"),
    "class": ("Class", lambda row, _: row.cls, lambda model, _: model.cls),
    "depth": ("Depth", lambda row, _: str(row.depth), lambda *_: ""),
    "inputs": ("Input shape", _inputs, _inputs),
    "outputs": ("Output shape", _outputs, _outputs),
    "bound": ("Bound", lambda row, _: row.bound, lambda model, _: model.bound),
}
