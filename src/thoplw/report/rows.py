"""The row of one module, and the gaps in the figures of a model: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from thoplw.errors import InputError, UnknownNameError
from thoplw.estimate.roofline import PICO
from thoplw.report.figures import FIGURES, Value, number

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The cost of one module by itself, without its children, summed over its calls.

    ``row["macs"]`` is any figure by name; those that are always there are attributes as well. What is late, such as
    ``moved``, is worked out when it is asked for.

    Attributes:
        name: path of the module, as in ``model.get_submodule(name)``; empty for the model itself.
        cls: name of its class.
        depth: how many modules hold it: 0 for the model itself.
        input_shapes: of the tensors it was given, in its first call.
        output_shapes: of the tensors it returned, in its first call.
        other_shapes: of its other calls, the shapes given and returned, where they differ from those before.
        figures: name -> figure, see :data:`thoplw.report.figures.FIGURES`.
        operators: operator -> its part of ``macs``; a module with a module price goes by its class.
    """

    name: str
    cls: str
    depth: int
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()
    other_shapes: tuple[tuple[tuple[Shape, ...], tuple[Shape, ...]], ...] = ()
    figures: Mapping[str, Value]
    operators: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, figure: str) -> Value:
        if figure not in FIGURES:
            raise UnknownNameError("figure", figure, FIGURES)
        return FIGURES[figure].value(self)

    @property
    def macs(self) -> int:
        """The cost in the unit of the convention."""
        return number(self.figures["macs"])

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return number(self.figures["flops"])

    @property
    def params(self) -> int:
        """Parameters; one that several modules share is in the row of the first."""
        return number(self.figures["params"])

    @property
    def trainable(self) -> int:
        """Parameters that require a gradient."""
        return number(self.figures["trainable"])

    @property
    def bytes(self) -> Mapping[str, int]:
        """Dtype -> the bytes of the parameters."""
        size = self.figures["bytes"]
        assert isinstance(size, Mapping)  # it has parts
        return size

    @property
    def moved(self) -> int:
        """Bytes that its operators read and write as they ran."""
        return number(self.figures["moved"])

    @property
    def compulsory(self) -> int:
        """Bytes that any way to run it moves, with all modules inside."""
        return number(self.figures["compulsory"])

    @property
    def intensity(self) -> float:
        """FLOPs for each byte moved."""
        return FIGURES["intensity"].ratio(self)

    @property
    def floor(self) -> float:
        """How long it takes at least on the device of the report, with all modules inside, in seconds.

        Raises:
            InputError: the report is of no device, see :meth:`LayerInfo.on`.
        """
        return self._seconds("floor")

    @property
    def eager(self) -> float:
        """How long its operators take there one after the other, by an estimate, in seconds.

        Raises:
            InputError: the report is of no device.
        """
        return self._seconds("eager")

    def floor_by_phase(self) -> dict[str, float]:
        """Phase of a training step -> how long it takes there at least, with all modules inside, in seconds.

        Raises:
            InputError: the report is of no device.
        """
        self._seconds("floor")
        return {phase: picoseconds / PICO for phase, picoseconds in FIGURES["phase_floors"].parts_of(self).items()}

    def _seconds(self, name: str) -> float:
        try:
            picoseconds = self.figures[name]
        except KeyError:
            raise InputError(f"{name} needs a device: layers.on('h100-sxm').{name}") from None
        return number(picoseconds) / PICO

    @property
    def bound(self) -> str:
        """What takes longest there: ``matrix``, ``vector`` or ``memory``; empty if it does nothing."""
        units = FIGURES["units"].parts_of(self)
        return max(units, key=lambda unit: units[unit]) if any(units.values()) else ""

    @property
    def phases(self) -> Mapping[str, int]:
        """Phase of a training step -> its part of ``macs``; empty in a report on a forward alone."""
        return FIGURES["phases"].parts_of(self)

    @property
    def calls(self) -> int:
        """How many times it was called; 0 for a module that only holds others, such as an ``nn.ModuleList``."""
        return number(self.figures["calls"])


@dataclass(slots=True, kw_only=True)
class Uncounted:
    """Where an operator without a price ran.

    Attributes:
        calls: how many times.
        modules: paths of the modules that ran it.
        shapes: the distinct shapes of its tensor arguments.
    """

    calls: int = 0
    modules: list[str] = field(default_factory=list)
    shapes: list[tuple[Shape, ...]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Assumed:
    """Where something was assumed about unknown values.

    Attributes:
        operators: names of the operators that decided on values.
        calls: how many times.
        modules: paths of the modules that ran them.
    """

    operators: list[str] = field(default_factory=list)
    calls: int = 0
    modules: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What the figures of a profile leave out or assume.

    Attributes:
        uncounted: operator -> where it ran, for operators that have no price: the totals lack them.
        unseen: operator -> where it ran, for operators that multiply and accumulate, but the mirrored tool ignores.
        assumptions: statement -> where it was assumed: with any, the figures are an estimate.
        of_bytes: statement -> where it was assumed, for what only bytes and active parameters rest on.
        not_executed: path -> parameters, for submodules that never ran: the totals lack these parameters.
        unused: keys of ``custom_ops`` for which nothing ran.
        unread: keyword inputs that the forward does not name, and that no operator read.
    """

    uncounted: dict[str, Uncounted] = field(default_factory=dict)
    unseen: dict[str, Uncounted] = field(default_factory=dict)
    assumptions: dict[str, Assumed] = field(default_factory=dict)
    of_bytes: dict[str, Assumed] = field(default_factory=dict)
    not_executed: dict[str, int] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
