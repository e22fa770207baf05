"""What a profile tells: rows, totals, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.pricing import Convention, Priced
from thoplw.record import Trace
from thoplw.render import DOCUMENTS, TABLES, render
from thoplw.render.grid import hypertext
from thoplw.render.plots import bars
from thoplw.render.table import Table
from thoplw.render.tree import drawing
from thoplw.report.attribution import Assumed, Attribution, Row, Shape, Uncounted
from thoplw.report.rollup import cumulative, layers, rolled_up
from thoplw.report.views import FIGURES as FIGURES
from thoplw.report.views import NUMBERS, View, named
from thoplw.version import __version__

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure
    from rich.console import RenderableType

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
        self._torch = trace.torch

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
    def unseen(self) -> dict[str, Uncounted]:
        """Operator -> where it ran, for those that multiply and accumulate, but are nothing to the tool mirrored."""
        return self._attribution.unseen()

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

    def __rich__(self) -> RenderableType:
        """What ``rich.print`` shows."""
        return self.draw("clever")

    def _repr_html_(self) -> str:
        """The display of notebooks."""
        return hypertext(self.table("clever"))

    def _repr_markdown_(self) -> str:
        """The display where HTML does not serve."""
        return self.summary("md", "clever")

    def summary(
        self,
        kind: str = "text",
        fmt: str = "raw",
        *,
        depth: int | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        top: int | None = None,
        own: bool = True,
    ) -> str:
        """What every layer costs, in one of many kinds.

        A table is ``text``, ``csv``, ``md``, ``latex`` (for the booktabs package) or a ``tree``, which has all modules
        with the figures of what they hold, and equal blocks as one. The kinds ``json``, ``speedscope`` and
        ``collapsed`` (stacks, for flame graphs) have all figures of all modules, and take only ``depth``.

        Args:
            kind: one of those.
            fmt: ``raw`` numbers, ``clever`` ones with units, or the ``ratio`` of each layer to the total.
            depth: leave out what is deeper in the tree of modules; its figures go to the module that holds it.
            columns: which, out of ``name``, ``class``, ``depth``, ``inputs``, ``outputs``, ``calls``, ``macs``,
                ``flops``, ``params``, ``trainable``, ``share``, ``bytes`` (one for each dtype) and ``operators``.
            sort: order rows by ``name``, or by a number, largest first: ``calls``, ``macs``, ``flops``, ``params``,
                ``trainable``, ``share`` or ``bytes``. They are in definition order otherwise.
            top: show so many of the largest, by ``sort`` or else by MACs, and the sum of all others in one row.
            own: without it, there is a row for every module, with the figures of all modules that it holds.

        Raises:
            UnknownNameError: there is no such kind, format or column.
            InputError: options that do not go together.
        """
        if kind in DOCUMENTS:
            if (fmt, columns, sort, top, own) != ("raw", None, None, None, True):
                raise InputError(
                    f"kind {kind!r} has all figures of all modules, as exact numbers: of the options it takes depth "
                    f"alone; fmt, columns, sort, top and own are for {', '.join(TABLES)}"
                )
            return render(self.to_dict(depth=depth), kind)
        if kind == "tree":
            if (sort, top, own) != (None, None, True):
                raise InputError(
                    "kind 'tree' has all modules in definition order, each with what it holds: sort, top and own are "
                    f"for {', '.join(sorted(TABLES.keys() - {kind}))}; depth makes a tree smaller"
                )
            return render(self._tree(fmt, depth, columns), kind)
        return render(self.table(fmt, depth=depth, columns=columns, sort=sort, top=top, own=own), kind)

    def draw(
        self, fmt: str = "raw", *, depth: int | None = None, columns: Sequence[str] | None = None
    ) -> RenderableType:
        """The tree with colours, for a console of rich; ``rich.print(layers)`` shows it too.

        Args:
            fmt: as for :meth:`summary`.
            depth: as for :meth:`summary`.
            columns: as for :meth:`summary`.

        Raises:
            UnknownNameError: there is no such format or column.
            InputError: an option cannot be used.
        """
        return drawing(self._tree(fmt, depth, columns))

    def table(
        self,
        fmt: str = "raw",
        *,
        depth: int | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        top: int | None = None,
        own: bool = True,
    ) -> Table:
        """The table of all layers, as renderers take it; the options are those of :meth:`summary`."""
        return self._table(View(fmt=fmt, depth=depth, columns=columns, sort=sort, top=top, own=own))

    def _tree(self, fmt: str, depth: int | None, columns: Sequence[str] | None) -> Table:
        chosen = View(fmt=fmt, columns=("name", "class", "macs", "params") if columns is None else columns)
        columns = ("name", *(name for name in chosen.columns or () if name != "name"))  # what is drawn as a tree
        return self._table(replace(chosen, depth=depth, columns=columns, own=False, fold=True))

    def _table(self, view: View) -> Table:
        return view.table(self.modules, self._unit, self.notes(), self._about())

    def _about(self) -> dict[str, str]:
        return {
            "thoplw": __version__,
            "torch": self._torch,
            "model": self._model,
            "convention": self.convention,
            "unit": self._unit.removesuffix("s"),
        }

    def to_dict(self, *, depth: int | None = None) -> dict[str, Any]:
        """Everything as plain values, the document that ``kind="json"`` writes; ``schema.json`` describes it.

        Its layers are all modules, each with its own figures, which add up to the totals.

        Args:
            depth: leave out what is deeper in the tree of modules; its figures go to the module that holds it.

        Raises:
            InputError: the depth is less than 0.
        """
        modules = self.modules if depth is None else rolled_up(self.modules, depth)
        (total,) = rolled_up(modules, 0)
        return {
            "schema": SCHEMA,
            **self._about(),
            "inputs": _lists(total.input_shapes),
            "outputs": _lists(total.output_shapes),
            "totals": _figures(total),
            "layers": [_layer(row) for row in modules],
            "uncounted": _places(self.uncounted),
            "unseen": _places(self.unseen),
            "assumptions": {statement: asdict(each) for statement, each in self.assumptions.items()},
            "not_executed": dict(self.not_executed),
        }

    def to_pandas(self, *, depth: int | None = None, own: bool = True) -> pandas.DataFrame:
        """All modules as a data frame, a row each, whose ``attrs`` say what was counted and by what.

        Its columns are the fields of a layer in the document, with a column ``bytes_float32`` and so on for each dtype
        and a column of dictionaries for ``operators``. Own figures add up to the totals.

        Args:
            depth: as for :meth:`summary`.
            own: as for :meth:`summary`.

        Raises:
            InputError: the depth is less than 0.
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise MissingExtraError("pandas", "report", "a data frame") from error
        modules = self.modules if depth is None else rolled_up(self.modules, depth)
        rows = modules if own else cumulative(modules)
        (total,) = rolled_up(self.modules, 0)
        records = []
        for row in rows:
            record = _layer(row)
            size, operators = record.pop("bytes"), record.pop("operators")
            record |= {f"bytes_{dtype}": size.get(dtype, 0) for dtype in total.bytes}
            records.append({**record, "operators": operators})
        frame = pandas.DataFrame(records)
        frame.attrs.update(self._about())
        return frame

    def plot(self, by: str = "macs", *, top: int = 20) -> Figure:
        """The largest layers as bars: a figure of matplotlib, which ``.savefig("layers.svg")`` writes.

        Args:
            by: the figure: ``macs``, ``flops``, ``params`` or ``trainable``.
            top: how many.

        Raises:
            UnknownNameError: there is no such figure.
            MissingExtraError: matplotlib is not installed.
        """
        if by not in NUMBERS:
            raise UnknownNameError("figure", by, NUMBERS)
        table = self.table(columns=["name", by], sort=by)
        ((heading, (*figures, total)),) = table.values.items()
        largest = {name: figure for (name, _), figure in zip(table.rows[:top], figures, strict=False)}
        share = FIGURES["ratio"][0](sum(largest.values()), total)
        title = f"{self._model}: the {len(largest)} largest of {len(figures)} layers, {share} of the total"
        return bars(largest, title=title, unit=heading)

    def by_operator(self) -> dict[str, int]:
        """The other view of the same total: operator -> its part, largest first."""
        return self._attribution.by_operator()

    def notes(self) -> tuple[str, ...]:
        """What the totals lack, a line for each kind of gap."""
        notes = []
        for what, places in (("Not counted", self.uncounted), (f"Nothing to {self.convention}", self.unseen)):
            if places:
                operators = (
                    f"{name} ({_count(each.calls, 'call')} in {_some(map(named, each.modules))})"
                    for name, each in places.items()
                )
                notes.append(f"{what}: {_some(operators)}.")
        for statement, assumed in self.assumptions.items():
            where = _some(map(named, assumed.modules))
            notes.append(
                f"Assumed: {statement} ({_some(assumed.operators)}, {_count(assumed.calls, 'call')} in {where})."
            )
        if self.not_executed:
            modules = [f"{path} ({_count(size, 'parameter')})" for path, size in self.not_executed.items() if size]
            rest = len(self.not_executed) - len(modules)
            modules += [_count(rest, "module") + " without parameters"] if rest else []
            notes.append(f"Never ran: {_some(modules)}.")
        return tuple(notes)


def _layer(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "class": row.cls,
        "depth": row.depth,
        "inputs": _lists(row.input_shapes),
        "outputs": _lists(row.output_shapes),
        "calls": row.calls,
        **_figures(row),
        "operators": dict(row.operators),
    }


def _figures(row: Row) -> dict[str, Any]:
    return {
        "macs": row.macs,
        "flops": row.flops,
        "params": row.params,
        "trainable": row.trainable,
        "bytes": dict(row.bytes),
    }


def _places(operators: dict[str, Uncounted]) -> dict[str, Any]:
    return {
        name: {**asdict(each), "shapes": [_lists(shapes) for shapes in each.shapes]} for name, each in operators.items()
    }


def _lists(shapes: Iterable[Shape]) -> list[list[int]]:
    return [list(shape) for shape in shapes]


def _some(items: Iterable[str]) -> str:
    """A list in words, cut after the first five."""
    known = list(items)
    return ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
