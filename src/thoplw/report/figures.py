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
    )
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thoplw.record import Weight, Work
from thoplw.render.units import aligned

if TYPE_CHECKING:
    from thoplw.estimate.memory import ModuleMemory
    from thoplw.report.rows import Row

#: The value of a figure for a module: a number, or a number for each part, such as bytes for each dtype.
Value = int | Mapping[str, int]

#: How a figure is written, given the figure and the total of the model.
Formatter = Callable[[int, int], str]

#: The places that show a figure: columns of tables; JSON and data frames; the comparison of two profiles; limits;
#: rows of a survey; the totals and the chart of the HTML page; flame graphs.
PLACES = frozenset({"table", "document", "diff", "budget", "survey", "totals", "page", "flame"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one module itself costs, without its children.

    Attributes:
        cost: its work, in the unit of the convention.
        work: its work, as MACs and FLOPs.
        weights: the parameters that the convention counts.
        calls: how many times it was called.
        phases: phase -> its part of the cost, in a report on training.
        activations: elements that its convolutions and matrix products put out in the forward.
        memory: what it takes, where that was asked for.
    """

    cost: int
    work: Work
    weights: tuple[Weight, ...]
    calls: int
    phases: Mapping[str, int] = field(default_factory=dict)
    activations: int = 0
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
            shows another's values.
        shows: name of the other figure, for one that only shows its values in another way (share shows macs).
        parts: what tells its parts apart, such as ``dtype``; empty where it is one number.
        optional: whether reports may lack it: documents then leave it out.
        lacking: what to do about that, for a column that is asked for.
        adds_up: whether the figure of a module that holds others is the sum of its own and theirs, and the model has
            a total. A figure that does not add up is the module's own, also in sums.
        formatter: how it is written, if not as the format asks.
        places: where it is shown.
    """

    name: str
    heading: str = ""
    label: str = ""
    unit: str = ""
    description: str
    of: Callable[[Charge], Value | None] | None = None
    shows: str = ""
    parts: str = ""
    optional: bool = False
    lacking: str = ""
    adds_up: bool = True
    formatter: Formatter | None = None
    places: frozenset[str] = PLACES

    def value(self, row: Row) -> Value:
        """The figure of a row."""
        if self.optional and self.name not in row.figures:
            return {} if self.parts else 0
        return row.figures[self.shows or self.name]

    def number(self, row: Row) -> int:
        """The figure of a row as one number: the sum of its parts."""
        return number(self.value(row))

    def heading_in(self, unit: str) -> str:
        """The heading of a column, in a report whose convention counts in ``unit``."""
        return self.heading or f"{unit}s"

    def label_in(self, unit: str) -> str:
        """The label, in a report whose convention counts in ``unit``."""
        return self.label or f"{unit}s"


def figures_of(charge: Charge) -> dict[str, Value]:
    """All figures of a module that are known."""
    found = {figure.name: figure.of(charge) for figure in FIGURES.values() if figure.of is not None}
    return {name: value for name, value in found.items() if value is not None}


def number(value: Value) -> int:
    """A figure as one number: the sum of its parts."""
    return sum(value.values()) if isinstance(value, Mapping) else value


def total(values: Iterable[Value]) -> Value:
    """The sum of figures, part by part where they have parts."""
    first, *rest = values
    if isinstance(first, Mapping):
        parts: Counter[str] = Counter(first)
        for value in rest:
            parts.update(value)  # type: ignore[arg-type] # a figure has parts in every row, or in none
        return dict(parts)
    return first + sum(rest)  # type: ignore[arg-type] # as above


def shown_in(place: str) -> tuple[Figure, ...]:
    """The figures that a place shows, in the order of the registry."""
    return tuple(figure for figure in FIGURES.values() if place in figure.places)


def share(value: int, total: int) -> str:
    """A figure as a part of the total: ``12.34 %``."""
    return f"{100 * value / total if total else 0:.2f} %"


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
        size[weight.spec.dtype] += weight.spec.numel * weight.spec.itemsize
    return dict(size)


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
            name="phases",
            description="Phase of a training step -> its part of the convention's figure.",
            of=lambda charge: charge.phases,
            parts="phase",
            optional=True,
            places=frozenset({"table", "document", "totals"}),
        ),
        Figure(
            name="activations",
            heading="Activations",
            label="Activations",
            unit="element",
            description="Elements that convolutions and matrix products put out, as fvcore and timm count activations.",
            of=lambda charge: charge.activations,
            optional=True,
            places=frozenset({"table", "document"}),
        ),
        Figure(
            name="peak",
            heading="Peak",
            label="Peak of memory",
            unit="byte",
            description="Bytes of the whole model at most while it runs, or a module in it.",
            of=lambda charge: charge.memory and charge.memory.peak,
            optional=True,
            lacking="pass memory=True to thoplw.profile or thoplw.profile_training",
            adds_up=False,
            places=frozenset({"table", "document", "budget"}),
        ),
        Figure(
            name="saved",
            heading="Saved",
            label="Saved for backward",
            unit="byte",
            description="Bytes that it makes and that are kept for the backward pass, at most at a time.",
            of=lambda charge: charge.memory and charge.memory.saved,
            optional=True,
            lacking="pass memory=True to thoplw.profile_training",
            places=frozenset({"table", "document", "totals"}),
        ),
    )
}
