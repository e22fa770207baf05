"""What part of a device's peak a run reached: model FLOPs utilisation (MFU)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thoplw.render.units import quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Utilisation:
    """What part of a device's peak a run reached, with what was divided by what.

    ``float(it)`` is the part, ``print(it)`` says all.

    Attributes:
        flops: operations that the model takes: the numerator, with ``seconds``.
        seconds: how long the run took.
        peak: of the device, in FLOP/s: the denominator.
        numerator: the convention that counted.
        denominator: which peak of which device.
    """

    flops: int
    seconds: float
    peak: float
    numerator: str
    denominator: str

    def __float__(self) -> float:
        return self.flops / self.seconds / self.peak

    def __str__(self) -> str:
        """``38.2 % MFU: 159 TFLOPs (macs: 2 for each MAC) in 0.42 s, of 989.4 TFLOP/s (bfloat16, matrix, of ...)``."""
        above = ". No run is above 100 %: time, device or type are of another one" if float(self) > 1 else ""
        return (
            f"{100 * float(self):.1f} % MFU: {quantity(self.flops, 'FLOPs', '%.4g')} ({self.numerator}) in "
            f"{self.seconds:g} s, of {quantity(self.peak, 'FLOP/s', '%.4g')} ({self.denominator}){above}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "mfu": float(self),
            "flops": self.flops,
            "seconds": self.seconds,
            "peak": self.peak,
            "numerator": self.numerator,
            "denominator": self.denominator,
        }
