"""Price a trace: the topmost call that has a price covers everything inside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from thoplw.formulas import FORMULAS
from thoplw.formulas.backward import repeated
from thoplw.pricing.convention import Convention, Price
from thoplw.record import ZERO, Call, Expand, ModuleCall, Phase, Step, Trace, Work, as_work

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
        later: the parts of these that are of a later phase than the forward, by scope and phase.
        entries: every leaf, by scope, in order of its first run.
        whole: scopes that were priced as a whole.
        covered: scopes inside those that were priced as a whole; their own work is zero.
        unseen: calls that multiply and accumulate, but are free in a convention that mirrors a tool.
        unused: keys of ``custom_ops`` for which nothing ran.
    """

    trace: Trace
    convention: Convention
    own: tuple[Work, ...]
    later: Mapping[tuple[int, Phase], Work]
    entries: tuple[Entry, ...]
    whole: frozenset[int]
    covered: frozenset[int]
    unseen: frozenset[Call]
    unused: tuple[str, ...] = ()


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
        prices: prices of operators that override the convention's, also inside composite operators and modules: with
            a price for ``aten.addmm``, ``aten.linear`` is taken apart, and a module that the convention prices as a
            whole is priced by its operators.
        scopes: prices of whole calls of modules, by index of their scope: they cover all that ran inside, and go
            before the convention's prices of modules.
        expand: takes a composite operator apart that has no price, as :func:`thoplw.capture.expand` does. A record
            that is complete can do without: it has the parts.

    Raises:
        InputError: a record that is not complete is given without ``expand``.
    """
    expand = trace.expander(expand)
    first = {**(convention.registry() if convention.registry else {}), **(prices or {})}
    table = {**convention.operators, **first} if first else convention.operators
    holds = Holds(first, expand) if first else None
    whole, covered = _whole(trace, convention, scopes or {}, holds)
    elsewhere = covered.union(whole)
    own = [whole.get(index, ZERO) if index not in covered else ZERO for index in range(len(trace.scopes))]
    known: dict[Call, tuple[Leaf, ...]] = {}
    entries: list[Entry] = []
    later: dict[tuple[int, Phase], Work] = {}
    for (call, scope), times, phase in _counted(trace):
        if scope in elsewhere:
            continue
        if call not in known:
            known[call] = leaves(call, table, expand, holds)
        for leaf in known[call]:
            entries.append((leaf, scope, times, call))
            if leaf.work is not None and leaf.work is not ZERO:
                work = leaf.work if times == 1 else leaf.work * times
                own[scope] = work if own[scope] is ZERO else own[scope] + work
                if phase:
                    for part, share in _split(leaf.call, work, phase):
                        later[scope, part] = later.get((scope, part), ZERO) + share
    for scope, call, work in convention.formula(trace) if convention.formula else ():
        entries.append((Leaf(call, work), scope, 1, call))
        own[scope] += work
        if trace.phases:  # of a step a third is forward
            rest = Work(macs=work.macs * 2 // 3, flops=work.flops * 2 // 3)
            later[scope, Phase.BACKWARD] = later.get((scope, Phase.BACKWARD), ZERO) + rest
    free = {leaf.call for found in known.values() for leaf in found if leaf.work == ZERO} if convention.mirrors else ()
    return Priced(
        trace=trace,
        convention=convention,
        own=tuple(own),
        later=later,
        entries=tuple(entries),
        whole=frozenset(whole.keys() - covered),
        covered=covered,
        unseen=frozenset(call for call in free if _multiplies(call, expand)),
    )


def _counted(trace: Trace) -> Iterable[tuple[Step, int, Phase]]:
    """Each distinct step of a phase, and how many times it ran."""
    if not trace.phases:
        counted = Counter(trace.steps)
        return zip(counted, counted.values(), repeat(Phase.FORWARD))  # the last goes on for ever
    by_phase = Counter(zip(trace.steps, trace.phases, strict=True))
    return [(step, times, Phase(phase)) for (step, phase), times in by_phase.items()]


def _split(call: Call, work: Work, phase: Phase) -> Iterator[tuple[Phase, Work]]:
    """The work of an operator by phase: some backward operators work out again what the forward did not keep."""
    again = repeated(call, work) if phase is Phase.BACKWARD else ZERO
    if again is not ZERO:
        yield Phase.RECOMPUTATION, again
        work = Work(macs=work.macs - again.macs, flops=work.flops - again.flops)
    yield phase, work


def _multiplies(call: Call, expand: Expand) -> bool:
    """Whether thoplw's own formula for an operator has multiply-accumulates."""
    return any(leaf.work is not None and leaf.work.macs for leaf in leaves(call, FORMULAS, expand))


