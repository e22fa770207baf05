"""What a device reaches at most: arithmetic by dtype and unit, bandwidth, and the sizes of its memories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from thoplw.errors import InputError, UnknownNameError

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
        by: ``vendor``, for what the maker of the device says, or ``secondary``.
        via: where it was read, if not at the address itself.
    """

    title: str
    url: str
    read: str
    by: str
    via: str = ""


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
            if not (figure > 0 and math.isfinite(figure)):
                raise InputError(f"device {self.name!r} has {figure!r} as its {what}: give a positive number")
        for what in ("memory", "cache", "link"):
            if not (getattr(self, what) >= 0 and math.isfinite(getattr(self, what))):
                raise InputError(
                    f"device {self.name!r} has {getattr(self, what)!r} as its {what}: give a positive number, or 0 if "
                    "it is not known"
                )
        object.__setattr__(self, "sources", dict(self.sources))
