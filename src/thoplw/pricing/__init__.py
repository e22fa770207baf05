"""Counting conventions: each one table, in a file of its own."""

from __future__ import annotations

from types import MappingProxyType

from thoplw.errors import UnknownNameError
from thoplw.pricing import flops, macs, thoplw
from thoplw.pricing.convention import Convention, Row
from thoplw.pricing.parameters import executed
from thoplw.pricing.price import Leaf, Priced, leaves, price

__all__ = ["CONVENTIONS", "Convention", "Leaf", "Priced", "Row", "find", "leaves", "price"]

#: What a convention is based on that is based on no other.
_PLAIN = Convention("", {}, unit="MAC", parameters=executed)

#: Name -> convention.
CONVENTIONS = MappingProxyType(
    {each.name: each.on(_PLAIN) for each in (thoplw.CONVENTION, macs.CONVENTION, flops.CONVENTION)}
)


def find(convention: str | Convention) -> Convention:
    """The convention of this name, or this one; completed from the one that it is based on.

    Raises:
        UnknownNameError: there is none; the message names those near.
    """
    if isinstance(convention, Convention):
        return convention.on(_PLAIN if convention.based_on is None else find(convention.based_on))
    try:
        return CONVENTIONS[convention]
    except (KeyError, TypeError):
        raise UnknownNameError("convention", convention, CONVENTIONS) from None
