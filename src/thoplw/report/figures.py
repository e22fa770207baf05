"""The registry of figures, such as MACs and parameters: how each is computed, and where it is shown.

A figure is one entry of :data:`FIGURES`. Table columns, sums over modules, JSON and its schema, data frames, diff,
budget, survey, the HTML page, flame graphs and the help of the command line all read it there::

    FIGURES["tensors"] = Figure(
        name="tensors",
        heading="Tensors",
        label="Tensors of parameters",
        unit="tensor",
        description="How many tensors hold the parameters.",
        of=lambda charge: len(charge.weights),
        places=frozenset({"table", "document"}),
    )
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from thoplw.errors import InputError
from thoplw.estimate.roofline import Times
from thoplw.record import Weight, Work
from thoplw.render.units import aligned, share
from thoplw.traffic.usage import Active

if TYPE_CHECKING:
    from thoplw.estimate.memory import ModuleMemory
    from thoplw.report.rows import Row

#: The value of a figure for a module: a number, or a number for each part, such as bytes for each dtype.
Value = int | Mapping[str, int]

#: How a figure is written, given the figure and the total of the model.
Formatter = Callable[[int, int], str]

#: What a run needs for a figure to be known: a device, a look at the memory, a training step.
Need = Literal["device", "memory", "training"]

#: The places that can show a figure: columns of tables; JSON and data frames; the comparison of two profiles; limits;
#: rows of a survey; the totals and the chart of the HTML page; flame graphs.
PLACES = frozenset({"table", "document", "diff", "budget", "survey", "totals", "page", "flame"})


class Timed(NamedTuple):
    """Times of a module on a device, in picoseconds.

    Attributes:
        units: how long each unit takes by itself, with all modules inside.
        floor: how long it takes at least, with all modules inside.
        eager: how long its operators take one after the other, by an estimate, without modules inside.
        phases: phase of a training step -> how long that takes at least, with all modules inside.
    """

    units: Times
    floor: int
    eager: int
    phases: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The cost of one module by itself, without its children.

    Attributes:
        cost: its work, in the unit of the convention.
        work: its work, as MACs and FLOPs.
        weights: the parameters that the convention counts.
        calls: how many times it was called.
        phases: phase -> its part of the cost, in a report on training.
        moved: gives the bytes that its operators move.
        compulsory: gives the bytes that it must move, with all modules inside.
        active: gives the parameters that the work for one token touches.
        timed: gives the times on a device; None where no device was named.
        activations: gives the elements that its convolutions and matrix products put out in the forward.
        memory: what it takes, where that was asked for.
    """

    cost: int
    work: Work
    weights: tuple[Weight, ...]
    calls: int
    phases: Mapping[str, int] = field(default_factory=dict)
    moved: Callable[[], int] = int
    compulsory: Callable[[], int] = int
    active: Callable[[], Active] = Active
    timed: Callable[[], Timed] | None = None
    activations: Callable[[], int] = int
    memory: ModuleMemory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number that is known of every module, such as its MACs.

    Attributes:
        name: as ``columns=["name"]``, ``sort=``, ``row["name"]`` and the keys of JSON have it.
        heading: of a column; empty where the unit of the convention is the heading.
        label: the same at greater length, for the page and flame graphs; empty as for ``heading``.
        unit: of what it counts, in the singular; empty where the convention tells.
        description: a sentence, for the schema and for help.
        of: computes the figure of a module from its charge, or says None where it is not known; None for a figure that
            follows from others.
        late: whether that takes so long that it is done only when the figure is asked for.
        shows: name of the other figure, for one that only shows its values in another way (share shows macs).
        over: names of two figures, for one that is the first divided by the second.
        parts: what tells its parts apart, such as ``dtype``; empty where it is one number.
        needs: what a run needs for the figure to be known; reports on other runs lack it.
        optional: whether reports may lack it for another reason, such as documents that were saved before it existed.
        lacking: what to do if a report lacks it.
        adds_up: whether the figure of a module that holds others is the sum of its own and theirs, and the model has
            a total. A figure that does not add up is the module's own, also in sums.
        inclusive: whether a module's own figure, which does not add up, is of all modules inside too, so that the
            model's is the total.
        highest: whether that of several modules together is the highest of them.
        formatter: how it is written, if not as the format asks.
        places: where it is shown, out of :data:`PLACES`.
    """

    name: str
    heading: str = ""
    label: str = ""
    unit: str = ""
    description: str
    of: Callable[[Charge], Value | None] | None = None
    late: bool = False
    shows: str = ""
    over: tuple[str, str] | None = None
    parts: str = ""
    needs: frozenset[Need] = frozenset()
    optional: bool = False
    lacking: str = "profile the model again"
    adds_up: bool = True
    inclusive: bool = False
    highest: bool = False
    formatter: Formatter | None = None
    places: frozenset[str]

    @property
    def has_total(self) -> bool:
        """Whether the model as a whole has the figure."""
        return self.adds_up or self.inclusive

    @property
    def on_device(self) -> bool:
        """Whether reports that name no device lack it."""
        return "device" in self.needs

    @property
    def may_lack(self) -> bool:
        """Whether there are reports that lack it; documents then leave it out."""
        return self.optional or bool(self.needs)

    def known(self, row: Row) -> Value | None:
        """The figure of a row, or None if its report lacks it."""
        try:
            return row.figures[self.shows or self.name]
        except KeyError:
            if self.may_lack:
                return None
            raise

    def value(self, row: Row) -> Value:
        """The figure of a row.

        Raises:
            InputError: the report lacks it.
        """
        found = self.known(row)
        if found is None:
            raise InputError(f"this report has no {self.words}: {self.lacking}")
        return found

    def parts_of(self, row: Row) -> Mapping[str, int]:
        """The parts of the figure of a row; none if its report lacks it."""
        found = self.known(row) or {}
        assert isinstance(found, Mapping)  # its callers know that it has parts
        return found

    def is_lacking(self, row: Row) -> bool:
        """Whether the report of a row lacks it, or a figure that it follows from."""
        return any(FIGURES[name].known(row) is None for name in self.over or (self.shows or self.name,))

    def number(self, row: Row) -> int:
        """The figure of a row as one number: the sum of its parts.

        Raises:
            InputError: the report lacks it.
        """
        return number(self.value(row))

    @property
    def words(self) -> str:
        """Its label within a sentence."""
        return (self.label or self.heading or self.name).lower()

    def ratio(self, row: Row) -> float:
        """The figure of a row that is one figure divided by another; 0 if the latter is 0."""
        assert self.over is not None  # its callers check that
        top, bottom = (FIGURES[name].number(row) for name in self.over)
        return top / bottom if bottom else 0.0

    def heading_in(self, unit: str) -> str:
        """The heading of a column, in a report whose convention counts in ``unit``."""
        return self.heading or f"{unit}s"

    def label_in(self, unit: str) -> str:
        """The label, in a report whose convention counts in ``unit``."""
        return self.label or f"{unit}s"


def number(value: Value) -> int:
    """A figure as one number: the sum of its parts."""
    return sum(value.values()) if isinstance(value, Mapping) else value


def total(values: Iterable[Value]) -> Value:
    """Return the sum of figures, part by part if they have parts."""
    first, *rest = values
    if isinstance(first, Mapping):
        parts: Counter[str] = Counter(first)
        for value in rest:
            parts.update(value)  # type: ignore[arg-type] # a figure has parts in every row, or in none
        return dict(parts)
    return first + sum(rest)  # type: ignore[arg-type] # as above


def need_memory(names: Iterable[str]) -> bool:
    """Whether one of some figures is known only after a second run, which records the memory."""
    return any("memory" in FIGURES[name].needs for name in names if name in FIGURES)


def shown_in(place: str) -> tuple[Figure, ...]:
    """The figures that a place shows, in the order of the registry."""
    return tuple(figure for figure in FIGURES.values() if place in figure.places)


def _raw(value: int, total: int) -> str:
    return str(value)


def _grouped(value: int, total: int) -> str:
    return f"{value:,}"


def _clever(value: int, total: int) -> str:
    return aligned(value)


#: Format -> how the figure of a row, and how a total is written.
FORMATTERS: Mapping[str, tuple[Formatter, Formatter]] = {
    "raw": (_raw, _raw),
    "grouped": (_grouped, _grouped),
    "clever": (_clever, _clever),
    "ratio": (share, _clever),
}


def _bytes(charge: Charge) -> dict[str, int]:
    size: Counter[str] = Counter()
    for weight in charge.weights:
        size[weight.spec.dtype] += weight.spec.nbytes
    return dict(size)


def _active(found: Active) -> dict[str, int]:
    parts = {"computed": found.computed, "looked up": found.looked_up}
    return {use: size for use, size in parts.items() if size}


class Figures(dict[str, Value]):
    """The figures of a module. Late ones are computed each time that they are asked for, and not kept."""

    def __init__(self, known: Mapping[str, Value], late: Callable[[str], Value]) -> None:
        super().__init__(known)
        self._late = late

    def __missing__(self, name: str) -> Value:
        if name in FIGURES and FIGURES[name].late:
            return self._late(name)
        raise KeyError(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and self.all() == (other.all() if isinstance(other, Figures) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reduce__(self) -> tuple[type[dict[str, Value]], tuple[dict[str, Value]]]:
        return dict, (self.all(),)

    def all(self) -> dict[str, Value]:
        """Every figure, the late ones too."""
        found: dict[str, Value] = {}
        for name, figure in FIGURES.items():
            if name in self or figure.late:
                with suppress(KeyError):  # the report names no device, and the figure needs one
                    found[name] = self[name]
        return found


def figures_of(charge: Charge) -> Figures:
    """Return the figures of a module that are known from its charge."""
    computed = [(figure.name, figure.of(charge)) for figure in FIGURES.values() if figure.of and not figure.late]
    return Figures({name: value for name, value in computed if value is not None}, partial(_late, charge))


def _late(charge: Charge, name: str) -> Value:
    figure = FIGURES[name]
    if figure.of is None or (figure.on_device and charge.timed is None):
        raise KeyError(name)
    value = figure.of(charge)
    if value is None:
        raise KeyError(name)
    return value


def _timed(charge: Charge) -> Timed:
    assert charge.timed is not None  # callers check that
    return charge.timed()


def in_seconds(value: int, total: int = 0) -> str:
    """A number of picoseconds: ``1.23 ms``."""
    for unit, size in (("s", 10**12), ("ms", 10**9), ("us", 10**6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1000:.3g} ns" if value else "0"


#: Name -> figure, in the order in which they are shown.
FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure(
            name="calls",
            heading="Calls",
            label="Calls",
            unit="call",
            description="How many times it was called; 0 if it only holds others.",
            of=lambda charge: charge.calls,
            adds_up=False,
            formatter=_raw,
            places=frozenset({"table", "document"}),
        ),
        Figure(
            name="macs",
            description="The convention's figure, in its unit.",
            of=lambda charge: charge.cost,
            places=PLACES,
        ),
        Figure(
            name="flops",
            heading="FLOPs",
            label="FLOPs",
            unit="FLOP",
            description="Floating-point operations.",
            of=lambda charge: charge.work.flops,
            places=PLACES - {"diff", "page", "flame"},
        ),
        Figure(
            name="params",
            heading="Params",
            label="Parameters",
            unit="parameter",
            description="Parameters that the convention counts; one that several modules share is in the first.",
            of=lambda charge: sum(weight.spec.numel for weight in charge.weights),
            places=PLACES,
        ),
        Figure(
            name="trainable",
            heading="Trainable",
            label="Trainable",
            unit="parameter",
            description="Those of params that require a gradient.",
            of=lambda charge: sum(weight.spec.numel for weight in charge.weights if weight.trainable),
            places=PLACES - {"diff", "survey", "page", "flame"},
        ),
        Figure(
            name="share",
            heading="Share",
            label="Share",
            unit="%",
            description="Its part of the convention's total.",
            shows="macs",
            formatter=share,
            places=frozenset({"table"}),
        ),
        Figure(
            name="bytes",
            heading="Bytes",
            label="Bytes of parameters",
            unit="byte",
            description="Type of data -> bytes that params take.",
            of=_bytes,
            parts="dtype",
            places=PLACES - {"diff", "survey", "page"},
        ),
        Figure(
            name="moved",
            heading="Moved",
            label="Bytes moved",
            unit="byte",
            description="Bytes that operators read and write as they ran, one after the other.",
            of=lambda charge: charge.moved(),
            late=True,
            places=frozenset({"table", "document", "budget"}),
        ),
        Figure(
            name="compulsory",
            heading="Compulsory",
            label="Compulsory bytes",
            unit="byte",
            description="Bytes that it moves however it is run, with all inside: weights, inputs and outputs, once.",
            of=lambda charge: charge.compulsory(),
            late=True,
            adds_up=False,
            inclusive=True,
            places=frozenset({"table", "document", "budget"}),
        ),
        Figure(
            name="intensity",
            heading="FLOPs/byte",
            label="Intensity",
            description="FLOPs for each byte moved.",
            over=("flops", "moved"),
            adds_up=False,
            places=frozenset({"table"}),
        ),
        Figure(
            name="active",
            heading="Active",
            label="Active parameters",
            unit="parameter",
            description="What it is used for -> parameters that the work for one token touches.",
            of=lambda charge: _active(charge.active()),
            late=True,
            parts="use",
            places=frozenset({"table", "document"}),
        ),
        Figure(
            name="units",
            heading="Time of",
            label="Time of",
            unit="picosecond",
            description="Unit of the device -> picoseconds that it takes by itself at least, with all inside.",
            of=lambda charge: _timed(charge).units._asdict(),
            late=True,
            parts="unit",
            needs=frozenset({"device"}),
            lacking="name a device with layers.on('h100-sxm')",
            adds_up=False,
            inclusive=True,
            formatter=in_seconds,
            places=frozenset({"document"}),
        ),
        Figure(
            name="floor",
            heading="Floor",
            label="Floor",
            unit="picosecond",
            description="Picoseconds that it takes on the device at least, with all inside.",
            of=lambda charge: _timed(charge).floor,
            late=True,
            needs=frozenset({"device"}),
            lacking="name a device with layers.on('h100-sxm')",
            adds_up=False,
            inclusive=True,
            formatter=in_seconds,
            places=frozenset({"table", "document"}),
        ),
        Figure(
            name="phase_floors",
            heading="Floor of",
            label="Floor of",
            unit="picosecond",
            description="Phase of a training step -> picoseconds that it takes by itself at least, with all inside.",
            of=lambda charge: _timed(charge).phases or None,
            late=True,
            parts="phase",
            needs=frozenset({"device", "training"}),
            lacking="name a device with thoplw.profile_training(...).on('h100-sxm')",
            adds_up=False,
            inclusive=True,
            formatter=in_seconds,
            places=frozenset({"document"}),
        ),
        Figure(
            name="eager",
            heading="Eager",
            label="Eager",
            unit="picosecond",
            description="Picoseconds that its operators take there one after the other: an estimate, and no bound.",
            of=lambda charge: _timed(charge).eager,
            late=True,
            needs=frozenset({"device"}),
            lacking="name a device with layers.on('h100-sxm')",
            formatter=in_seconds,
            places=frozenset({"table", "document"}),
        ),
        Figure(
            name="phases",
            description="Phase of a training step -> its part of the convention's figure.",
            of=lambda charge: charge.phases or None,
            parts="phase",
            needs=frozenset({"training"}),
            lacking="they are of a training step: thoplw.profile_training",
            places=frozenset({"table", "document", "totals"}),
        ),
        Figure(
            name="activations",
            heading="Activations",
            label="Activations",
            unit="element",
            description="Elements that convolutions and matrix products put out, as fvcore and timm count activations.",
            of=lambda charge: charge.activations(),
            late=True,
            places=frozenset({"table", "document"}),
        ),
        Figure(
            name="peak",
            heading="Peak",
            label="Peak of memory",
            unit="byte",
            description="Bytes of the whole model at most while it runs, or a module in it.",
            of=lambda charge: charge.memory and charge.memory.peak,
            needs=frozenset({"memory"}),
            lacking="pass memory=True to thoplw.profile or thoplw.profile_training",
            adds_up=False,
            inclusive=True,
            highest=True,
            places=frozenset({"table", "document", "budget"}),
        ),
        Figure(
            name="saved",
            heading="Saved",
            label="Saved for backward",
            unit="byte",
            description="Bytes that it makes and that are kept for the backward pass, at most at a time.",
            of=lambda charge: charge.memory.saved if charge.memory and charge.phases else None,
            needs=frozenset({"memory", "training"}),
            lacking="pass memory=True to thoplw.profile_training",
            places=frozenset({"table", "document", "totals"}),
        ),
    )
}
