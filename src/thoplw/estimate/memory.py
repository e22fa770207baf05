"""Tell how much memory a run takes, when and for what, from the lifetimes of its storages and without torch.

For example, two storages of 4 bytes have a peak of 4 bytes if the first is freed before the second is made, and of 8 if
both exist at the same time. All figures are the bytes that a run *requests*. What an allocator makes of them is a
figure of its own, see :mod:`thoplw.estimate.allocator`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from thoplw.errors import InputError, UnknownNameError
from thoplw.estimate.allocator import Allocated, allocated
from thoplw.pricing.mirrors.torchinfo import Sizes, sizes
from thoplw.record import Kind, Lifetimes, Phase, Storage, Trace
from thoplw.render import render
from thoplw.render.grid import escaped
from thoplw.render.table import Table
from thoplw.render.timeline import Timeline, timeline_page
from thoplw.render.units import clever_format, share
from thoplw.render.words import named, visible

#: Kernels that take memory of their own while they run. Records do not tell how much.
WORKSPACES = frozenset(
    f"aten.{name}"
    for name in (
        *("convolution", "convolution_backward", "mkldnn_rnn_layer", "mkldnn_rnn_layer_backward"),
        *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention_for_cpu_backward"),
        # Most kernels cannot take a tensor that is only marked as a conjugate: torch makes a copy for them.
        *("_conj", "_neg_view"),
    )
)


#: Formats of :meth:`Memory.summary`.
KINDS = ("text", "md", "html")

#: How many modules :meth:`Memory.summary` names.
MODULES = 10

#: Format -> a function that writes a number of bytes.
_WRITTEN: Mapping[str, Callable[[int], str]] = {
    "raw": lambda size: f"{size} ",
    "clever": lambda size: f"{clever_format(size)}" if size >= 1000 else f"{size} ",
}


class Moment(NamedTuple):
    """The memory while one operator runs.

    Attributes:
        iteration: number of the iteration of the training loop, from 0; 0 in inference.
        step: index of the operator in the record.
        phase: ``forward``, ``recomputation``, ``backward`` or ``update``.
        module: path of the module that runs; empty for the model itself.
        operator: its name, such as ``aten.convolution``.
        bytes: the size of all storages that exist, those that the operator made included.
    """

    iteration: int
    step: int
    phase: str
    module: str
    operator: str
    bytes: int


class ModuleMemory(NamedTuple):
    """The memory of one module, in bytes.

    Attributes:
        peak: the most that the whole model takes while this module, or a module in it, runs, in any phase.
        saved: the most that this module itself has saved for the backward pass at any time.
        temporaries: the most that this module itself has made for other purposes at any time.
    """

    peak: int = 0
    saved: int = 0
    temporaries: int = 0


@dataclass(frozen=True, eq=False)
class Memory:
    """The memory of a run of inference, or of some iterations of a training loop.

    Attributes:
        trace: the record of the run, with lifetimes.
    """

    trace: Trace

    def __repr__(self) -> str:
        at = self.peak_at
        if not self.timeline:
            return f"<Memory: peak {self.peak} bytes, no operator ran>"
        return f"<Memory: peak {self.peak} bytes in {at.module or 'the model itself'!r}, {at.phase}, {at.operator}>"

    @cached_property
    def timeline(self) -> tuple[Moment, ...]:
        """One moment for each operator, in order."""
        phases = self.trace.phases or bytes(len(self.trace.steps))
        starts = [step for step, _ in self._iterations]
        iteration = 0
        moments = []
        for step, ((call, scope), size) in enumerate(zip(self.trace.steps, self._levels, strict=True)):
            while iteration + 1 < len(starts) and step >= starts[iteration + 1]:
                iteration += 1
            phase = Phase(phases[step]).label
            moments.append(Moment(iteration, step, phase, self._path(scope), call.target, size))
        return tuple(moments)

    @property
    def peak(self) -> int:
        """The most bytes that exist at any time."""
        return max(self.peaks)

    @cached_property
    def peaks(self) -> tuple[int, ...]:
        """The peak of each iteration. In the first one an optimizer has no states yet."""
        levels = [0, *self._lifetimes.live()]
        bounds = [*(event for _, event in self._iterations), len(levels) - 1]
        return tuple(max(levels[first : last + 1]) for first, last in pairwise(bounds))

    @cached_property
    def peak_at(self) -> Moment:
        """The first moment of the peak; if no operator ran, a moment before all, with step -1."""
        if not self.timeline:
            return Moment(0, -1, Phase.FORWARD.label, "", "", self.peak)
        return max(self.timeline, key=lambda moment: moment.bytes)

    @cached_property
    def by_kind(self) -> dict[str, int]:
        """What the peak consists of: kind -> bytes, largest first; they add up to it."""
        return _by((storage.kind.label, storage.size) for storage in self.alive(self.peak_at))

    @cached_property
    def by_module(self) -> dict[str, int]:
        """What operators made of the peak: path of the module that made it -> bytes, largest first."""
        alive = (storage for storage in self.alive(self.peak_at) if storage.step >= 0)
        return _by((self._path(self.trace.steps[storage.step][1]), storage.size) for storage in alive)

    def alive(self, moment: Moment) -> tuple[Storage, ...]:
        """The storages that exist at a moment, in the order in which they were made."""
        return tuple(
            storage
            for storage in self._lifetimes.storages
            if storage.step <= moment.step and not 0 <= storage.gone <= moment.step
        )

    def module(self, path: str) -> ModuleMemory:
        """What one module takes.

        Raises:
            UnknownNameError: the model has no module of this path.
        """
        if path not in self._indices:
            raise UnknownNameError("module", path, self._indices)
        return self.at(path)

    def at(self, path: str) -> ModuleMemory:
        """What one module takes; nothing if it did not run."""
        return self.modules.get(self._indices.get(path, -1), ModuleMemory())

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {info.path: index for index, info in enumerate(self.trace.modules)}

    @cached_property
    def modules(self) -> Mapping[int, ModuleMemory]:
        """Index of a module in the record -> what it takes, for modules that ran."""
        peaks = {} if self.trace.steps else {0: self.peak}
        for (_, scope), size in zip(self.trace.steps, self._levels, strict=True):
            for module in self._around(scope):
                if size > peaks.get(module, -1):
                    peaks[module] = size
        saved, temporaries = (self._at_most(kind) for kind in (Kind.ACTIVATIONS, Kind.TEMPORARIES))
        return {
            module: ModuleMemory(peak, saved.get(module, 0), temporaries.get(module, 0))
            for module, peak in peaks.items()
        }

    @cached_property
    def cuda(self) -> Allocated:
        """What CUDA's caching allocator makes of the same storages, see :mod:`thoplw.estimate.allocator`."""
        return allocated(self._lifetimes)

    @cached_property
    def torchinfo(self) -> Sizes:
        """What torchinfo says of the same forward, see :mod:`thoplw.pricing.mirrors.torchinfo`.

        Raises:
            InputError: the run has a backward pass.
        """
        return sizes(self.trace)

    def __str__(self) -> str:
        return self.summary()

    def summary(self, kind: str = "text", fmt: str = "clever") -> str:
        """The peak in a sentence, what it consists of, and which modules made it.

        Args:
            kind: ``text`` or ``md``; or ``html``, a page with a chart of all moments, where each can be looked into.
            fmt: ``raw`` bytes, or ``clever`` ones with units.

        Raises:
            UnknownNameError: there is no such kind or format.
            InputError: a page was asked for, and no operator ran.
        """
        for what, name, names in (("kind", kind, KINDS), ("fmt", fmt, _WRITTEN)):
            if name not in names:
                raise UnknownNameError(what, name, names)
        if kind == "html":
            if not self.timeline:
                raise InputError("no operator ran, so there is no chart to draw: kind='text' shows what memory holds")
            return timeline_page(self._for_page())
        sentence = escaped if kind == "md" else str
        return "\n\n".join(
            render(part, kind) if isinstance(part, Table) else sentence(part) for part in self.parts(fmt)
        )

    def parts(self, fmt: str = "clever") -> Iterator[str | Table]:
        """The sentences and tables of :meth:`summary`."""
        written = _WRITTEN[fmt]
        yield self._sentence(fmt)
        if self.timeline:
            yield f"For that CUDA's caching allocator reserves {written(self.cuda.reserved)}B."
        yield self._table("At the peak", self.by_kind, fmt)
        if self.by_module:
            yield self._table("Made in", self.by_module, fmt, MODULES)
        yield from self.notes

    def to_dict(self) -> dict[str, Any]:
        """Everything but the timeline, as plain values."""
        return {
            "peak": self.peak,
            "peaks": list(self.peaks),
            "at": self.peak_at._asdict(),
            "by_kind": self.by_kind,
            "by_module": self.by_module,
            "cuda": self.cuda._asdict(),
            "notes": list(self.notes),
        }

    def _for_page(self) -> Timeline:
        operators: dict[str, int] = {}
        phases = self.trace.phases or bytes(len(self.trace.steps))
        steps = [
            (operators.setdefault(call.target, len(operators)), self._module(scope), phase)
            for (call, scope), phase in zip(self.trace.steps, phases, strict=True)
        ]
        return Timeline(
            title=self.trace.modules[0].class_name,
            sentence=self._sentence("clever"),
            notes=self.notes,
            kinds=[kind.label for kind in Kind],
            modules=[info.path for info in self.trace.modules],
            operators=list(operators),
            phases=[phase.label for phase in Phase],
            steps=steps,
            storages=[(size, int(kind), step, gone) for size, kind, step, gone in self._lifetimes.storages],
            iterations=[step for step, _ in self._iterations],
            peak=self.peak_at.step,
        )

    def _sentence(self, fmt: str) -> str:
        at, written = self.peak_at, _WRITTEN[fmt]
        times = f", in iteration {at.iteration + 1} of {len(self.peaks)}" if len(self.peaks) > 1 else ""
        peaks = " and ".join(f"{written(peak)}B" for peak in self.peaks)
        each = f" The peaks of the iterations are {peaks}." if len({*self.peaks}) > 1 else ""
        if not self.timeline:
            return f"The peak is {written(self.peak)}B: no operator ran."
        where = f"{named(at.module)} ({at.phase}, {at.operator})"
        return f"The peak is {written(self.peak)}B, in {visible(where)}{times}.{each}"

    def _table(self, what: str, sizes: Mapping[str, int], fmt: str, most: int | None = None) -> Table:
        """A table of sizes by name; the smallest may be added up in one row."""
        total = sum(sizes.values())
        rows = [(named(name), size) for name, size in [*sizes.items()][:most]]
        if most is not None and len(sizes) > most:
            rows.append((f"({len(sizes) - most} more)", total - sum(size for _, size in rows)))
        written = _WRITTEN[fmt]
        return Table(
            columns=(what, "Bytes", "Share"),
            rows=tuple((name, written(size), share(size, total)) for name, size in rows),
            footer=("Total", written(total), share(total, total)),
            values={"Bytes": (*(size for _, size in rows), total)},
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the figures leave out, in sentences."""
        known = Counter(call.target for call, _ in self.trace.steps if call.target in WORKSPACES)
        if not known:
            return ()
        names = ", ".join(f"{name} ({times} call{'s' * (times > 1)})" for name, times in sorted(known.items()))
        return (f"Not in it is the memory that kernels take for themselves while they run: {names}.",)

    @property
    def _lifetimes(self) -> Lifetimes:
        assert self.trace.lifetimes is not None  # this object is made only of records with lifetimes
        return self.trace.lifetimes

    @property
    def _iterations(self) -> tuple[tuple[int, int], ...]:
        return self._lifetimes.iterations

    @cached_property
    def _levels(self) -> list[int]:
        """How many bytes there are at each step."""
        changes = [0] * (len(self.trace.steps) + 1)
        before = 0
        for storage in self._lifetimes.storages:
            if storage.step < 0:
                before += storage.size
            else:
                changes[storage.step] += storage.size
            if storage.gone >= 0:
                changes[storage.gone] -= storage.size
        levels = []
        for change in changes[:-1]:
            before += change
            levels.append(before)
        return levels

    def _at_most(self, kind: Kind) -> dict[int, int]:
        """Index of a module -> the most bytes of one kind that the module itself has made at any time."""
        now: dict[int, int] = defaultdict(int)
        most: dict[int, int] = {}
        storages = self._lifetimes.storages
        for event in self._lifetimes.events:
            storage = storages[event if event >= 0 else ~event]
            if storage.kind is not kind or storage.step < 0:
                continue
            module = self._module(self.trace.steps[storage.step][1])
            now[module] += storage.size if event >= 0 else -storage.size
            most[module] = max(most.get(module, 0), now[module])
        return most

    def _module(self, scope: int) -> int:
        return self.trace.scopes[scope].module if scope >= 0 else 0

    def _path(self, scope: int) -> str:
        return self.trace.modules[self._module(scope)].path

    def _around(self, scope: int) -> Iterable[int]:
        """The modules whose calls a scope is part of."""
        found = self._chains.get(scope)
        if found is None:
            found = self._chains[scope] = tuple(dict.fromkeys(self._outwards(scope)))
        return found

    def _outwards(self, scope: int) -> Iterator[int]:
        while scope >= 0:
            yield self.trace.scopes[scope].module
            scope = self.trace.scopes[scope].parent

    @cached_property
    def _chains(self) -> dict[int, tuple[int, ...]]:
        return {}


def _by(sizes: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, size in sizes:
        found[name] += size
    return dict(found.most_common())