def _whole(
    trace: Trace, convention: Convention, scopes: Mapping[int, Work], holds: Holds | None
) -> tuple[Mapping[int, Work], frozenset[int]]:
    """The scopes that have a price as a whole, and the scopes inside these."""
    if not scopes and not convention.modules:
        return scopes, frozenset()
    whole = dict(scopes)
    covered: set[int] = set()
    calls: dict[int, list[Call]] = defaultdict(list)
    for call, at in trace.steps:
        calls[at].append(call)
    opened = _around(trace, scopes, holds)
    parents = {info.parent for info in trace.modules}
    prices = {classes: convention.price_of(classes) for classes in {info.classes for info in trace.modules}}
    for index, scope in enumerate(trace.scopes):
        info = trace.modules[scope.module]
        found = prices[info.classes]
        if scope.parent in covered or scope.parent in whole:
            covered.add(index)
        elif found is not None and index not in whole and index not in opened:
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


def _around(trace: Trace, scopes: Mapping[int, Work], holds: Holds | None) -> set[int]:
    """The scopes that contain an operator or a module with a price that overrides the convention's."""
    inner = [trace.scopes[index].parent for index in scopes]
    if holds is not None:
        inner += [at for call, at in trace.steps if holds.at_all(call)]
    found: set[int] = set()
    for index in inner:
        while index >= 0 and index not in found:
            found.add(index)
            index = trace.scopes[index].parent
    return found


class Holds:
    """Tells whether an operator contains one with a price in a given table: ``aten.linear`` contains ``aten.addmm``."""

    def __init__(self, prices: Mapping[str, Price], expand: Expand) -> None:
        self._prices = prices
        self._expand = expand
        self._known: dict[Call, bool] = {}

    def at_all(self, call: Call) -> bool:
        """Whether the call itself, or a part of it, has such a price."""
        return find_price(call, self._prices) is not _ABSENT or self.inside(call)

    def inside(self, call: Call) -> bool:
        """Whether a part of the call, at any depth, has such a price, and the call itself has none."""
        known = self._known.get(call)
        if known is None:
            parts = () if find_price(call, self._prices) is not _ABSENT else self._parts(call)
            known = self._known[call] = any(map(self.at_all, parts))
        return known

    def _parts(self, call: Call) -> tuple[Call, ...]:
        try:
            return self._expand(call) or ()
        except Exception:  # an operator that has a price may fail to be taken apart; then it has no known parts
            return ()


def leaves(call: Call, prices: Mapping[str, Price], expand: Expand, holds: Holds | None = None) -> tuple[Leaf, ...]:
    """The call itself if it has a price, else the leaves of its parts; without parts, the call with no price.

    A call is also taken apart if ``holds`` finds a part in it whose price overrides its own.
    """
    found = _ABSENT if holds is not None and holds.inside(call) else find_price(call, prices)
    if found is None:
        return (Leaf(call, ZERO),)
    if found is not _ABSENT:
        work = found(call)  # type: ignore[operator] # it is a function
        return (Leaf(call, work if isinstance(work, Work) else as_work(work, f"the price of {call.name}")),)
    parts = expand(call)
    if parts is None:
        return (Leaf(call, None),)
    return tuple(leaf for part in parts for leaf in leaves(part, prices, expand, holds))


def find_price(call: Call, prices: Mapping[str, Price]) -> object:
    """The price of a call: that of its overload, else of its operator, else of the operator without in-place ``_``."""
    for target in (call.name, call.target):
        if target in prices:
            return prices[target]
    if call.target.endswith("_") and not call.target.endswith("__"):
        return prices.get(call.target[:-1], _ABSENT)
    return _ABSENT
