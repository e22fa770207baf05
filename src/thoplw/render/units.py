"""Large numbers for people: ``1824010216`` as ``1.82 G``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import overload

#: One per factor of 1000; below 1000 there is none.
UNITS = (" ", "K", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q")


@overload
def clever_format(values: float, fmt: str = ...) -> str: ...
@overload
def clever_format(values: Iterable[float], fmt: str = ...) -> list[str]: ...
def clever_format(values: float | Iterable[float], fmt: str = "%.2f") -> str | list[str]:
    """Write a number, or each number of a list, with a unit.

    Args:
        values: one number, or an iterable of numbers.
        fmt: a printf-style format for the number before the unit. A whole number below 1000 has no decimals.

    Returns:
        A string for a number, a list of strings for an iterable.

    >>> clever_format([1824010216, 11699112], "%.3f")
    ['1.824 G', '11.699 M']
    """
    if isinstance(values, Iterable):
        return [_with_unit(value, fmt) for value in values]
    return _with_unit(values, fmt)


def aligned(value: float, fmt: str = "%.2f") -> str:
    """The same with blanks around it, so that points and units stand below each other: ``  1.82 G``, ``256     ``."""
    number, _, unit = clever_format(value, fmt).partition(" ")
    whole, point, decimals = number.partition(".")
    return f"{whole:>3}{point}{decimals:<{2 if point else 3}} {unit:1}"


def quantity(value: float, unit: str, fmt: str = "%.2f") -> str:
    """``1.82 GMACs``, ``650 MACs``: the prefix goes with the unit."""
    number, _, prefix = clever_format(value, fmt).partition(" ")
    return f"{number} {prefix}{unit}"


def share(value: int, total: int) -> str:
    """A number as a part of a total: ``12.34 %``."""
    return f"{100 * value / total if total else 0:.2f} %"


def _with_unit(value: float, fmt: str) -> str:
    if abs(value) < 1000 and value == int(value):
        return re.sub(r"(\.\d+)?[a-zA-Z]$", "d", fmt) % value
    exponent = 0
    # What is compared is the number as it will be written: 999 999 is 1.00 M, never 1000.00 K.
    while exponent < len(UNITS) - 1 and abs(float(fmt % (value / 1000**exponent))) >= 1000:
        exponent += 1
    return f"{fmt % (value / 1000**exponent)} {UNITS[exponent]}".rstrip()
