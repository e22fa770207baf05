"""What a profile tells: rows, totals, and what is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType

from thoplw.attribution import Attribution, Row, Shape, shapes_of
from thoplw.errors import UnknownNameError
from thoplw.pricing import Convention, Priced
from thoplw.records import Trace
from thoplw.render import render
from thoplw.table import Table
from thoplw.units import clever_format
from thoplw.work import ZERO


class LayerInfo:
    """What every layer of a model costs. Iterating gives the rows.

    Attributes:
        rows: one per layer, in definition order; their figures add up to the totals.
        total_macs: of the whole model, in the unit of the convention.
        total_params: of the whole model.
        uncounted: operator -> where it ran, for operators that have no price: the totals lack them.
        assumptions: statement -> where it was assumed: with any, the figures are an estimate.
        not_executed: path -> parameters, for submodules that never ran: the totals lack these parameters.
        convention: name of the convention that counted.
    """

    def __init__(self, trace: Trace, priced: Priced, convention: Convention) -> None:
        attribution = Attribution(trace, priced, convention)
        self.rows: tuple[Row, ...] = attribution.rows()
        self.total_macs: int = convention.measure(sum(priced.own, start=ZERO))
        self.total_params: int = sum(row.params for row in self.rows)
        self.uncounted = attribution.uncounted()
        self.assumptions = attribution.assumptions()
        self.not_executed = attribution.not_executed()
        self.convention = convention.name
        self._attribution = attribution
        self._unit = f"{convention.unit}s"
        self._model = trace.modules[0].class_name
        self._shapes = shapes_of(trace.inputs), shapes_of(trace.outputs)

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
