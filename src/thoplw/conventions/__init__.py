"""Counting conventions: each one table, in a file of its own."""

from __future__ import annotations

from types import MappingProxyType

from thoplw.conventions import macs, thoplw
from thoplw.conventions.convention import Convention, Row
from thoplw.conventions.price import Leaf, Priced, leaves, price
from thoplw.errors import UnknownNameError

__all__ = ["CONVENTIONS", "Convention", "Leaf", "Priced", "Row", "find", "leaves", "price"]

#: Name -> convention.
CONVENTIONS = MappingProxyType({each.name: each for each in (thoplw.CONVENTION, macs.CONVENTION)})


def find(convention: str | Convention) -> Convention:
    """The convention of this name.

    Raises:
        UnknownNameError: there is none; the message names those near.
    """
    if isinstance(convention, Convention):
        return convention
    try:
        return CONVENTIONS[convention]
    except (KeyError, TypeError):
        raise UnknownNameError("convention", convention, CONVENTIONS) from None
