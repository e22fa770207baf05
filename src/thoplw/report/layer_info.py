"""The report that ``profile`` returns: rows, totals, notes, and every output format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.estimate.memory import Memory
from thoplw.pricing import Priced
from thoplw.render import OUTLINES, TABLES, check_format, render
from thoplw.render.grid import hypertext
from thoplw.render.plots import bars
from thoplw.render.table import Table
from thoplw.render.tree import drawing
from thoplw.report.attribution import Attribution
from thoplw.report.document import Document, to_document, to_layer
from thoplw.report.figures import share, shown_in
from thoplw.report.notes import notes
from thoplw.report.profile import Profile
from thoplw.report.rollup import cumulative
from thoplw.report.rows import Assumed, Gaps, Row, Uncounted
from thoplw.report.views import View

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure as Plot
    from rich.console import RenderableType


class LayerInfo:
    """What every layer of a model costs. Iterating gives the rows. It can be pickled and copied.

    Attributes:
        total_macs: of the whole model, in the unit of the convention.
        total_flops: floating-point operations of the whole model.
        total_params: of the whole model.
        convention: name of the convention that counted.
    """

    def __init__(self, source: Priced | Profile, memory: Memory | None = None) -> None:
        """Report on a priced trace, or on a profile that was read from a file."""
        self._source = source if isinstance(source, Profile) else Attribution(source, memory)
        self._memory = memory
        self.total_macs: int = self._source.cost
        self.total_flops: int = self._source.flops
        self.total_params: int = self._source.params
        self.convention = self._source.about.convention

    def __reduce__(self) -> tuple[type[LayerInfo], tuple[Profile, Memory | None]]:
        return LayerInfo, (self.profile, self._memory)

    # Rows are computed on demand: totals alone are faster.

    @cached_property
    def profile(self) -> Profile:
        """Everything as plain values."""
        return self._source if isinstance(self._source, Profile) else self._source.profile()

    @property
    def modules(self) -> tuple[Row, ...]:
        """One row per module that ran or holds one that ran, each with its own figures, in definition order.

        The model itself is the first. All their figures add up to the totals.
        """
        return self.profile.modules

    @property
    def rows(self) -> tuple[Row, ...]:
        """One per layer, in definition order; their ``macs`` and ``params`` add up to the totals.

        A layer is a module that ran and in which no other ran, or that has MACs or parameters of its own.
        """
        return self.profile.layers

    @property
    def total_trainable(self) -> int:
        """Parameters of the whole model that require a gradient."""
        return self.profile.total.trainable

    @property
    def total_frozen(self) -> int:
        """Parameters of the whole model that require none."""
        return self.total_params - self.total_trainable

    @property
    def memory(self) -> Memory:
        """How much memory the run takes, when, and for what.

        Raises:
            InputError: it was not asked for.
        """
        if self._memory is None:
            raise InputError(
                "the memory of this run is not known: pass memory=True to thoplw.profile or thoplw.profile_training"
            )
        return self._memory

    def by_phase(self) -> dict[str, int]:
        """The total cost by phase: ``forward``, ``recomputation``, ``backward`` and ``update``.

        Of a report on a forward alone all of it is ``forward``.
        """
        return self.profile.by_phase()

    @property
    def backward_ratio(self) -> float:
        """What the backward pass costs, as a multiple of the forward."""
        phases = self.by_phase()
        return phases["backward"] / phases["forward"] if phases["forward"] else 0.0

    @property
    def uncounted(self) -> dict[str, Uncounted]:
        """Operator -> where it ran, for operators that have no price: the totals lack them."""
        return self._gaps.uncounted

    @property
    def unseen(self) -> dict[str, Uncounted]:
        """Operator -> where it ran, for operators that multiply and accumulate, but the mirrored tool ignores."""
        return self._gaps.unseen

    @property
    def assumptions(self) -> dict[str, Assumed]:
        """Statement -> where it was assumed: if there is any, the figures are an estimate."""
        return self._gaps.assumptions

    @property
    def not_executed(self) -> dict[str, int]:
        """Path -> parameters, for submodules that never ran: the totals lack these parameters."""
        return self._gaps.not_executed

    @property
    def _gaps(self) -> Gaps:
        return self._source.gaps

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        about = self._source.about
        return f"<LayerInfo of {about.model}: {self.total_macs} {about.unit}s, {self.total_params} parameters>"

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
        """What every layer costs, in one of many formats.

        A table is ``text``, ``csv``, ``md``, ``latex`` (for the booktabs package) or a ``tree``, which has all modules
        with the figures of what they hold, and equal blocks as one. ``json``, ``html``, ``speedscope`` and
        ``collapsed`` (stacks, for flame graphs) have all figures of all modules, and take only ``depth``.

        Args:
            kind: one of those.
            fmt: ``raw`` numbers, ``grouped`` ones (``1,824,010,216``), ``clever`` ones with units, or the ``ratio`` of
                each layer to the total.
            depth: show modules down to this depth; deeper ones count towards the module that holds them.
            columns: which, out of ``name``, ``class``, ``depth``, ``inputs``, ``outputs``, ``calls``, ``macs``,
                ``flops``, ``params``, ``trainable``, ``share``, ``bytes`` (one for each dtype), ``phases`` (one for
                each, of a training step), ``activations``, ``peak`` and ``saved`` (bytes, with ``memory=True``) and
                ``operators``.
            sort: order rows by ``name``, or by a number, largest first: ``calls``, ``macs``, ``flops``, ``params``,
                ``trainable``, ``share`` or ``bytes``. They are in definition order otherwise.
            top: show only this many of the largest rows, by ``sort`` or else by MACs, and the sum of all others.
            own: show layers with their own figures. ``own=False`` shows every module, with its submodules included.

        Raises:
            UnknownNameError: there is no such kind, format or column.
            InputError: the options contradict each other.
        """
        check_format(kind)
        view = View(fmt=fmt, depth=depth, columns=columns, sort=sort, top=top, own=own)
        view.check(kind)
        if kind == "tree":
            return render(self._tree(fmt, depth, columns), kind)
        if kind in TABLES:
            return render(view.table(self.profile), kind)
        profile = self.profile.to_depth(depth)
        return render(profile.outline() if kind in OUTLINES else to_document(profile), kind)

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
        return View(fmt=fmt, depth=depth, columns=columns, sort=sort, top=top, own=own).table(self.profile)

    def _tree(self, fmt: str, depth: int | None, columns: Sequence[str] | None) -> Table:
        usual = ("name", "class", *(("phases",) if self.profile.has_phases else ()), "macs", "params")
        chosen = View(fmt=fmt, columns=usual if columns is None else columns)
        columns = ("name", *(name for name in chosen.columns or () if name != "name"))  # what is drawn as a tree
        return replace(chosen, depth=depth, columns=columns, own=False, fold=True).table(self.profile)

    def to_dict(self, *, depth: int | None = None) -> Document:
        """Everything as plain values, the document that ``kind="json"`` writes; ``schema.json`` describes it.

        Its layers are all modules, each with its own figures, which add up to the totals.

        Args:
            depth: show modules down to this depth; deeper ones count towards the module that holds them.

        Raises:
            InputError: the depth is less than 0.
        """
        return to_document(self.profile.to_depth(depth))

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
        profile = self.profile.to_depth(depth)
        frame = pandas.DataFrame(
            [_record(row, profile.total) for row in (profile.modules if own else cumulative(profile.modules))]
        )
        frame.attrs.update(profile.about.to_dict())
        return frame

    def plot(self, by: str = "macs", *, top: int = 20) -> Plot:
        """The largest layers as bars: a figure of matplotlib, which ``.savefig("layers.svg")`` writes.

        Args:
            by: the figure: ``macs``, ``flops``, ``params`` or ``trainable``.
            top: how many.

        Raises:
            UnknownNameError: there is no such figure.
            MissingExtraError: matplotlib is not installed.
        """
        known = [figure.name for figure in shown_in("table") if figure.adds_up and not (figure.parts or figure.shows)]
        if by not in known:
            raise UnknownNameError("figure", by, known)
        table = self.table(columns=["name", by], sort=by)
        ((heading, (*figures, total)),) = table.values.items()
        largest = {name: figure for (name, _), figure in zip(table.rows[:top], figures, strict=False)}
        title = f"{self._source.about.model}: the {len(largest)} largest of {len(figures)} layers"
        return bars(largest, title=f"{title}, {share(sum(largest.values()), total)} of the total", unit=heading)

    def by_operator(self) -> dict[str, int]:
        """The other view of the same total: operator -> its part, largest first."""
        return self.profile.by_operator()

    def notes(self) -> tuple[str, ...]:
        """One line for each thing that the totals leave out, such as operators without a price."""
        return self._source.notes if isinstance(self._source, Profile) else notes(self._gaps, self.convention)


def _record(row: Row, total: Row) -> dict[str, Any]:
    """A row of a data frame: a figure with parts, such as bytes for each dtype, becomes one column for each part."""
    record = to_layer(row)
    record.pop("other_calls", None)
    operators = record.pop("operators")
    for figure in shown_in("document"):
        if figure.parts:
            parts = record.pop(figure.name, {})
            record |= {f"{figure.name}_{part}": parts.get(part, 0) for part in figure.value(total)}  # type: ignore[union-attr] # it has parts
    return {**record, "operators": operators}
