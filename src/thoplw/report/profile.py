"""A profile: every module of a model with its figures, and notes on what these leave out. Plain values, no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from thoplw.record import TensorSpec
from thoplw.render.outline import Outline, OutlineFigure, OutlineModule, OutlineTotal
from thoplw.report.figures import FIGURES, Figure, Value, in_seconds, number, shown_in
from thoplw.report.notes import assumed, notes, on_device
from thoplw.report.rollup import cumulative, layers, rolled_up
from thoplw.report.rows import Gaps, Row, Shape
from thoplw.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What was counted, and by what.

    Attributes:
        model: name of the model's class.
        convention: name of the convention that counted.
        unit: what the convention counts: ``MAC`` or ``FLOP``.
        torch: version of torch that ran the model.
        thoplw: version of thoplw that counted.
        device: name of the device that times are of; empty where there are none.
        roof: the peaks of that device, in words.
    """

    model: str
    convention: str
    unit: str
    torch: str
    thoplw: str = __version__
    device: str = ""
    roof: str = ""

    def to_dict(self) -> dict[str, str]:
        """The fields with which tables and documents begin."""
        return {
            "thoplw": self.thoplw,
            "torch": self.torch,
            "model": self.model,
            "convention": self.convention,
            "unit": self.unit,
            **({"device": self.device, "roof": self.roof} if self.device else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Every module of a model with its figures, and notes on what these leave out.

    :class:`thoplw.LayerInfo` shows it, JSON writes it and reads it back, and diff, budget, survey, the HTML page and
    flame graphs are made of it.

    Attributes:
        about: what was counted, and by what.
        modules: all that ran or hold one that ran, in definition order, with their own figures, which add up to the
            totals; the model itself is the first.
        gaps: what the figures leave out, such as operators without a price.
        batch: the size of the first dimension, if all inputs and outputs share it; otherwise None.
    """

    about: About
    modules: tuple[Row, ...]
    gaps: Gaps = field(default_factory=Gaps)
    batch: int | None = None

    @cached_property
    def total(self) -> Row:
        """The model itself, with the figures of all its modules."""
        return rolled_up(self.modules, 0)[0]

    @cached_property
    def layers(self) -> tuple[Row, ...]:
        """The modules in which no other ran, and of the others those with cost or parameters of their own."""
        return layers(self.modules, FIGURES["macs"].number, FIGURES["params"].number)

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each thing that the totals leave out, such as operators without a price."""
        asleep = not any(row.calls or row.macs or row.flops for row in self.modules)
        nothing = ("Nothing ran, as no input was given: only parameters are known.",) if asleep else ()
        return (*nothing, *self.on_device, *notes(self.gaps, self.about.convention))

    @property
    def on_device(self) -> tuple[str, ...]:
        """What times are of, and the floors of phases: a line for each, or none."""
        floors = FIGURES["phase_floors"].parts_of(self.total)
        return on_device(self.about.roof, floors, assumed=bool(self.gaps.assumptions or self.gaps.of_bytes))

    @property
    def doubts(self) -> tuple[str, ...]:
        """One line for each thing that only bytes and active parameters rest on."""
        return assumed("Assumed for bytes", self.gaps.of_bytes)

    @property
    def cost(self) -> int:
        """Of the whole model, in the unit of the convention."""
        return self.total.macs

    @property
    def flops(self) -> int:
        """Of the whole model."""
        return self.total.flops

    @property
    def params(self) -> int:
        """Of the whole model."""
        return self.total.params

    def heading(self, figure: Figure) -> str:
        """The heading of a figure's column."""
        return figure.heading_in(self.about.unit)

    def to_depth(self, depth: int | None) -> Profile:
        """Fold modules deeper than ``depth`` into the module that holds them.

        Raises:
            InputError: the depth is less than 0.
        """
        if depth is None:
            return self
        return Profile(
            about=self.about, modules=rolled_up(self.modules, depth), gaps=self.gaps, batch=self.batch
        )  # fmt: skip

    def by_operator(self) -> dict[str, int]:
        """Operator -> its part of the total cost, largest first."""
        totals: Counter[str] = Counter()
        for row in self.modules:
            totals.update(row.operators)
        return dict(totals.most_common())

    @property
    def has_phases(self) -> bool:
        """Whether this is of more than a forward."""
        return not FIGURES["phases"].is_lacking(self.total)

    def by_phase(self) -> dict[str, int]:
        """Phase -> its part of the total cost."""
        return dict(self.total.phases) or {"forward": self.cost, "recomputation": 0, "backward": 0, "update": 0}

    def outline(self) -> Outline:
        """The modules as a tree with figures, as pages and flame graphs take it."""
        unit = self.about.unit
        parents: list[int] = []
        path: list[int] = []
        for index, row in enumerate(self.modules):
            del path[row.depth :]
            parents.append(path[-1] if path else -1)
            path.append(index)
        shown = [
            figure
            for figure in FIGURES.values()
            if figure.places & {"page", "flame"} and not figure.is_lacking(self.total)
        ]
        phases = [phase for phase, cost in self.by_phase().items() if cost] if self.has_phases else []

        def figures(row: Row) -> dict[str, int]:
            return {each.name: each.number(row) for each in shown} | {phase: row.phases[phase] for phase in phases}

        return Outline(
            about=self.about.to_dict(),
            inputs=self.total.input_shapes,
            outputs=self.total.output_shapes,
            figures=tuple(
                OutlineFigure(
                    name=figure.name,
                    label=figure.label_in(unit),
                    unit=figure.unit or unit,
                    on_page="page" in figure.places,
                    on_flame="flame" in figure.places,
                )
                for figure in shown
            )
            + tuple(OutlineFigure(name=phase, label=f"{unit}s {phase}", unit=unit, on_flame=False) for phase in phases),
            totals=tuple(self._totals()),
            modules=tuple(
                OutlineModule(
                    name=row.name,
                    cls=row.cls,
                    parent=parent,
                    inputs=row.input_shapes,
                    outputs=row.output_shapes,
                    calls=row.calls,
                    own=figures(row),
                    all=figures(whole),
                    operators=row.operators,
                )
                for row, whole, parent in zip(self.modules, cumulative(self.modules), parents, strict=True)
            ),
            uncounted=self.gaps.uncounted,
            unseen=self.gaps.unseen,
            assumptions=self.gaps.assumptions,
            not_executed=self.gaps.not_executed,
            on_device=(*self.on_device, *self._floor()),
        )

    def _floor(self) -> list[str]:
        if not self.about.device:
            return []
        return [f"The whole takes {in_seconds(FIGURES['floor'].number(self.total))} at least."]

    def _totals(self) -> list[OutlineTotal]:
        """Every total, by part where a figure has parts; one of FLOPs where the convention counts in these too."""
        found: dict[str, OutlineTotal] = {}
        for figure in shown_in("totals"):
            if figure.is_lacking(self.total):
                continue
            value: Value = figure.value(self.total)
            parts = value if isinstance(value, Mapping) else {"": number(value)}
            for part, size in parts.items():
                label = f"{figure.label_in(self.about.unit)} {f'in {part}' if part else ''}".strip()
                found.setdefault(label, OutlineTotal(label=label, value=size, unit=figure.unit))
        return list(found.values())


def batch_of(inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> int | None:
    """The batch size, where all tensors that a model was given and returned begin with it; None where they do not.

    ``(8, 3, 32, 32)`` to ``(8, 10)`` is a batch of 8; ``(8,)`` to ``(4,)`` and ``(3, 32, 32)`` to ``(16, 30, 30)`` are
    none.
    """
    shapes = [shape for shape in (*inputs, *outputs) if shape]
    firsts = {shape[0] for shape in shapes}
    if len(firsts) != 1 or all(len(shape) < 2 for shape in inputs):
        return None
    return firsts.pop()


def shapes_of(specs: tuple[TensorSpec, ...]) -> tuple[Shape, ...]:
    """The shapes of some tensors."""
    return tuple(spec.shape for spec in specs)
