"""What an operator costs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral

from thoplw.errors import CustomOpError


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


def as_work(price: object, what: str, unit: str = "MAC") -> Work:
    """Turn what a price function returned into work: ``as_work(5, "f")`` is ``Work(macs=5, flops=10)``.

    Args:
        price: what it returned: work, or a whole number.
        what: names the function in the message.
        unit: of a whole number: ``"MAC"``, which is two FLOPs, or ``"FLOP"``, which is no MAC.

    Raises:
        CustomOpError: it returned something else, or less than zero.
    """
    if isinstance(price, Work):
        if price.macs < 0 or price.flops < 0:
            raise CustomOpError(f"{what} returned {price!r}; a cost is zero or more")
        return price
    if (isinstance(price, float) and price.is_integer()) or (isinstance(price, Fraction) and price.denominator == 1):
        price = int(price)
    if isinstance(price, bool) or not isinstance(price, Integral):
        raise CustomOpError(f"{what} returned {price!r}; return a whole number of {unit}s, or thoplw.Work")
    if price < 0:
        raise CustomOpError(f"{what} returned {price!r}; a cost is zero or more")
    if unit == "FLOP":
        return Work(flops=int(price))
    return Work(macs=int(price), flops=2 * int(price))
