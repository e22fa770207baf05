"""Tell how long a model takes on a device at least: floors of the time, and what bounds them.

A *floor* is a true lower bound: the largest of three times, each at full speed and none in the way of another.
Contractions take their operations at the peak of the matrix unit, everything else takes its own at that of the vector
unit, and the memory takes the compulsory bytes. What the last cache holds when the run begins need not be read, and
what it holds when the run ends need not be written: of each, as much as it has room for is left out.

A training step has a floor that holds in whatever order it is computed, and one for each phase. As a phase begins when
the one before has ended, a step takes no less than those of forward, backward and update together; recomputation runs
within the backward pass.

*Eager* is an estimate: every operator by itself, at the larger of its arithmetic and the bytes that it moves. It is no
bound: what an operator writes may be in the cache when the next one reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from thoplw.errors import UnknownNameError
from thoplw.estimate.devices import Device
from thoplw.pricing import CONVENTIONS, leaves
from thoplw.record import Call, Phase, Step, TensorSpec, Trace, Traffic
from thoplw.record.spec import SHORT_NAMES
from thoplw.render.units import quantity
from thoplw.traffic import traffic
from thoplw.traffic.usage import Usage

#: Picoseconds in a second: times are whole numbers of these.
PICO = 10**12

#: dtype in records -> the name that its peak goes by, where that is another.
_NAMES: Mapping[str, str] = {
    "complex32": "float16",
    "complex64": "float32",
    "complex128": "float64",
    "qint8": "int8",
    "quint8": "int8",
    "uint8": "int8",
    "float4_e2m1fn_x2": "float4",
}

#: dtype -> another that its contractions may be rounded to: torch does so in convolutions unless told otherwise.
_ROUNDED: Mapping[str, str] = {"float32": "tf32"}


#: dtype of whole numbers -> how many of them a vector unit may add where it adds one float32.
_AT_ONCE: Mapping[str, int] = {"bool": 4, "int8": 4, "uint8": 4, "qint8": 4, "quint8": 4, "int16": 2, "uint16": 2}


class Times(NamedTuple):
    """How long each unit of a device takes at least by itself, in picoseconds.

    Attributes:
        matrix: for contractions.
        vector: for all other arithmetic.
        memory: for compulsory bytes.
    """

    matrix: int = 0
    vector: int = 0
    memory: int = 0

    @property
    def bound(self) -> str:
        """The unit that takes longest: ``matrix``, ``vector`` or ``memory``; empty if there is nothing to do."""
        longest = max(self)
        return self._fields[self.index(longest)] if longest else ""


class Peak(NamedTuple):
    """The most that a unit does in one dtype, in FLOP/s. Peaks are ordered by this rate."""

    rate: float
    dtype: str
    unit: str

    def time(self, operations: int) -> int:
        """How long so many operations take, in picoseconds."""
        return _picoseconds(operations, self.rate)

    def exactly(self, operations: int) -> Fraction:
        """How long so many operations take, in picoseconds, not rounded."""
        return PICO * operations / Fraction(self.rate)

    def __str__(self) -> str:
        """``989 TFLOP/s (bfloat16, matrix)``."""
        return f"{quantity(self.rate, 'FLOP/s', '%.4g')} ({self.dtype}, {self.unit})"


def _picoseconds(amount: int, rate: float) -> int:
    """How long an amount takes at a rate, rounded down, so that a floor is never above the true time."""
    over, under = rate.as_integer_ratio()
    return amount * PICO * under // over


class Roof:
    """The peaks of a device that apply to the operators of a record."""

    def __init__(self, device: Device, dtype: object = None) -> None:
        """Choose peaks.

        Args:
            device: the device.
            dtype: the type that contractions run in, whatever the record says: ``"bfloat16"``, ``"bf16"`` or torch's.

        Raises:
            UnknownNameError: the device has no peak in this type.
        """
        self.device = device
        self.dtype = None
        if dtype is not None:
            name = str(dtype).removeprefix("torch.")
            self.dtype = _name(SHORT_NAMES.get(name, name))
            known = {peak.dtype for peak in self._peaks("matrix", "vector")}
            if self.dtype not in known:
                raise UnknownNameError(f"dtype of {device.name}", name, known)

    def matrix(self, recorded: str) -> Peak:
        """The fastest way to contract tensors of some dtype, on either unit.

        If the device has no peak for the dtype, this is the fastest of all its peaks, so that the floor stays true.
        """
        known = self._peaks("matrix", "vector")
        names = [self.dtype] if self.dtype is not None else [_name(recorded), _ROUNDED.get(recorded, "")]
        return max([peak for peak in known if peak.dtype in names] or known)

    def vector(self, recorded: str) -> Peak:
        """The fastest other arithmetic on tensors of some dtype. Kernels compute smaller floats in float32.

        Whole numbers are computed as they are: a unit that takes one float32 takes four integers of a byte.
        """
        known = self._peaks("vector")
        names = (_name(recorded), "float32")
        peak = max([peak for peak in known if peak.dtype in names] or known or self._peaks("matrix"))
        more = _AT_ONCE.get(recorded, 1) if peak.dtype == "float32" else 1
        return peak._replace(rate=peak.rate * more, dtype=recorded) if more > 1 else peak

    def _peaks(self, *units: str) -> list[Peak]:
        return [Peak(rate, dtype, unit) for unit in units for dtype, rate in getattr(self.device, unit).items()]

    def memory(self, size: int) -> int:
        """How long it takes to move so many bytes, in picoseconds."""
        return _picoseconds(size, self.device.bandwidth)

    def crossing(self, moved: Traffic) -> int:
        """The compulsory bytes that exceed the last cache, so that they must cross to or from the memory."""
        return max(0, moved.read - self.device.cache) + max(0, moved.written - self.device.cache)


class Roofline:
    """The times of the modules of a trace on a device; each is worked out when it is asked for."""

    def __init__(self, trace: Trace, usage: Usage, roof: Roof) -> None:
        self._trace = trace
        self._usage = usage
        self._roof = roof
        self._counted = Counter(trace.steps)

    @property
    def in_words(self) -> str:
        """The peaks that operators meet: ``NVIDIA H100 SXM5 80 GB: 989.4 TFLOP/s (bfloat16, matrix), ...``."""
        device = self._roof.device
        met = {
            self._peak(kind): None for kind, _ in (self._inside[0] if self._inside else Counter[_Kind]()).most_common()
        }
        cache = f", less {quantity(device.cache, 'B', '%.4g')} of cache" if device.cache else ""
        peaks = [*map(str, met), f"{quantity(device.bandwidth, 'B/s', '%.4g')}{cache}"]
        return f"{device.title or device.name}: {', '.join(peaks)}"

    @property
    def main(self) -> Peak | None:
        """The peak that applies to most operations of contractions; None if the model has none."""
        work = self._inside[0] if self._inside else Counter[_Kind]()
        found = [kind for kind, _ in work.most_common() if kind.unit == "matrix"]
        return self._peak(found[0]) if found else None

    @cached_property
    def times(self) -> tuple[Times, ...]:
        """For each module, with all modules inside, how long each unit takes."""
        memory = [self._roof.memory(moved.total) for moved in self._usage.compulsory]
        return tuple(
            Times(self._time("matrix", each), self._time("vector", each), size)
            for each, size in zip(self._inside, memory, strict=True)
        )

    @cached_property
    def floors(self) -> tuple[int, ...]:
        """For each module, with all modules inside, the time that no run goes below, in picoseconds."""
        return self._floors(self._inside, self._usage.compulsory)

    @property
    def bounds(self) -> tuple[Fraction, ...]:
        """Times of the whole model in picoseconds, not rounded; the largest of them is its floor.

        The first two are the times of the units. The others are times of the memory: the bytes read, the bytes written,
        and both, each less what the last cache may hold. If costs are polynomials of a size, these are polynomials too,
        while their maximum is not.
        """
        moved, device = self._usage.compulsory[0], self._roof.device
        read, written = moved.read - device.cache, moved.written - device.cache
        work = self._inside[0]
        units = (
            sum((self._peak(kind).exactly(flops) for kind, flops in work.items() if kind.unit == unit), Fraction(0))
            for unit in ("matrix", "vector")
        )
        memory = (PICO * size / Fraction(device.bandwidth) for size in (read, written, read + written))
        return (*units, *memory, Fraction(0))

    @cached_property
    def floors_of_phases(self) -> Mapping[Phase, tuple[int, ...]]:
        """Phase of a training step -> the floors of that phase by itself; empty if nothing is trained."""
        if not self._trace.trained:
            return {}
        steps: dict[int, Counter[Step]] = {phase: Counter() for phase in Phase}
        for step, phase in zip(self._trace.steps, self._trace.phases, strict=True):
            steps[phase][step] += 1
        return {phase: self._floors(self._summed(steps[phase]), self._usage.of_phase(phase)) for phase in Phase}

    def _floors(self, work: Iterable[Mapping[_Kind, int]], moved: Iterable[Traffic]) -> tuple[int, ...]:
        return tuple(
            max(self._time("matrix", each), self._time("vector", each), self._roof.memory(self._roof.crossing(bytes)))
            for each, bytes in zip(work, moved, strict=True)
        )

    @cached_property
    def eager(self) -> tuple[int, ...]:
        """For each scope, without the scopes inside, an estimate in picoseconds: the sum over its operators."""
        found = [0] * len(self._trace.scopes)
        for (call, scope), times in self._counted.items():
            work = self._arithmetic[call]
            arithmetic = self._time("matrix", work) + self._time("vector", work)
            found[scope] += max(arithmetic, self._roof.memory(traffic(call).total)) * times
        return tuple(found)

    def _time(self, unit: str, work: Mapping[_Kind, int]) -> int:
        return sum([self._peak(kind).time(flops) for kind, flops in work.items() if kind.unit == unit])

    def _peak(self, kind: _Kind) -> Peak:
        return (self._roof.matrix if kind.unit == "matrix" else self._roof.vector)(kind.dtype)

    @cached_property
    def _inside(self) -> list[Counter[_Kind]]:
        """The operations of each module, with all modules inside."""
        return self._summed(self._counted)

    def _summed(self, counted: Counter[Step]) -> list[Counter[_Kind]]:
        """The operations of some steps, added up for each module with all modules inside."""
        trace = self._trace
        own: list[Counter[_Kind]] = [Counter() for _ in trace.scopes]
        for (call, scope), times in counted.items():
            for kind, flops in self._arithmetic[call].items():
                own[scope][kind] += flops * times
        found: list[Counter[_Kind]] = [Counter() for _ in trace.modules]
        for scope, work in enumerate(own):
            around: dict[int, None] = {}  # a module that calls itself is in it once
            while work and scope >= 0:
                around[trace.scopes[scope].module] = None
                scope = trace.scopes[scope].parent
            for module in around:
                found[module].update(work)
        return found

    @cached_property
    def _arithmetic(self) -> Mapping[Call, Mapping[_Kind, int]]:
        return {call: _operations(call) for call in {call for call, _ in self._counted}}


class _Kind(NamedTuple):
    """The unit that does some operations, and the dtype of the data."""

    unit: str
    dtype: str


def _operations(call: Call) -> Mapping[_Kind, int]:
    """How many operations of each kind a call has: two for each multiply-accumulate of a contraction, and all others.

    Of causal attention only what the mask leaves is counted, because kernels may skip the rest. An operator without a
    formula counts as its parts; without parts, as nothing.
    """
    found: Counter[_Kind] = Counter()
    for part, work in leaves(call, CONVENTIONS["macs-causal"].operators, _parts):
        if work is not None:
            dtype = _dtype(part)
            # Dynamic quantisation rounds float32 inputs to the dtype of the weights before it multiplies.
            quantised = next((spec.dtype for spec in part.inputs if spec.dtype.startswith("q")), dtype)
            found[_Kind("matrix", quantised)] += 2 * work.macs
            found[_Kind("vector", dtype)] += work.flops - 2 * work.macs
    return +found


_parts = attrgetter("parts")


def _dtype(call: Call) -> str:
    """The dtype in which an operator computes. Integers of several bytes are taken for indices, if there are others."""
    specs = (*call.inputs, *call.outputs)
    first = next((spec.dtype for spec in specs if _computes(spec)), None)
    return first or next((spec.dtype for spec in specs), "float32")


def _computes(spec: TensorSpec) -> bool:
    return spec.dtype.startswith(("float", "bfloat", "complex", "q", "int8", "uint8"))


def _name(dtype: str) -> str:
    return _NAMES.get(dtype) or ("float8" if dtype.startswith("float8") else dtype)
