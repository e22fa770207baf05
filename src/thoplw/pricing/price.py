"""Put a price on a trace: the topmost call that has a price covers everything under it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from thoplw.formulas import FORMULAS
from thoplw.pricing.convention import Convention, Price
from thoplw.record import ZERO, Call, Expand, ModuleCall, Trace, Work, as_work

_ABSENT = object()


class Leaf(NamedTuple):
    """A priced call, or one that has no price (``work`` is ``None``)."""

    call: Call
    work: Work | None


#: A leaf where it ran: the index of the scope, how many times it ran there, and the operator that the model called: the
#: leaf's own call, or the composite that it is a part of.
Entry = tuple[Leaf, int, int, Call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A trace with prices.

    Attributes:
        trace: what ran.
        convention: what prices it.
        own: for each scope, what its own operators cost, without those of the scopes it opened.
        entries: every leaf, by scope, in order of its first run.
        whole: scopes that were priced as a whole.
        covered: scopes inside those that were priced as a whole: their own work is none.
        unseen: calls that multiply and accumulate, but are free in a convention that mirrors a tool.
    """

    trace: Trace
    convention: Convention
    own: tuple[Work, ...]
    entries: tuple[Entry, ...]
    whole: frozenset[int]
    covered: frozenset[int]
    unseen: frozenset[Call]


def price(
    trace: Trace,
    convention: Convention,
    *,
    prices: Mapping[str, Price] | None = None,
    scopes: Mapping[int, Work] | None = None,
    expand: Expand | None = None,
) -> Priced:
    """Price every operator of a trace.

    Args:
        trace: what ran.
        convention: the table of prices.
        prices: prices of operators that go before the convention's.
        scopes: prices of whole calls of modules, by index of their scope: they cover all that ran inside, and go
            before the convention's prices of modules.
        expand: takes a composite operator apart that has no price, as :func:`thoplw.capture.expand` does. A record
            that is complete can do without: it has the parts.

    Raises:
        InputError: a record that is not complete is given without ``expand``.
    """
    expand = trace.expander(expand)
    table = {**convention.operators, **prices} if prices else convention.operators
    whole, covered = _whole(trace, convention, scopes or {})
    elsewhere = covered.union(whole)
    own = [whole.get(index, ZERO) if index not in covered else ZERO for index in range(len(trace.scopes))]
    known: dict[Call, tuple[Leaf, ...]] = {}
    entries: list[Entry] = []
    for (call, scope), times in Counter(trace.steps).items():
        if scope in elsewhere:
            continue
        if call not in known:
            known[call] = leaves(call, table, expand)
        for leaf in known[call]:
            entries.append((leaf, scope, times, call))
            if leaf.work is not None and leaf.work is not ZERO:
                work = leaf.work if times == 1 else leaf.work * times
                own[scope] = work if own[scope] is ZERO else own[scope] + work
    free = {leaf.call for found in known.values() for leaf in found if leaf.work == ZERO} if convention.mirrors else ()
    return Priced(
        trace=trace,
        convention=convention,
        own=tuple(own),
        entries=tuple(entries),
        whole=frozenset(whole.keys() - covered),
        covered=covered,
        unseen=frozenset(call for call in free if _multiplies(call, expand)),
    )


def _multiplies(call: Call, expand: Expand) -> bool:
    """Whether an operator multiplies and accumulates, as far as thoplw knows."""
    return any(leaf.work is not None and leaf.work.macs for leaf in leaves(call, FORMULAS, expand))


def _whole(
    trace: Trace, convention: Convention, scopes: Mapping[int, Work]
) -> tuple[Mapping[int, Work], frozenset[int]]:
    """The calls of modules that have a price of their own, and the calls inside of these."""
    if not scopes and not convention.modules:
        return scopes, frozenset()
    whole = dict(scopes)
    covered: set[int] = set()
    calls: dict[int, list[Call]] = defaultdict(list)
    for call, at in trace.steps:
        calls[at].append(call)
    parents = {info.parent for info in trace.modules}
    prices = {classes: convention.price_of(classes) for classes in {info.classes for info in trace.modules}}
    for index, scope in enumerate(trace.scopes):
        info = trace.modules[scope.module]
        found = prices[info.classes]
        if scope.parent in covered or scope.parent in whole:
            covered.add(index)
        elif found is not None and index not in whole:
            seen = ModuleCall(
                info=info,
                leaf=scope.module not in parents,
                inputs=scope.inputs,
                outputs=scope.outputs,
                calls=tuple(calls[index]),
            )
            work = found(seen)
            if work is not None:
                whole[index] = as_work(work, f"the price of {info.class_name}")
    return whole, frozenset(covered)


def leaves(call: Call, prices: Mapping[str, Price], expand: Expand) -> tuple[Leaf, ...]:
    """A call, if it has a price; else its parts, each treated alike; else the call without a price."""
    found = find_price(call, prices)
    if found is None:
        return (Leaf(call, ZERO),)
    if found is not _ABSENT:
        work = found(call)  # type: ignore[operator] # it is a function
        return (Leaf(call, work if isinstance(work, Work) else as_work(work, f"the price of {call.name}")),)
    parts = expand(call)
    if parts is None:
        return (Leaf(call, None),)
    return tuple(leaf for part in parts for leaf in leaves(part, prices, expand))


def find_price(call: Call, prices: Mapping[str, Price]) -> object:
    """The price of a call: of its overload, of its operator, or of the operator that it is the in-place variant of."""
    for target in (call.name, call.target):
        if target in prices:
            return prices[target]
    if call.target.endswith("_") and not call.target.endswith("__"):
        return prices.get(call.target[:-1], _ABSENT)
    return _ABSENT
