"""Counting conventions: each is a table of prices in a file of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from thoplw.errors import UnknownNameError
from thoplw.pricing import causal, flops, macs, mfu, thoplw
from thoplw.pricing.convention import Convention, Price
from thoplw.pricing.mirrors import deepspeed, fvcore, ptflops, thop, torch, torchinfo
from thoplw.pricing.parameters import executed
from thoplw.pricing.price import Leaf, Priced, leaves, price
from thoplw.pricing.reconcile import Families, Term

__all__ = [
    "CONVENTIONS",
    "OF_TRAINING",
    "Convention",
    "Families",
    "Leaf",
    "Price",
    "Priced",
    "Term",
    "conventions",
    "find",
    "leaves",
    "price",
]

#: The base of every convention that names no other.
_PLAIN = Convention("", {}, unit="MAC", parameters=executed)


def _complete(tables: Iterable[Convention]) -> Mapping[str, Convention]:
    """Name -> convention, each completed from the one before it that it is based on."""
    found: dict[str, Convention] = {}
    for each in tables:
        base = _PLAIN if each.based_on is None else found[str(getattr(each.based_on, "name", each.based_on))]
        found[each.name] = each.on(base)
    return MappingProxyType(found)


#: Name -> convention.
CONVENTIONS: Mapping[str, Convention] = _complete(
    each.CONVENTION
    for each in (
        thoplw,
        macs,
        causal,
        flops,
        deepspeed,
        fvcore,
        ptflops,
        thop,
        torch,
        torchinfo,
    )
)


#: Name -> convention of training steps of language models, from papers and training codes.
OF_TRAINING: Mapping[str, Convention] = MappingProxyType(
    {name: each.on(_PLAIN) for name, each in mfu.CONVENTIONS.items()}
)

_KNOWN: Mapping[str, Convention] = MappingProxyType({**CONVENTIONS, **OF_TRAINING})


def conventions() -> tuple[Convention, ...]:
    """All built-in conventions, except those of training steps in :data:`OF_TRAINING`."""
    return tuple(CONVENTIONS.values())


def find(convention: str | Convention) -> Convention:
    """Look up a convention by name; complete the user's own from the one that it is based on.

    Raises:
        UnknownNameError: the name is unknown; the message suggests similar ones.
    """
    if isinstance(convention, Convention):
        if CONVENTIONS.get(convention.name) is convention:  # complete already
            return convention
        return convention.on(_PLAIN if convention.based_on is None else find(convention.based_on))
    try:
        return _KNOWN[convention]
    except (KeyError, TypeError):
        raise UnknownNameError("convention", convention, _KNOWN) from None
