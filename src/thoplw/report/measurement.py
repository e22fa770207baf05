"""The times of layers beside their counts, as people see them. Plain values, no torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from statistics import median
from typing import TYPE_CHECKING, Any

from thoplw.errors import InputError, UnknownNameError
from thoplw.record import Span
from thoplw.render import TABLES, render
from thoplw.render.plots import roofline
from thoplw.render.table import Table
from thoplw.render.units import aligned, clever_format
from thoplw.render.words import count, named, visible
from thoplw.report.figures import FIGURES
from thoplw.report.profile import Profile
from thoplw.report.rollup import layers, summed
from thoplw.report.rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot

#: Formats of :meth:`Measurement.summary`.
KINDS = (*(kind for kind in TABLES if kind != "tree"), "json", "html", "chrome")

#: How many layers have names in a picture.
_NAMED = 10

#: Columns of :meth:`Measurement.summary`.
COLUMNS = ("name", "class", "calls", "latency", "share", "macs", "flops", "achieved", "floor", "of roof", "bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRow:
    """The time of a layer beside its counts.

    Attributes:
        row: its counts; those of modules in it that were not called count for it.
        calls: how many times it was called in one run.
        latency: seconds that it took by itself in a run: the mean of the middle half of all.
        seconds: the same with the modules that it called.
    """

    row: Row
    calls: int
    latency: float
    seconds: float

    @property
    def name(self) -> str:
        """Path of the module; empty for the model itself."""
        return self.row.name

    @property
    def achieved(self) -> float:
        """FLOP/s."""
        return self.row.flops / self.latency if self.latency > 0 else 0.0

    @property
    def of_roof(self) -> float:
        """The least time on the device, as a part of the time that it took; both with all that it called.

        Raises:
            InputError: the measurement is beside no device.
        """
        return self.row.floor / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The real times of layers beside their counts.

    Iterating gives the rows. ``print(measurement)`` shows the table.

    Attributes:
        profile: the counts.
        untouched: seconds of each run without timers.
        timed: the calls of each run with timers: first that of the model.
        on: ``cpu`` or ``cuda``.
        hardware: what it ran on, in words.
        roof: name of the device that the rows are compared with; empty if none was given.
        peaks: type of data -> the most that this device does, in FLOP/s.
        bandwidth: of its memory, in bytes per second.
    """

    profile: Profile = field(repr=False)
    untouched: tuple[float, ...]
    timed: tuple[tuple[Span, ...], ...] = field(repr=False)
    on: str
    hardware: str
    roof: str = ""
    peaks: Mapping[str, float] = field(default_factory=dict, repr=False)
    bandwidth: float = 0

    @property
    def latency(self) -> float:
        """Seconds of a run without timers, the median of all."""
        return median(self.untouched)

    @cached_property
    def _middle(self) -> tuple[tuple[Span, ...], ...]:
        """The runs with timers, without the fastest and the slowest quarter: the means of these add up."""
        ordered = sorted(self.timed, key=lambda spans: spans[0].seconds)
        quarter = len(ordered) // 4
        return tuple(ordered[quarter : len(ordered) - quarter])

    def _mean(self, of: Callable[[Span], float]) -> dict[str, float]:
        """Module -> the sum over its calls, in the mean of the middle runs."""
        found: dict[str, float] = {}
        for spans in self._middle:
            for span in spans:
                found[span.module] = found.get(span.module, 0.0) + of(span) / len(self._middle)
        return found

    @cached_property
    def _own(self) -> dict[str, float]:
        """Module -> the seconds that it took by itself in a run."""
        return self._mean(attrgetter("own"))

    @cached_property
    def _called(self) -> tuple[Row, ...]:
        return _called(self.profile.modules, self._own)

    @cached_property
    def rows(self) -> tuple[TimedRow, ...]:
        """One row per layer, in definition order.

        A layer is a module that was called and called no other, or that has cost or parameters of its own.
        """
        calls = Counter(span.module for span in self._middle[0])
        seconds = self._mean(attrgetter("seconds"))
        shown = layers(self._called, *(FIGURES[name].number for name in ("macs", "flops", "params")))
        return tuple(
            TimedRow(
                row=row,
                calls=calls[row.name],
                latency=self._own.get(row.name, 0.0),
                seconds=seconds.get(row.name, 0.0),
            )
            for row in shown
        )

    @cached_property
    def between(self) -> float:
        """Seconds between layers in a run: Python, launches, and work without cost in modules that hold others."""
        shown = {row.name for row in self.rows}
        return sum(seconds for name, seconds in self._own.items() if name not in shown) + self._waiting

    @property
    def _waiting(self) -> float:
        """Seconds in which a GPU waits for launches. In runs with timers it gets all launches before it begins."""
        if self.on == "cpu":
            return 0.0
        return max(0.0, self.latency - sum(spans[0].seconds for spans in self._middle) / len(self._middle))

    @property
    def accounted(self) -> float:
        """Seconds of all rows and between them: ``latency`` would be the same without noise."""
        return sum(row.latency for row in self.rows) + self.between

    @property
    def achieved(self) -> float:
        """FLOP/s of the whole model, untouched."""
        return self.profile.flops / self.latency

    def __iter__(self) -> Iterator[TimedRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return self.summary()

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what was measured, and how far the rows are from the untouched run."""
        off, runs = self.accounted / self.latency - 1, len(self.untouched)
        lines = [
            f"{count(runs, 'run')} with timers, and {runs} without, on {self.hardware}. The rows and "
            f"what lies between them take {_in_words(self.accounted)}, the model without timers "
            f"{_in_words(self.latency)}: {100 * off:+.1f} %."
        ]
        if self.roof:
            lines.append(f"No run takes less than the floor on {self.roof}, if its figures are right.")
        return (*lines, *self.profile.notes)

    def summary(
        self,
        kind: str = "text",
        *,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        top: int | None = None,
    ) -> str:
        """The times of all layers, in one of several formats.

        A table is ``text``, ``csv``, ``md`` or ``latex``, with times in milliseconds. ``json`` has them in seconds.
        ``html`` is a page with the table and, if there is a device, the roofline, where hover names a layer. ``chrome``
        is a trace of a run of middling time, which chrome://tracing and https://ui.perfetto.dev show.

        Args:
            kind: one of those.
            columns: which, out of ``name``, ``class``, ``calls``, ``latency``, ``share`` (of the untouched run),
                ``macs``, ``flops``, ``achieved`` (FLOP/s), and on a device ``floor`` (milliseconds), ``of roof`` (the
                floor as a part of the time) and ``bound`` (what the floor is of).
            sort: ``latency``, ``macs``, ``flops``, ``achieved``, ``floor`` or ``of roof``, largest first; in definition
                order otherwise.
            top: show only this many of the rows that take longest, or come first by ``sort``.

        Raises:
            UnknownNameError: there is no such kind or column.
            InputError: the options contradict each other.
        """
        if kind not in KINDS:
            raise UnknownNameError("kind", kind, KINDS)
        if kind not in TABLES and (columns, sort, top) != (None, None, None):
            raise InputError(f"kind {kind!r} always holds everything: columns, sort and top are for tables")
        if kind == "json":
            return json.dumps(self.to_dict(), indent=1)
        if kind == "chrome":
            return json.dumps(self.to_chrome())
        if kind == "html":
            return self._page()
        return render(self.table(columns=columns, sort=sort, top=top, exact=kind == "csv"), kind)

    def table(
        self,
        *,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        top: int | None = None,
        exact: bool = False,
    ) -> Table:
        """The table, as renderers take it; the options are those of :meth:`summary`.

        Args:
            columns: as there.
            sort: as there.
            top: as there.
            exact: write seconds and numbers in full.
        """
        usual = [
            name for name in COLUMNS if name not in ("calls", "macs", "floor") and (self.roof or name not in _ON_DEVICE)
        ]
        chosen = usual if columns is None else list(columns)
        for name in chosen:
            if name not in COLUMNS:
                raise UnknownNameError("column", name, COLUMNS)
        if sort is not None and sort not in _NUMBERS:
            raise UnknownNameError("sort", sort, _NUMBERS)
        for what, word in (*(("column", name) for name in chosen), ("sort", sort)):
            if not self.roof and word in _ON_DEVICE:
                raise InputError(f"{what} {word!r} needs a device: measure(..., device='h100-sxm')")
        if top is not None and not (type(top) is int and top >= 1):
            raise InputError(f"top={top!r}: give 1 or more layers to show")
        rows: Sequence[TimedRow] = self.rows
        if sort is not None or top is not None:
            rows = sorted(rows, key=_NUMBERS[sort or "latency"], reverse=True)
        first, more = rows[:top], rows[top:] if top is not None else ()
        lines: list[tuple[str, str, _Sum]] = [(named(row.name), row.row.cls, _Sum((row,))) for row in first]
        if more:
            lines.append((f"({len(more)} more)", "", _Sum(more)))
        lines.append(("(between layers)", "", _Sum((), self.between)))
        model = self.profile.total
        untouched = TimedRow(row=model, calls=0, latency=self.latency, seconds=self.latency)
        total = _Sum((untouched,))
        write = _exact if exact else _short
        return Table(
            columns=tuple(map(self._heading, chosen)),
            rows=tuple(tuple(self._cell(column, *line, write) for column in chosen) for line in lines),
            footer=tuple(self._cell(column, "Total", model.cls, total, write) for column in chosen),
            notes=self.notes,
            values={
                self._heading(column): tuple(each.as_integer(column) for each in (*(line[2] for line in lines), total))
                for column in chosen
                if column in _UNITS
            },
            about=self.profile.about.to_dict(),
        )

    def plot(self) -> Plot:
        """The roofline: FLOP/s over FLOPs per byte that operators move, one dot for each layer.

        The slowest ten have their names.

        Raises:
            InputError: no device was given to compare with.
            MissingExtraError: matplotlib is not installed.
        """
        if not self.roof:
            raise InputError("a roofline needs a device: measure(..., device='h100-sxm')")
        dots = {named(row.name): (intensity, row.achieved) for row, intensity in self._placed()}
        title = f"{self.profile.about.model}, {self.roof}"
        slowest = sorted(self.rows, key=lambda row: -row.latency)[:_NAMED]
        return roofline(
            dots,
            peaks=self.peaks,
            bandwidth=self.bandwidth,
            title=title,
            labels={named(row.name) for row in slowest},
        )

    def _page(self) -> str:
        from thoplw.render.page.times import Dot, times_page

        dots = [
            Dot(
                name=named(row.name),
                words=f"{_in_words(row.latency)}, {clever_format(row.achieved)}FLOP/s, {row.of_roof:.1%} of roof",
                intensity=intensity,
                rate=row.achieved,
                part=row.latency / self.latency,
            )
            for row, intensity in (self._placed() if self.roof else ())
        ]
        title = f"{self.profile.about.model}: {_in_words(self.latency)} on {self.hardware}"
        return times_page(title, self.table(), dots, self.peaks, self.bandwidth)

    def _placed(self) -> list[tuple[TimedRow, float]]:
        """The rows with arithmetic, and their FLOPs per byte that their operators move."""
        return [(row, row.row.intensity) for row in self.rows if row.achieved and row.row.intensity]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, times in seconds."""
        return {
            **self.profile.about.to_dict(),
            "on": self.on,
            "hardware": self.hardware,
            "roof": self.roof,
            "latency": self.latency,
            "between": self.between,
            "untouched": list(self.untouched),
            "layers": [
                {
                    "name": row.name,
                    "class": row.row.cls,
                    "calls": row.calls,
                    "latency": row.latency,
                    "macs": row.row.macs,
                    "flops": row.row.flops,
                    "params": row.row.params,
                    "achieved": row.achieved,
                    **({"floor": row.row.floor, "of_roof": row.of_roof, "bound": row.row.bound} if self.roof else {}),
                }
                for row in self.rows
            ],
        }

    def to_chrome(self) -> dict[str, Any]:
        """A trace in the format of Chrome: every call of a module in a run that took a middling time."""
        spans = self._middle[len(self._middle) // 2]
        rows = {row.name: row for row in self._called}
        head = [
            {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": f"{self.profile.about.model}, thoplw"}},
            {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": self.hardware}},
        ]
        calls = [
            {
                "ph": "X",
                "pid": 1,
                "tid": 1,
                "cat": "module",
                "name": visible(named(span.module)),
                "ts": 1e6 * span.start,
                "dur": 1e6 * seconds,
                "args": _counts(rows.get(span.module)),
            }
            for span, seconds in _within(spans)
        ]
        return {"displayTimeUnit": "ms", "traceEvents": [*head, *calls], "otherData": self.profile.about.to_dict()}

    def _heading(self, name: str) -> str:
        return _HEADINGS.get(name) or self.profile.heading(FIGURES[name])

    def _cell(self, column: str, name: str, cls: str, line: _Sum, write: Callable[[str, float], str]) -> str:
        if column in ("name", "class"):
            return name if column == "name" else cls
        if column == "bound":
            return line.rows[0].row.bound if len(line.rows) == 1 else ""
        value = line.latency / self.latency if column == "share" else line.value(column)
        return "" if value is None else write(column, value)


@dataclass(frozen=True, slots=True)
class _Sum:
    """A line of the table: the sum of some rows, or a time without rows.

    Attributes:
        rows: the rows.
        seconds: a time to add to theirs.
    """

    rows: Sequence[TimedRow]
    seconds: float = 0

    @property
    def latency(self) -> float:
        return self.seconds + sum(row.latency for row in self.rows)

    def value(self, column: str) -> float | None:
        """Return the figure in a column; None if the line has no rows."""
        if column == "latency":
            return self.latency
        if not self.rows:
            return None
        if column == "calls":
            return sum(row.calls for row in self.rows)
        if column in ("macs", "flops"):
            return sum(FIGURES[column].number(row.row) for row in self.rows)
        if column == "achieved":
            return sum(row.row.flops for row in self.rows) / self.latency if self.latency > 0 else None
        if len(self.rows) > 1:  # floors do not add up
            return None
        return self.rows[0].row.floor if column == "floor" else self.rows[0].of_roof

    def as_integer(self, column: str) -> int:
        """Return the figure as an integer, as tables need it: times in nanoseconds, parts in thousandths."""
        value = self.latency if column == "share" else self.value(column)
        return round((value or 0) * {"latency": 1e9, "share": 1e9, "floor": 1e9, "of roof": 1e3}.get(column, 1))


_HEADINGS = {
    "name": "Name", "class": "Class", "calls": "Calls", "latency": "ms", "share": "Share", "achieved": "FLOP/s",
    "floor": "Floor, ms",
    "of roof": "Of roof",
    "bound": "Bound",
}  # fmt: skip


def _short(column: str, value: float) -> str:
    if column in ("latency", "floor"):
        return f"{1e3 * value:.3f}"
    if column in ("share", "of roof"):
        return f"{100 * value:.1f} %"
    return str(round(value)) if column == "calls" else aligned(round(value))


def _exact(column: str, value: float) -> str:
    if column in ("latency", "floor"):
        return f"{1e3 * value:.6f}"
    return f"{value:.6f}" if column in ("share", "of roof") else str(round(value))


#: Columns of figures.
_UNITS = frozenset(COLUMNS) - {"name", "class", "bound"}

#: Columns that need a device to compare with.
_ON_DEVICE = frozenset({"floor", "of roof", "bound"})

#: What rows can be sorted by.
_NUMBERS: Mapping[str, Callable[[TimedRow], float]] = {
    "latency": lambda row: row.latency,
    "macs": lambda row: row.row.macs,
    "flops": lambda row: row.row.flops,
    "achieved": lambda row: row.achieved,
    "floor": lambda row: row.row.floor,
    "of roof": lambda row: row.of_roof,
}


#: Names of these columns.
SORTS = tuple(_NUMBERS)


def _called(modules: Sequence[Row], called: Mapping[str, Any]) -> tuple[Row, ...]:
    """Return the modules that were called. The others count for the nearest called module around them.

    For example, the fast path of an encoder layer computes all at once, and calls none of the modules in it.
    """
    groups: dict[int, list[Row]] = {}
    path: list[int] = []  # depth -> the called module there, or around it
    for index, row in enumerate(modules):
        del path[row.depth :]
        path.append(index if row.name in called or not path else path[-1])
        groups.setdefault(path[-1], []).append(row)
    depths: list[int] = []
    found = []
    for group in groups.values():
        row = summed(group)
        while depths and depths[-1] >= row.depth:
            depths.pop()
        found.append(replace(row, depth=len(depths)))
        depths.append(row.depth)
    return tuple(found)


def _counts(row: Row | None) -> dict[str, Any]:
    return {"class": row.cls, "macs": row.macs, "flops": row.flops, "params": row.params} if row is not None else {}


def _within(spans: Sequence[Span]) -> Iterator[tuple[Span, float]]:
    """Yield calls in the order in which they began, with the time to show: no longer than that of the caller.

    What timers cost is an estimate, so that a call that does nothing itself may seem shorter than what it calls.
    """
    ends: list[float] = []
    for span in spans:
        while len(ends) > 1 and ends[-1] <= span.start:
            ends.pop()
        end = max(span.start, min([span.start + span.seconds, *ends[-1:]]))
        yield span, end - span.start
        ends.append(end)


def _in_words(seconds: float) -> str:
    """``1.23 ms``."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"
