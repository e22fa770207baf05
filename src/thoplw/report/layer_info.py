"""The report that ``profile`` returns: rows, totals, notes, and every output format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.estimate.devices import Device
from thoplw.estimate.devices import device as find_device
from thoplw.estimate.memory import Memory
from thoplw.estimate.roofline import Roof
from thoplw.pricing import OF_TRAINING, Priced
from thoplw.render import OUTLINES, TABLES, check_format, render
from thoplw.render.grid import hypertext
from thoplw.render.plots import bars
from thoplw.render.table import Table
from thoplw.render.tree import drawing
from thoplw.render.units import share
from thoplw.render.words import visible
from thoplw.report.attribution import Attribution
from thoplw.report.document import Document, to_document, to_layer
from thoplw.report.figures import FIGURES, shown_in
from thoplw.report.notes import notes
from thoplw.report.profile import Profile
from thoplw.report.rollup import cumulative, inside, summed
from thoplw.report.rows import Assumed, Gaps, Row, Uncounted
from thoplw.report.utilisation import Utilisation
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
    """

    def __init__(self, source: Priced | Profile | Attribution, memory: Memory | None = None) -> None:
        """Report on a priced trace, or on a profile that was read from a file."""
        self._source = Attribution(source, memory=memory) if isinstance(source, Priced) else source
        self._memory = memory
        self.total_macs: int = self._source.cost
        self.total_flops: int = self._source.flops
        self.total_params: int = self._source.params

    def __reduce__(self) -> tuple[type[LayerInfo], tuple[Profile, Memory | None]]:
        return LayerInfo, (self.profile, self._memory)

    # Rows are computed on demand: totals alone are faster.

    @property
    def convention(self) -> str:
        """Name of the convention that counted."""
        return self._source.about.convention

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
        """One row per layer, in definition order; their ``macs`` and ``params`` add up to the totals.

        A layer is a module that ran and in which no other ran, or that has MACs or parameters of its own.
        """
        return self.profile.layers

    @property
    def total_trainable(self) -> int:
        """Parameters of the whole model that require a gradient."""
        return self.profile.total.trainable

    @property
    def total_frozen(self) -> int:
        """Parameters of the whole model that require no gradient."""
        return self.total_params - self.total_trainable

    @property
    def memory(self) -> Memory:
        """How much memory the run takes, when, and for what.

        Raises:
            InputError: it was not asked for.
        """
        if self._memory is None:
            raise InputError(
                "the memory of this run is not known: pass memory=True to thoplw.profile, thoplw.profile_training or "
                "thoplw.profile_generation"
            )
        return self._memory

    @property
    def total_moved(self) -> int:
        """Bytes that the operators of the whole model read and write as they ran, one after the other."""
        return self.profile.total.moved

    @property
    def compulsory(self) -> int:
        """Bytes that any way to run the model moves: used weights, inputs that are read, and outputs, each once."""
        return self.profile.total.compulsory

    @property
    def intensity(self) -> float:
        """FLOPs of the whole model for each byte moved."""
        return self.profile.total.intensity

    @property
    def active_params(self) -> int:
        """Parameters that the work for one token touches, with embeddings; of experts only those that get the token."""
        return FIGURES["active"].number(self.profile.total)

    @property
    def active_params_without_embeddings(self) -> int:
        """The same without tables in which rows are only looked up."""
        return FIGURES["active"].parts_of(self.profile.total).get("computed", 0)

    def on(self, device: str | Device, dtype: object = None) -> LayerInfo:
        """The same report with times on a device: columns ``bound``, ``floor`` and ``eager``.

        For example::

            layers.on("h100-sxm").floor  # 0.00464 seconds, and no run is faster
            profile_training(...).on("h100-sxm").floor_by_phase()  # {"forward": ..., "backward": ..., ...}

        Args:
            device: its name, as :func:`thoplw.devices` lists them, or one of your own.
            dtype: the type that contractions run in, such as ``"bfloat16"``, ``"bf16"`` or torch's; by default that of
                the tensors that they were recorded with. Bytes are those of the record in any case: cast the model for
                others.

        Raises:
            UnknownNameError: there is no such device, or it has no peak in that type.
            InputError: this report was read from a file, which has no operators.
        """
        return LayerInfo(self._attribution("times on a device").on(Roof(find_device(device), dtype)), self._memory)

    @property
    def floor(self) -> float:
        """How long the model takes at least on the device of :meth:`on`, in seconds.

        Raises:
            InputError: no device was named.
        """
        return self.profile.total.floor

    def floor_by_phase(self) -> dict[str, float]:
        """How long each phase of a training step takes at least on the device of :meth:`on`, in seconds.

        A phase begins when the one before has ended: so a loop takes no less than ``forward``, ``backward`` and
        ``update`` together, which is more than :attr:`floor`, as that holds in whatever order the step is computed.
        ``recomputation`` runs within the backward pass. Empty for a report on a forward alone.

        Raises:
            InputError: no device was named.
        """
        return self.profile.total.floor_by_phase()

    @property
    def eager(self) -> float:
        """How long its operators take there one after the other, in seconds: an estimate, and no bound.

        Raises:
            InputError: no device was named.
        """
        return self.profile.total.eager

    @property
    def bound(self) -> str:
        """What takes longest there: ``matrix``, ``vector`` or ``memory``; empty if no device was named."""
        return self.profile.total.bound

    def mfu(self, seconds: float, device: str | Device, dtype: object = None) -> Utilisation:
        """Return the part of a device's peak that a run of the model reached, given its seconds.

        The numerator is the cost by the convention of this report, without recomputation: of multiply-accumulates, two
        operations each. Of a mixture of experts, only those count that tokens are sent to. The answer names numerator
        and denominator.

        Args:
            seconds: how long the run took.
            device: its name, as :func:`thoplw.devices` lists them, or one of your own.
            dtype: the type whose peak is the denominator; by default that of most contractions.

        Raises:
            UnknownNameError: there is no such device, or it has no peak in that type.
            InputError: the seconds are not above 0, the model contracts nothing, or this report was read from a file.
        """
        if not (isinstance(seconds, (int, float)) and 0 < seconds < math.inf):
            raise InputError(f"seconds={seconds!r}: give a time above 0")
        roof = Roof(find_device(device), dtype)
        peak = self._attribution("what contractions ran in").main_peak(roof)
        if peak is None:
            raise InputError(f"{self._source.about.model} contracts nothing: there is no peak to compare with")
        unit, phases = self._source.about.unit, self.by_phase()
        again = phases["recomputation"]
        return Utilisation(
            flops=(self.total_macs - again) * (1 if unit == "FLOP" else 2),
            seconds=seconds,
            peak=peak.rate,
            numerator=self.convention
            + (": 2 for each MAC" if unit == "MAC" else "")
            + (", of a training step" if self.convention in OF_TRAINING else "")
            + (", without recomputation" if again else ""),
            denominator=f"{peak.dtype}, {peak.unit}, of {roof.device.title or roof.device.name}",
        )

    def _attribution(self, what: str) -> Attribution:
        if isinstance(self._source, Profile):
            raise InputError(
                f"a report that was read from a file has no operators, and {what} follow from these: profile the model "
                "again"
            )
        return self._source

    def by_phase(self) -> dict[str, int]:
        """The total cost by phase: ``forward``, ``recomputation``, ``backward`` and ``update``.

        In a report on a forward alone, all of it is ``forward``.
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

    def __getitem__(self, path: str) -> Row:
        """Return the row of a module with the figures of all that it holds; ``""`` is the model itself.

        Raises:
            UnknownNameError: no module of this path ran, or holds one that ran.
        """
        if isinstance(path, (int, slice)):
            raise InputError(f"layers[{path!r}]: give the path of a module, as in layers['conv1'], or take layers.rows")
        for at, row in enumerate(self.modules):
            if row.name == path:
                return summed(inside(self.modules, at))
        raise UnknownNameError("module", path, [row.name for row in self.modules])

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        about = self._source.about
        return f"<LayerInfo of {visible(about.model)}: {self.total_macs} {about.unit}s, {self.total_params} parameters>"

    def __rich__(self) -> RenderableType:
        """What ``rich.print`` shows."""
        return self.draw("clever")

    def _repr_html_(self) -> str:
        """The display of notebooks."""
        return hypertext(self.table("clever"))

    def _repr_markdown_(self) -> str:
        """The display of notebooks without HTML."""
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
                ``flops``, ``params``, ``trainable``, ``share``, ``bytes`` (one for each dtype), ``moved``,
                ``compulsory``, ``intensity``, ``active``, ``activations``, ``phases`` (one for each, of a training
                step) and ``operators``; on a device (see :meth:`on`) also ``bound``, ``floor`` and ``eager``; with
                ``memory=True`` also ``peak`` and ``saved``, in bytes.
            sort: order rows by ``name``, or by a column of numbers, largest first. They are in definition order
                otherwise.
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
        columns = ("name", *(name for name in chosen.columns or () if name != "name"))  # the name is drawn as a tree
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
            raise MissingExtraError("pandas", "a data frame") from error
        profile = self.profile.to_depth(depth)
        frame = pandas.DataFrame(
            [_record(row, profile.total) for row in (profile.modules if own else cumulative(profile.modules))]
        )
        frame.attrs.update(profile.about.to_dict())
        return frame

    def plot(self, by: str = "macs", *, top: int = 20) -> Plot:
        """The largest layers as bars: a figure of matplotlib, which ``.savefig("layers.svg")`` writes.

        Args:
            by: a figure that adds up over layers, such as ``macs``, ``params`` or ``activations``.
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
        if isinstance(self._source, Profile):
            return self._source.notes
        times = self.profile.on_device if self._source.about.device else ()
        return (*times, *notes(self._gaps, self.convention))


def _record(row: Row, total: Row) -> dict[str, Any]:
    """Return a row of a data frame, with one column for each part of a figure that has parts, such as bytes."""
    record = to_layer(row)
    record.pop("other_calls", None)
    operators = record.pop("operators")
    for figure in shown_in("document"):
        if figure.parts:
            parts = record.pop(figure.name, {})
            record |= {f"{figure.name}_{part}": parts.get(part, 0) for part in figure.parts_of(total)}
    return {**record, "operators": operators}
