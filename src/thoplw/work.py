"""What an operator costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """An amount of arithmetic, in exact integers.

    Attributes:
        macs: multiply-accumulates of contractions (convolutions, matrix products, attention, ...).
        flops: all floating-point operations: two for each multiply-accumulate, one for every other addition,
            multiplication, comparison or transcendental function.
    """

    macs: int = 0
    flops: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(macs=self.macs + other.macs, flops=self.flops + other.flops)

    def __mul__(self, times: int) -> Work:
        return Work(macs=self.macs * times, flops=self.flops * times)

    __rmul__ = __mul__


ZERO = Work()
