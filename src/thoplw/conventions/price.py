"""Put a price on a trace: the topmost call that has a row is priced, and covers everything under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from thoplw.capture import expand
from thoplw.conventions.convention import Convention, Row
from thoplw.records import Call, Trace
from thoplw.work import Work

_ABSENT = object()


class Leaf(NamedTuple):
    """A priced call, or one that has no price (``work`` is ``None``)."""

    call: Call
    work: Work | None


class Entry(NamedTuple):
    """A leaf where it ran: the index of its scope."""

    leaf: Leaf
    scope: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A trace with prices.

    Attributes:
        own: for each scope, what its own operators cost, without those of the scopes it opened.
        entries: every leaf in order.
        covered: scopes that were priced as a whole (themselves, not those inside), from ``custom_ops``.
    """

    own: tuple[Work, ...]
    entries: tuple[Entry, ...]
    covered: frozenset[int]


def price(
    trace: Trace,
    convention: Convention,
    *,
    rows: Mapping[str, Row] | None = None,
    scopes: Mapping[int, Work] | None = None,
) -> Priced:
    """Price every operator of a trace.

    Args:
        trace: what ran.
        convention: the table of prices.
        rows: rows that go before the convention's.
        scopes: prices of whole calls of modules, by index of their scope: they cover all that ran inside.
    """
    table = {**convention.rows, **rows} if rows else convention.rows
    scopes = scopes or {}
    inside = _covered(trace, scopes)
    own = [scopes.get(index, Work()) if index not in inside else Work() for index in range(len(trace.scopes))]
    priced: dict[int, tuple[Leaf, ...]] = {}
    totals: dict[tuple[int, int], int] = {}
    entries = []
    for call, scope in trace.steps:
        if scope in inside or scope in scopes:
            continue
        found = priced.get(id(call))
        if found is None:
            found = priced[id(call)] = leaves(call, table)
        for leaf in found:
            entries.append(Entry(leaf, scope))
        totals[id(call), scope] = totals.get((id(call), scope), 0) + 1
    for (call_id, scope), times in totals.items():
        for leaf in priced[call_id]:
            if leaf.work is not None:
                own[scope] += leaf.work * times
    return Priced(own=tuple(own), entries=tuple(entries), covered=frozenset(scopes.keys() - inside))


def leaves(call: Call, rows: Mapping[str, Row]) -> tuple[Leaf, ...]:
    """A call, if it has a row; else its parts, each treated alike; else the call without a price."""
    row = find_row(call, rows)
    if row is None:
        return (Leaf(call, Work()),)
    if row is not _ABSENT:
        return (Leaf(call, row(call)),)  # type: ignore[operator] # neither of the two values that are not functions
    parts = expand(call)
    if parts is None:
        return (Leaf(call, None),)
    return tuple(leaf for part in parts for leaf in leaves(part, rows))


def find_row(call: Call, rows: Mapping[str, Row]) -> object:
    """The row of a call: of its overload, of its operator, or of the operator that it is the in-place variant of."""
    for target in (call.name, call.target):
        if target in rows:
            return rows[target]
    if call.target.endswith("_") and not call.target.endswith("__"):
        return rows.get(call.target[:-1], _ABSENT)
    return _ABSENT


def _covered(trace: Trace, scopes: Mapping[int, Work]) -> frozenset[int]:
    """The scopes inside those that have a price of their own."""
    inside: set[int] = set()
    if scopes:
        for index, scope in enumerate(trace.scopes):
            if scope.parent in scopes or scope.parent in inside:
                inside.add(index)
    return frozenset(inside)
