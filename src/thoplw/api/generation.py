"""``thoplw.profile_generation``: what it costs to generate: the prompt, each token after it, and the cache."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import torch

from thoplw.api.calls import Calls, Turn
from thoplw.api.profile import module_of, say_lacking
from thoplw.capture.generation import ByFunctions, Caller
from thoplw.errors import DataDependentError, InputError, UnknownNameError, message_of
from thoplw.estimate.devices import Device
from thoplw.estimate.devices import device as find_device
from thoplw.estimate.generation import Figures, Part, total, total_of_largest
from thoplw.estimate.memory import Memory
from thoplw.estimate.roofline import PICO, Roof, Roofline
from thoplw.models.hf.generation import caller as by_itself
from thoplw.models.hf.generation import positions as positions_of
from thoplw.pricing import OF_TRAINING, Convention, find
from thoplw.record import Held
from thoplw.record.spec import ITEM_SIZES, SHORT_NAMES
from thoplw.render import render
from thoplw.render.page.generation import Curve
from thoplw.render.plots import curves
from thoplw.render.table import Table
from thoplw.render.words import count, named, some, visible
from thoplw.report.figures import FORMATTERS, in_seconds
from thoplw.report.layer_info import LayerInfo
from thoplw.traffic.usage import Usage

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot

#: Formats that are tables, and all of them.
_TABLES = ("text", "md", "csv", "latex")
KINDS = (*_TABLES, "html", "json")

#: How many positions a page has in which an engine keeps a cache.
PAGE = 16

#: What is known of each step, as documents name it.
_FIGURES = ("macs", "flops", "cache_bytes", "macs_absorbed")

#: What ``cache_bytes`` is told by.
By = Literal["layer", "class"]


class Generation:
    """What it costs to generate. ``print`` shows the prompt, the first and the last step, and the totals.

    A generation of ``new`` tokens is one prefill, which gives the first of them, and ``new - 1`` steps. Step ``L`` has
    ``L`` positions in the cache before it: the first one as many as the prompt has.

    Attributes:
        prompt: positions that the prefill takes.
        new: tokens that are generated.
        batch: sequences at once. All figures are of all of them.
        convention: name of the convention that counted.
    """

    def __init__(
        self,
        calls: Calls,
        new: int,
        convention: Convention,
        cache: str,
        kv_dtype: str | None,
        with_memory: dict[int, LayerInfo] | None,
        roof: Roof | None = None,
    ) -> None:
        """Take the calls that were made, and those still to be made.

        Args:
            calls: all of them.
            new: tokens.
            convention: that counts.
            cache: kind of cache.
            kv_dtype: type that keys and values are taken to be kept in.
            with_memory: steps whose memory is known, and the prefill as that of position 0; ``None`` if not asked for.
            roof: of the device that times are of.
        """
        self._infos_with_memory = with_memory
        self.prompt, self.new, self.batch = calls.prompt, new, calls.caller.batch
        self.convention = convention.name
        self._calls = calls
        self._convention = convention
        self._roof = roof
        self._unit = convention.unit or "MAC"
        self._cache = cache
        self._kv_dtype = kv_dtype

    # -- calls ---------------------------------------------------------------------------------------------------------

    @property
    def prefill(self) -> LayerInfo:
        """What every layer costs for the prompt."""
        return self._timed(self._info_with_memory(0) or self._calls.prefill(self.prompt).info)

    def decode(self, at: int | None = None) -> LayerInfo:
        """What every layer costs in a step.

        Args:
            at: positions in the cache before it; those of the prompt by default, which is the first step.

        Raises:
            InputError: there is no such step.
        """
        position = self.prompt if at is None else at
        if type(position) is not int or position < 1:
            raise InputError(f"at={at!r}: a step has 1 or more positions before it")
        if self._calls.path_matters and position < self.prompt:
            raise InputError(f"at={at!r}: the first step has {self.prompt} positions before it, those of the prompt")
        return self._timed(self._info_with_memory(position) or self._calls.step(position).info)

    @property
    def memory(self) -> Memory:
        """The memory of the prefill, the first or the last step, whichever has the highest peak.

        Raises:
            InputError: memory was not asked for.
        """
        steps = sorted({self.prompt, self.last}) if self.new > 1 else ()
        memories: list[Memory] = [call.memory for call in (self.prefill, *map(self.decode, steps))]
        return max(memories, key=lambda memory: memory.peak)

    @property
    def has_memory(self) -> bool:
        """Whether memory was asked for."""
        return self._infos_with_memory is not None

    def _info_with_memory(self, position: int) -> LayerInfo | None:
        """A step, or the prefill as that of position 0, if memory was asked for."""
        if self._infos_with_memory is None:
            return None
        if position not in self._infos_with_memory:
            length = self.prompt if self._calls.path_matters or not position else position
            self._infos_with_memory[position] = self._calls.with_memory(
                length, position - length + 1 if position else 0
            )
        return self._infos_with_memory[position]

    # -- times ---------------------------------------------------------------------------------------------------------

    def on(self, device: str | Device, dtype: object = None) -> Generation:
        """The same report with times on a device: :attr:`floor`, and those of :attr:`prefill` and :meth:`decode`.

        For example::

            report.on("h100-sxm").floor  # seconds, below which no generation of so many tokens gets

        Args:
            device: its name, as :func:`thoplw.devices` lists them, or one of your own.
            dtype: the type that contractions run in; by default that of the tensors that they were recorded with.

        Raises:
            UnknownNameError: there is no such device, or it has no peak in that type.
        """
        roof = Roof(find_device(device), dtype)
        return Generation(
            self._calls, self.new, self._convention, self._cache, self._kv_dtype, self._infos_with_memory, roof
        )

    @property
    def floor(self) -> float:
        """How long the whole generation takes at least on the device of :meth:`on`, in seconds.

        It is the sum of the floor of the prefill and of that of each step, as one begins when the one before has ended.

        Raises:
            InputError: no device was named.
        """
        return self.prefill.floor + self.floor_of_steps

    @property
    def floor_of_steps(self) -> float:
        """That of all steps after the prefill, in seconds.

        The time of each unit is a polynomial in the position, in the same way as the cost is; so the sum is exact.

        Raises:
            InputError: no device was named.
        """
        return float(self._picoseconds / PICO)

    @cached_property
    def _picoseconds(self) -> Fraction:
        roof = self._roof
        if roof is None:
            raise InputError("a floor needs a device: report.on('h100-sxm').floor")

        def bounds(turn: Turn) -> Figures:
            trace = turn.priced.trace
            return Roofline(trace, Usage(trace), roof).bounds

        return total_of_largest(self._calls.parts(self.last, bounds)) if self.new > 1 else Fraction(0)

    def _timed(self, info: LayerInfo) -> LayerInfo:
        return info if self._roof is None else info.on(self._roof.device, self._roof.dtype)

    # -- totals --------------------------------------------------------------------------------------------------------

    @property
    def total_macs(self) -> int:
        """The cost of the whole generation, in the unit of the convention, exact."""
        return self._steps[0] + self.prefill.total_macs

    @property
    def total_flops(self) -> int:
        """The floating-point operations of the whole generation, exact."""
        return self._steps[1] + self.prefill.total_flops

    @property
    def total_macs_absorbed(self) -> int:
        """The cost of the whole generation by an engine that does not expand latent attention in its steps, exact.

        It multiplies queries and sums of latents by the weights that expand them. ``total_macs`` is that of the model
        as it runs, and the same where nothing is latent.
        """
        return self._steps[3] + self.prefill.total_macs

    @property
    def active_params(self) -> int:
        """Parameters that the work for one token touches, with embeddings: of experts those that it is sent to."""
        return self._one.active_params

    @property
    def active_params_without_embeddings(self) -> int:
        """The same without tables of which rows are only looked up."""
        return self._one.active_params_without_embeddings

    @property
    def _one(self) -> LayerInfo:
        return self.decode() if self.new > 1 else self.prefill

    @property
    def last(self) -> int:
        """The positions before the last step."""
        return self.prompt + self.new - 2

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The steps, in parts in which their figures (cost, FLOPs, bytes left) are polynomials in the position."""
        return self._calls.parts(self.last) if self.new > 1 else ()

    @cached_property
    def _steps(self) -> tuple[int, ...]:
        return total(self.parts) if self.parts else (0, 0, 0, 0)

    # -- cache ---------------------------------------------------------------------------------------------------------

    def cache_bytes(self, at: int | None = None, *, by: By | None = None) -> Any:
        """The bytes that the cache holds, of all sequences, exact: of the storages that the calls have left.

        With ``kv_dtype`` what has an entry for each position is taken to be kept in that type.

        Args:
            at: how many positions it covers; all that there are before the last step by default.
            by: ``"layer"`` or ``"class"`` of cache, for a dictionary of numbers.

        Raises:
            InputError: there is no such number of positions.
            UnknownNameError: it is told by neither.
        """
        held = self._left(self._position(at))
        sizes = [self._size(each) for each in held]
        if by is None:
            return sum(sizes)
        if by not in ("layer", "class"):
            raise UnknownNameError("by", by, ("layer", "class"))
        found: Counter[Any] = Counter()
        for each, size in zip(held, sizes, strict=True):
            found[each.layer if by == "layer" else each.owner] += size
        return dict(sorted(found.items()))

    def reserved_bytes(self, at: int | None = None, *, page: int = PAGE) -> int:
        """What an engine with a paged cache reserves: of what has an entry for each position whole pages.

        It keeps no more of a storage than the cache shows of it, as :meth:`cache_bytes` does not suppose.

        Args:
            at: as for :meth:`cache_bytes`.
            page: positions in a page.

        Raises:
            InputError: there is no such number of positions, or of positions in a page.
        """
        if type(page) is not int or page < 1:
            raise InputError(f"page={page!r}: a page has 1 or more positions")
        reserved = 0
        for each in self._left(self._position(at)):
            axis = self._axes.get(each[:3])
            kept = min(each.spec.numel, each.bytes // each.spec.itemsize)  # elements may be shown several times
            size = kept * self._itemsize(each)
            if axis is not None:
                positions = each.spec.shape[axis]
                size = size // max(positions, 1) * (-(-positions // page) * page)
            reserved += size
        return reserved

    def _position(self, at: int | None) -> int:
        position = max(self.last, self.prompt) if at is None else at
        if type(position) is not int or position < 1:
            raise InputError(f"at={at!r}: a cache covers 1 or more positions")
        return position

    def _left(self, position: int) -> tuple[Held, ...]:
        """The cache with so many positions: what the prefill has left, or the step before."""
        if position <= self.prompt:
            return self._calls.prefill(position).left
        return self._calls.step(position - 1).left

    def _size(self, held: Held) -> int:
        if self._kv_dtype is None:
            return held.bytes
        return held.bytes * self._itemsize(held) // held.spec.itemsize

    def _itemsize(self, held: Held) -> int:
        is_float = "float" in held.spec.dtype
        if self._kv_dtype is not None and is_float and held[:3] in self._axes:
            return ITEM_SIZES[self._kv_dtype]
        return held.spec.itemsize

    @cached_property
    def _axes(self) -> dict[tuple[Any, ...], int]:
        """Of each tensor that has an entry for each position: in which dimension."""
        lengths = sorted({min(length, self.prompt) for length in (8, 16)} | {self.prompt, self.prompt + 1})
        shapes: dict[tuple[Any, ...], set[tuple[int, ...]]] = {}
        for held in self._calls.left_by_prefills(lengths):
            for each in held:
                shapes.setdefault(each[:3], set()).add(each.spec.shape)
        return {
            key: axis
            for key, known in shapes.items()
            for axis, sizes in enumerate(zip(*known, strict=False))
            if len({*map(len, known)}) == 1 and len({*sizes}) > 1
        }

    # -- words ---------------------------------------------------------------------------------------------------------

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the figures leave out, and what makes them larger than need be; a line each."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self._roof:
            yield f"On {self.prefill.profile.about.roof}."
        if self.convention in OF_TRAINING:
            yield (
                f"{self.convention} is a formula of a training step: each call is told as one of so many tokens, which "
                "is not what it costs to generate them."
            )
        yield from self._of_logits()
        if self._cache == "static":
            longest = self._calls.caller.longest - 1
            if any(longest in held.spec.shape for held in self._left(self.prompt)):  # states have no positions
                yield (
                    f"A static cache has {longest} positions from the beginning, and each step attends to all of them."
                )
        if self._cache == "hqq":
            yield (
                "Not in these figures: the search of hqq for better scales, whose length depends on values. It has no "
                "matrix products, and the bytes of the cache do not depend on it."
            )
        yield from self._of_windows()
        yield from self._over_the_cache()
        held = self._left(self.prompt)
        settings = getattr(self._calls.caller.model, "generation_config", None)
        if getattr(settings, "use_cache", None) is False:
            yield (
                "Each step runs over all positions again, as generation_config.use_cache of the model is False; with "
                "True it has a cache."
            )
        elif not held:
            yield (
                "No call leaves a tensor to the next: there is no cache. One that lies in buffers of modules is not "
                "seen, as it is there from the beginning."
            )
        if self._calls.path_matters:
            yield (
                "A step depends on those before it, as its cache holds something else after a prompt of the same "
                f"length: each of the {self.new - 1} steps was run after the other."
            )
        elif len(self.parts) > self.new // 3 > 2:
            yield f"No formula adds up the {self.new - 1} steps: each was run."
        if self._calls.beside:
            modules = (f"{named(path)} ({cost:,} {self._unit}s)" for path, cost in self._calls.beside.items())
            yield f"Not in these figures, as it ran outside of the forward: {some(modules)}."
        turns = {"Prefill": self._calls.prefill(self.prompt)}
        if self.new > 1:
            turns["Step"] = self._calls.step(self.prompt)
        for what, turn in turns.items():
            yield from (f"{what}: {note}" for note in turn.info.notes())

    def _of_logits(self) -> Iterator[str]:
        head = getattr(self._calls.caller.model, "get_output_embeddings", lambda: None)()
        if head is None or self.prompt == 1:
            return
        paths = self._calls.paths_of(head)
        for path, shape, cost in self._calls.prefill(self.prompt).layers():
            positions = prod(shape[:-1]) // self.batch
            if path in paths and positions > 1:
                spare = cost - cost // positions
                yield (
                    f"The prefill computes the logits of all {positions} positions, where one is enough: "
                    f"{100 * spare / self.prefill.total_macs:.0f} % of its {self._unit}s. Forwards that take "
                    "logits_to_keep=1 do without."
                )

    def _of_windows(self) -> Iterator[str]:
        sliding = [each for each in self._left(self.prompt) if "sliding" in each.owner.lower()]
        sizes = {each.spec.shape[axis] + 1 for each in sliding if (axis := self._axes.get(each[:3])) is not None}
        if any(size < self.prompt for size in sizes):
            yield (
                "The prefill computes the scores of all pairs of positions also in layers with a window of "
                f"{some(map(str, sorted(sizes)))}, as kernels with a mask do; convention='macs-causal' counts what the "
                "mask leaves."
            )

    def _over_the_cache(self) -> Iterator[str]:
        """Layers that a step runs over all positions again, as those that expand latents."""
        if self.new < 2 or not self._left(self.prompt):
            return
        step = self._calls.step(self.prompt)
        again = {path: cost for path, shape, cost in step.layers() if self.prompt + 1 in shape[1:-1]}
        if again:
            part = 100 * sum(again.values()) / step.info.total_macs
            yield (
                f"Each step runs {some(again, most=1)} over the whole cache again: {part:.0f} % of the first step's "
                f"{self._unit}s. Engines that absorb these weights do without: total_macs_absorbed is their total."
            )

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        model = type(self._calls.caller.model).__name__
        return f"<Generation of {visible(model)}: {self.total_macs} {self._unit}s for {count(self.new, 'token')}>"

    def _repr_markdown_(self) -> str:
        """The display of notebooks."""
        return self.summary("md", "clever")

    def summary(self, kind: str = "text", fmt: str = "raw") -> str:
        """The prompt, the first and the last step, all steps and the total, with the cache after each.

        If memory was asked for, tables have the peak of each call as well; below them, in text and Markdown, stands
        what the highest consists of.

        Args:
            kind: ``text``, ``md``, ``csv`` or ``latex``; ``json``; or ``html``, one file that shows cost and cache
                against positions as well, and what each layer costs in each call. Each call has tables and pages of its
                own, as in ``report.decode(4096).summary("html")``.
            fmt: of tables: ``raw`` numbers, ``grouped`` ones, ``clever`` ones with units, or the ``ratio`` to a total.

        Raises:
            UnknownNameError: there is no such kind or format.
            MissingExtraError: ``html``, and Jinja is not installed.
        """
        if kind not in KINDS:
            raise UnknownNameError("kind", kind, KINDS)
        if kind == "html":
            from thoplw.api.generation_page import page_of

            return page_of(self)
        if kind not in _TABLES:
            return render(self.to_dict(), kind)
        table = render(self.table(fmt), kind)
        if not self.has_memory or kind not in ("text", "md"):
            return table
        return f"{table}\n\n{self.memory.summary(kind, fmt if fmt == 'raw' else 'clever')}"

    def table(self, fmt: str = "raw") -> Table:
        """The table, as renderers take it; ``fmt`` as for :meth:`summary`."""
        if fmt not in FORMATTERS:
            raise UnknownNameError("fmt", fmt, FORMATTERS)
        write, write_total = FORMATTERS[fmt]
        totals = self.total_macs, self.total_flops
        cost = f"{self._unit}s"
        peaks = ("Peak",) if self.has_memory else ()
        times = ("Floor",) if self._roof else ()
        columns = (
            *("Call", "Positions", cost),
            *(("FLOPs",) if self._unit != "FLOP" else ()),
            *("Cache bytes", *peaks, *times),
        )
        size, total_size = FORMATTERS["clever" if fmt == "ratio" else fmt]
        cells = []
        for name, positions, (macs, flops), cache, info, floor in self._rows():
            own = (write(macs, totals[0]), *((write(flops, totals[1]),) if self._unit != "FLOP" else ()))
            peak = ("" if info is None else size(info.memory.peak, 0) for _ in peaks)
            cells.append((name, positions, *own, size(cache, 0), *peak, *(floor for _ in times)))
        footer = (
            "Total", "", write_total(totals[0], totals[0]),
            *((write_total(totals[1], totals[1]),) if self._unit != "FLOP" else ()),
            total_size(self.cache_bytes(self.prompt + self.new - 1), 0),
            *(total_size(self.memory.peak, 0) for _ in peaks),
            *(self._written(self.floor) for _ in times),
        )  # fmt: skip
        return Table(columns=columns, rows=tuple(cells), footer=footer, notes=self.notes, about=self.about)

    def _rows(self) -> Iterator[tuple[str, str, tuple[int, int], int, LayerInfo | None, str]]:
        prefill, timed = self.prefill, self._roof is not None
        costs = prefill.total_macs, prefill.total_flops
        yield "Prefill", str(self.prompt), costs, self.cache_bytes(self.prompt), prefill, self._floor_of(prefill)
        if self.new < 2:
            return
        for name, position in (("First step", self.prompt), ("Last step", self.last)):
            info = self.decode(position)
            costs = info.total_macs, info.total_flops
            yield name, str(position), costs, self.cache_bytes(position + 1), info, self._floor_of(info)
        macs, flops, _, absorbed = self._steps
        where, cache = f"{self.prompt} to {self.last}", self.cache_bytes(self.last + 1)
        floor = self._written(self.floor_of_steps) if timed else ""
        yield f"All {self.new - 1} steps", where, (macs, flops), cache, None, floor
        if absorbed != macs:
            yield "Absorbed", where, (absorbed, flops - 2 * (macs - absorbed)), cache, None, ""

    def _floor_of(self, info: LayerInfo) -> str:
        return self._written(info.floor) if self._roof else ""

    def _written(self, seconds: float) -> str:
        return in_seconds(round(seconds * PICO))

    @property
    def about(self) -> dict[str, str]:
        """The class of the model, convention, unit and versions."""
        info = self._calls.prefill(self.prompt).info.profile.about.to_dict()
        about = {key: info[key] for key in ("thoplw", "torch", "convention", "unit")}
        return {"model": type(self._calls.caller.model).__name__, **about}

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON; coefficients of polynomials as text."""
        end = self.last + 1
        return {
            **self.about,
            "prompt": self.prompt,
            "new": self.new,
            "batch": self.batch,
            "cache": self._cache,
            "kv_dtype": self._kv_dtype,
            "total_macs": self.total_macs,
            "total_flops": self.total_flops,
            "total_macs_absorbed": self.total_macs_absorbed,
            "active_params": self.active_params,
            "active_params_without_embeddings": self.active_params_without_embeddings,
            "prefill": {"macs": self.prefill.total_macs, "flops": self.prefill.total_flops},
            **self._floors(),
            "steps": [
                {
                    "first": part.first,
                    "last": part.last,
                    **{
                        name: {str(powers[0]): str(factor) for powers, factor in each.terms.items()}
                        for name, each in zip(_FIGURES, part.polynomials, strict=True)
                    },
                    "held_out": list(part.held_out),
                }
                for part in self.parts
            ],
            "cache_bytes": {
                "prompt": self.cache_bytes(self.prompt),
                "end": self.cache_bytes(end),
                "end_by_layer": {str(layer): size for layer, size in self.cache_bytes(end, by="layer").items()},
                "end_by_class": self.cache_bytes(end, by="class"),
                "end_reserved": self.reserved_bytes(end),
            },
            **self._memories(),
            "notes": list(self.notes),
        }

    def _memories(self) -> dict[str, Any]:
        """The memory of each call, as documents have it."""
        if not self.has_memory:
            return {}
        steps = {"first_step": self.decode(), "last_step": self.decode(self.last)} if self.new > 1 else {}
        return {"memory": {name: info.memory.to_dict() for name, info in {"prefill": self.prefill, **steps}.items()}}

    def _floors(self) -> dict[str, Any]:
        """Seconds, as documents have them."""
        if self._roof is None:
            return {}
        steps = {"first_step": self.decode().floor, "last_step": self.decode(self.last).floor} if self.new > 1 else {}
        parts = {"prefill": self.prefill.floor, **steps, "steps": self.floor_of_steps, "total": self.floor}
        return {"device": self._roof.device.name, "floor": parts}

    def plot(self, figure: Literal["cost", "cache"] = "cost") -> Plot:
        """The cost of a step, or the bytes of the cache, against position: a figure of matplotlib.

        Args:
            figure: ``"cost"`` or ``"cache"``.

        Raises:
            InputError: there are no steps.
            UnknownNameError: there is no such figure.
            MissingExtraError: matplotlib is not installed.
        """
        if figure not in ("cost", "cache"):
            raise UnknownNameError("figure", figure, ("cost", "cache"))
        if not self.parts:
            raise InputError("one token takes no step: there is nothing to draw")
        curve = self.curve(figure)
        title = f"{type(self._calls.caller.model).__name__}, batch {self.batch}"
        runs = [(place, value, True) for place, value in curve.held_out]
        return curves({"": (curve.points, runs)}, title=title, variable=curve.variable, unit=curve.title)

    def curve(self, figure: Literal["cost", "cache"]) -> Curve:
        """The cost of a step against the positions before it, or the bytes of the cache against its own."""
        index, more = (0, 0) if figure == "cost" else (2, 1)
        line, runs = [], []
        for part in self.parts:
            places = sorted({*range(part.first, part.last, max(1, (part.last - part.first) // 50)), part.last})
            line += [(place + more, int(part.at(place)[index])) for place in places]
            runs += [(place + more, int(part.at(place)[index])) for place in part.held_out]
        unit = f"{self._unit}s" if figure == "cost" else "bytes"
        title = f"{unit} of a step" if figure == "cost" else "Bytes of the cache"
        return Curve(title=title, variable="positions", points=line, held_out=runs, unit=unit)


def profile_generation(
    model: torch.nn.Module,
    prompt: int = 2048,
    new: int = 256,
    batch: int = 1,
    *,
    cache: str = "dynamic",
    kv_dtype: str | torch.dtype | None = None,
    prefill: Callable[..., Any] | None = None,
    step: Callable[..., Any] | None = None,
    convention: str | Convention = "macs",
    custom_ops: Mapping[Any, Callable[..., Any]] | None = None,
    memory: bool = False,
    strict: bool = False,
    verbose: bool = True,
) -> Generation:
    """Tell what it costs to generate tokens: the prompt, each step, the whole, and the bytes of the cache.

    The model is called as it is when it generates, on tensors that have shapes but no values: one of transformers by
    its own ``generate``, which makes its cache; another one that takes again what it returns, by its forward; any other
    by functions. Few steps are run. Their costs are polynomials in the number of positions before them, in parts that
    end where a window or a chunk does, each checked at steps that it was not fitted to; so the sum is exact.

    For example::

        report = thoplw.profile_generation(model, prompt=4096, new=1024, batch=8)
        report.total_macs, report.cache_bytes(5119)

    Args:
        model: any module; of transformers one with a head, as generates. Its weights may be on the meta device.
        prompt: positions of the prompt.
        new: tokens to generate: one by the prefill, and one by each of ``new - 1`` steps.
        batch: sequences at once, all of one length.
        cache: ``dynamic``, ``static``, ``fp8``, ``hqq`` or ``quanto``, as ``generate`` of transformers has them.
        kv_dtype: the type that keys and values are taken to be kept in for :meth:`Generation.cache_bytes`, as an engine
            may: ``"fp8"``, ``"bf16"`` or a dtype. Costs stay as they are.
        prefill: ``f(model, ids) -> state``, where ``ids`` are ``[batch, prompt]``; whatever it returns is the cache.
        step: ``f(model, ids, state) -> state``, where ``ids`` are ``[batch, 1]``.
        convention: how to count, as in :func:`thoplw.profile`.
        custom_ops: the user's own prices, as in :func:`thoplw.profile`.
        memory: also tell how much memory the prefill and each step takes, with the cache that is there before it, in
            ``report.prefill.memory`` and ``report.decode(at).memory``, of which ``report.memory`` is the larger; it
            takes a second run of each.
        strict: raise when an operator was not counted.
        verbose: say on stderr what the figures leave out, and what makes them large.

    Raises:
        InputError: the model is not a module, an argument cannot be used, or the model hands nothing from call to call.
        UnknownNameError: the convention, the cache or the type is unknown.
        DataDependentError: the control flow of the model depends on a value.
        UncountedError: ``strict``, and an operator has no price.
        Exception: what the model raises comes through unchanged.
    """
    for name, size in (("prompt", prompt), ("new", new), ("batch", batch)):
        if type(size) is not int or size < 1:
            raise InputError(f"{name}={size!r}: give a whole number, 1 or more")
    if (prefill is None) != (step is None):
        raise InputError("prefill= and step= go together: a function for the prompt, and one for each position after")
    for name, function in (("prefill", prefill), ("step", step)):
        if function is not None and not callable(function):
            raise InputError(f"{name}={function!r}: give a function that calls the model")
    model = module_of(model)
    found = find(convention)
    calls = Calls(_caller(model, batch, prompt + new, cache, prefill, step), found, custom_ops, prompt)
    report = Generation(calls, new, found, cache, _type(kv_dtype), {} if memory else None)
    try:
        report.total_macs  # noqa: B018 # what cannot be counted is said now
    except DataDependentError as error:
        raise DataDependentError(str(error).replace(*_INSTEAD)) from error
    except Exception as error:
        takes, most = prompt + new - 1, positions_of(model)
        if most is None or takes <= most:
            raise
        raise InputError(
            f"{type(model).__name__} has {most} positions, as its config says, and a prompt of {prompt} with {new} new "
            f"tokens takes {takes}: ask for fewer. It failed with: {message_of(error)}"
        ) from error
    for info in (report.prefill, *((report.decode(),) if new > 1 else ())):
        say_lacking(info, strict=strict, verbose=False)
    if verbose:
        sys.stderr.write("".join(f"thoplw: {note}\n" for note in report.notes))
    return report


#: A generation has no execute=True.
_INSTEAD = "execute=True counts it on real tensors", "thoplw.count() around a real generation counts it"


def _caller(
    model: torch.nn.Module,
    batch: int,
    longest: int,
    cache: str,
    prefill: Callable[..., Any] | None,
    step: Callable[..., Any] | None,
) -> Caller:
    if prefill is None or step is None:
        return by_itself(model, batch, longest, cache)
    if cache != "dynamic":
        raise InputError(f"cache={cache!r}: prefill= and step= make the cache themselves")
    return ByFunctions(model, batch, longest, prefill, step)


def _type(dtype: str | torch.dtype | None) -> str | None:
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.")
    name = SHORT_NAMES.get(name, name)
    if name not in ITEM_SIZES:
        raise UnknownNameError("type for a cache", name, (*SHORT_NAMES, *ITEM_SIZES))
    return name
