"""What a profile tells: rows, totals, and what is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import cached_property
from types import MappingProxyType
from typing import Any

import torch

from thoplw.attribution import Assumed, Attribution, Row, Shape, Uncounted, shapes_of
from thoplw.errors import UnknownNameError
from thoplw.pricing import Convention, Priced
from thoplw.records import Trace
from thoplw.render import render
from thoplw.rollup import layers, rolled_up
from thoplw.table import Table
from thoplw.units import clever_format
from thoplw.version import __version__

#: Of the document that :meth:`LayerInfo.to_dict` gives; the schema beside this file describes it.
SCHEMA = 1


class LayerInfo:
    """What every layer of a model costs. Iterating gives the rows.

    Attributes:
        total_macs: of the whole model, in the unit of the convention.
        total_flops: floating-point operations of the whole model.
        total_params: of the whole model.
        convention: name of the convention that counted.
    """

    def __init__(self, trace: Trace, priced: Priced, convention: Convention) -> None:
        attribution = Attribution(trace, priced, convention)
        self.total_macs: int = convention.measure(attribution.work)
        self.total_flops: int = attribution.work.flops
        self.total_params: int = attribution.params
        self.convention = convention.name
        self._attribution = attribution
        self._unit = f"{convention.unit}s"
        self._model = trace.modules[0].class_name
        self._shapes = shapes_of(trace.inputs), shapes_of(trace.outputs)

    # What not everyone asks for is worked out when it is asked for.

    @cached_property
    def modules(self) -> tuple[Row, ...]:
        """One row per module that ran or holds one that ran, each with its own figures, in definition order.

        The model itself is the first. All their figures add up to the totals.
        """
        return self._attribution.modules()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """One per layer, in definition order; their ``macs`` and ``params`` add up to the totals.

        A layer is a module that ran and in which no other ran, or that has MACs or parameters of its own.
        """
        return layers(self.modules, lambda row: row.macs, lambda row: row.params)

    @property
    def total_trainable(self) -> int:
        """Parameters of the whole model that require a gradient."""
        return sum(row.trainable for row in self.modules)

    @cached_property
    def uncounted(self) -> dict[str, Uncounted]:
        """Operator -> where it ran, for operators that have no price: the totals lack them."""
        return self._attribution.uncounted()

    @cached_property
    def assumptions(self) -> dict[str, Assumed]:
        """Statement -> where it was assumed: with any, the figures are an estimate."""
        return self._attribution.assumptions()

    @cached_property
    def not_executed(self) -> dict[str, int]:
        """Path -> parameters, for submodules that never ran: the totals lack these parameters."""
        return self._attribution.not_executed()

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<LayerInfo of {self._model}: {self.total_macs} {self._unit}, {self.total_params} parameters>"

    def _repr_markdown_(self) -> str:
        """The display of notebooks."""
        return self.summary("md", "clever")

    def summary(self, kind: str = "text", fmt: str = "raw") -> str:
        """The table of all layers.

        Args:
            kind: ``text``, ``csv`` or ``md``.
            fmt: ``raw`` numbers, ``clever`` ones with units, or the ``ratio`` of each layer to the total.

        Raises:
            UnknownNameError: there is no such kind or format.
        """
        return render(self.table(fmt), kind)

    def to_dict(self, *, depth: int | None = None) -> dict[str, Any]:
        """Everything as plain values, the document that ``kind="json"`` writes; ``schema.json`` describes it.

        Its layers are all modules, each with its own figures, which add up to the totals.

        Args:
            depth: leave out what is deeper in the tree of modules; its figures go to the module that holds it.
        """
        modules = self.modules if depth is None else rolled_up(self.modules, depth)
        (total,) = rolled_up(modules, 0)
        inputs, outputs = self._shapes
        return {
            "schema": SCHEMA,
            "thoplw": __version__,
            "torch": str(torch.__version__),
            "model": self._model,
            "convention": self.convention,
            "unit": self._unit.removesuffix("s"),
            "inputs": _lists(inputs),
            "outputs": _lists(outputs),
            "totals": _figures(total),
            "layers": [
                {
                    "name": row.name,
                    "class": row.cls,
                    "depth": row.depth,
                    "inputs": _lists(row.input_shapes),
                    "outputs": _lists(row.output_shapes),
                    "calls": row.calls,
                    **_figures(row),
                    "operators": dict(row.operators),
                }
                for row in modules
            ],
            "uncounted": {
                name: {**asdict(each), "shapes": [_lists(shapes) for shapes in each.shapes]}
                for name, each in self.uncounted.items()
            },
            "assumptions": {statement: asdict(each) for statement, each in self.assumptions.items()},
            "not_executed": dict(self.not_executed),
        }

    def by_operator(self) -> dict[str, int]:
        """The other view of the same total: operator -> its part, largest first."""
        return self._attribution.by_operator()

    def table(self, fmt: str = "raw") -> Table:
        """The table of all layers, as renderers take it."""
        if fmt not in FIGURES:
            raise UnknownNameError("fmt", fmt, FIGURES)
        figure, total = FIGURES[fmt]
        inputs, outputs = self._shapes
        return Table(
            columns=("Name", "Class", "Input shape", "Output shape", self._unit, "Params"),
            rows=tuple(
                (
                    _named(row.name),
                    row.cls,
                    _shapes(row.input_shapes),
                    _shapes(row.output_shapes),
                    figure(row.macs, self.total_macs),
                    figure(row.params, self.total_params),
                )
                for row in self.rows
            ),
            footer=(
                "Total",
                self._model,
                _shapes(inputs),
                _shapes(outputs),
                total(self.total_macs, self.total_macs),
                total(self.total_params, self.total_params),
            ),
            notes=self.notes(),
        )

    def notes(self) -> tuple[str, ...]:
        """What the totals lack, a line for each kind of gap."""
        notes = []
        if self.uncounted:
            operators = (
                f"{name} ({_count(each.calls, 'call')} in {_some(map(_named, each.modules))})"
                for name, each in self.uncounted.items()
            )
            notes.append(f"Not counted: {_some(operators)}.")
        for statement, assumed in self.assumptions.items():
            where = _some(map(_named, assumed.modules))
            notes.append(
                f"Assumed: {statement} ({_some(assumed.operators)}, {_count(assumed.calls, 'call')} in {where})."
            )
        if self.not_executed:
            modules = [f"{path} ({_count(size, 'parameter')})" for path, size in self.not_executed.items() if size]
            rest = len(self.not_executed) - len(modules)
            modules += [_count(rest, "module") + " without parameters"] if rest else []
            notes.append(f"Never ran: {_some(modules)}.")
        return tuple(notes)


def _figures(row: Row) -> dict[str, Any]:
    return {
        "macs": row.macs,
        "flops": row.flops,
        "params": row.params,
        "trainable": row.trainable,
        "bytes": dict(row.bytes),
    }


def _lists(shapes: Iterable[Shape]) -> list[list[int]]:
    return [list(shape) for shape in shapes]


def _shapes(shapes: tuple[Shape, ...]) -> str:
    """Shapes without the batch dimension: ``3 x 224 x 224, 10``."""
    return ", ".join(" x ".join(map(str, shape[1:])) or "scalar" for shape in shapes)


def _named(path: str) -> str:
    """A module in a table or a note; the model itself has an empty path."""
    return path or "(model)"


def _some(items: Iterable[str]) -> str:
    """A list in words, cut after the first five."""
    known = list(items)
    return ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _share(value: int, total: int) -> str:
    return f"{100 * value / total if total else 0:.2f} %"


Figure = Callable[[int, int], str]

#: Name -> how a layer's figure, and how a total is written; each is given the figure and the total.
FIGURES: MappingProxyType[str, tuple[Figure, Figure]] = MappingProxyType(
    {
        "raw": (lambda value, _: str(value), lambda value, _: str(value)),
        "clever": (lambda value, _: clever_format(value), lambda value, _: clever_format(value)),
        "ratio": (_share, lambda value, _: clever_format(value)),
    }
)
