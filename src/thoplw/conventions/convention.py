"""What a counting convention is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from thoplw.records import Call
from thoplw.work import Work

#: What an operator costs: a function, or ``None`` for one that is known and free.
Row = Callable[[Call], Work] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """A way to count: one table.

    Attributes:
        name: as ``profile(convention=...)`` takes it.
        unit: whether its figures are multiply-accumulates or floating-point operations.
        rows: operator (``aten.linear``, or with its overload ``aten.linear.default``) -> what it costs. An operator
            without a row is taken apart; a kernel without one has no price. The in-place variant of an operator goes by
            the row of the operator.
        buffers: names of buffers that count as parameters.
    """

    name: str
    unit: Literal["MAC", "FLOP"] = "MAC"
    rows: Mapping[str, Row]
    buffers: frozenset[str] = frozenset()

    def measure(self, work: Work) -> int:
        """The figure that this convention reports of some work."""
        return work.macs if self.unit == "MAC" else work.flops
