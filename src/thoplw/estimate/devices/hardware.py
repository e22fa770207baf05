"""What a device reaches at most: arithmetic by dtype and unit, bandwidth, and the sizes of its memories."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from thoplw.errors import InputError, UnknownNameError
from thoplw.render.units import clever_format

#: The names that peaks go by. ``tf32`` is float32 that a matrix unit rounds first; ``float8`` and ``float4`` stand for
#: all formats of their size.
DTYPES = ("float64", "float32", "tf32", "float16", "bfloat16", "float8", "float4", "int8", "int4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a figure was read.

    Attributes:
        title: of the page or paper.
        url: its address.
        read: the date on which it was read, as ``2026-11-27``.
        by: ``vendor``, for what the maker of the device says, ``secondary``, or ``measured``.
        via: where it was read, if not at the address itself.
    """

    title: str
    url: str
    read: str
    by: str
    via: str = ""


def _is_number(figure: object) -> bool:
    """Whether a figure is a finite number; ``True`` is none."""
    return isinstance(figure, (int, float)) and not isinstance(figure, bool) and math.isfinite(figure)


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a device reaches at most.

    ``Device(name="mine", vector={"float32": 2e12}, bandwidth=100e9)`` is one of your own.

    Attributes:
        name: as ``device("h100-sxm")`` takes it.
        title: its name in full.
        matrix: dtype -> the most that its matrix units do, in FLOP/s (of integers: operations per second), never with
            sparsity. Empty if it has none.
        vector: dtype -> the most that its other arithmetic units do, in FLOP/s.
        bandwidth: of its memory, in bytes per second.
        memory: its size, in bytes; 0 if it is not known.
        cache: size of all last-level caches on it together, in bytes: what a run can find there that the run before
            has left. 0 if it is not known.
        link: to other devices of its kind, both directions together as vendors state it, in bytes per second; 0 if it
            is not known.
        sources: figure (``matrix``, ``vector``, ``bandwidth``, ``memory``, ``cache`` or ``link``) -> where it was read.
        note: what else a reader of the figures should know.

    Raises:
        UnknownNameError: a peak is of a dtype that is not in :data:`DTYPES`.
        InputError: a figure is not a positive number, or there is no peak.
    """

    name: str
    title: str = ""
    matrix: Mapping[str, float] = field(default_factory=dict)
    vector: Mapping[str, float] = field(default_factory=dict)
    bandwidth: float
    memory: int = 0
    cache: int = 0
    link: float = 0
    sources: Mapping[str, tuple[Source, ...]] = field(default_factory=dict, repr=False)
    note: str = ""

    def __post_init__(self) -> None:
        figures: list[tuple[str, float]] = [("bandwidth", self.bandwidth)]
        for unit in ("matrix", "vector"):
            peaks = getattr(self, unit)
            if not isinstance(peaks, Mapping):
                raise InputError(
                    f"device {self.name!r} has {peaks!r} as its {unit} peaks: give a dictionary, such as "
                    "{'float32': 2e12}, in FLOP/s"
                )
            for dtype, peak in peaks.items():
                if dtype not in DTYPES:
                    raise UnknownNameError(f"dtype of a {unit} peak of {self.name}", dtype, DTYPES)
                figures.append((f"{unit} peak of {dtype}", peak))
            object.__setattr__(self, unit, dict(peaks))
        if len(figures) == 1:
            raise InputError(
                f"device {self.name!r} has no peak: give it one, such as vector={{'float32': 2e12}}, in FLOP/s"
            )
        for what, figure in figures:
            if not (_is_number(figure) and figure > 0):
                raise InputError(f"device {self.name!r} has {figure!r} as its {what}: give a positive number")
        for what in ("memory", "cache", "link"):
            figure = getattr(self, what)
            if not (_is_number(figure) and figure >= 0):
                raise InputError(
                    f"device {self.name!r} has {figure!r} as its {what}: give a positive number, or 0 if it is not "
                    "known"
                )
        object.__setattr__(self, "sources", dict(self.sources))

    @classmethod
    def measure(
        cls, on: str = "cpu", *, name: str = "", clock: Literal["wall", "process"] = "wall", verbose: bool = True
    ) -> Device:
        """Measure the machine that this runs on: products of matrices, convolutions, and passes over its memory.

        That takes some seconds, and is the fastest that torch was seen to do, where data sheets have what nothing
        reaches. So run it while nothing else does.

        Args:
            on: ``cpu``, ``cuda`` or ``cuda:1``.
            name: of the device that is returned; ``this-cpu`` unless told otherwise.
            clock: of the CPU, as in :func:`thoplw.measure`: with ``"process"`` and one thread of torch other programs
                disturb less.
            verbose: say on stderr what was measured.

        Raises:
            InputError: there is no such device here, or it has no such clock.
            UnknownNameError: there is no such clock.
        """
        # The only place in estimate/ that runs anything.
        from thoplw.capture.timing.machine import measured

        machine = measured(on, clock)
        vector = {dtype: rate for dtype, rate in machine.products.items() if dtype in ("float64", "float32")}
        # What is faster than float32 has a unit of its own, and what is slower runs no faster than float32 does.
        matrix = {
            dtype: rate
            for dtype, rate in machine.products.items()
            if dtype not in vector and rate > vector.get("float32", 0)
        }
        day = date.today().isoformat()
        note = f"measured on {day}: {machine.how}"
        if verbose:
            peaks = ", ".join(f"{clever_format(rate)}FLOP/s in {dtype}" for dtype, rate in machine.products.items())
            sys.stderr.write(
                f"thoplw: measured {machine.title}: {peaks}, {clever_format(machine.bandwidth)}B/s ({machine.how})\n"
            )
        source = (Source(title=f"measured on {machine.title}", url="", read=day, by="measured", via=machine.how),)
        return cls(
            name=name or f"this-{on.replace(':', '-')}",
            title=machine.title,
            matrix=matrix,
            vector=vector,
            bandwidth=machine.bandwidth,
            memory=machine.memory,
            cache=machine.cache,
            sources=dict.fromkeys(("matrix", "vector", "bandwidth", "memory", "cache"), source),
            note=note,
        )
