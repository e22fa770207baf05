"""Price a trace: the topmost call that has a price covers everything inside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from thoplw.errors import InputError
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


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A trace with prices. The cost of each scope is computed when it is asked for.

    Attributes:
        trace: the record of the run.
        convention: the convention that prices it.
        total: the work of the whole trace.
        known: every call outside of scopes that have a module price -> its leaves.
        terms: the terms that the formula of the convention adds.
        module_work: scopes that have a module price -> the work that it gave.
        covered: scopes inside these; their own work is zero.
        unseen: calls that multiply and accumulate, but are free in a convention that mirrors a tool.
        unused: keys of ``custom_ops`` for which nothing ran.
    """

    trace: Trace
    convention: Convention
    total: Work
    known: Mapping[Call, tuple[Leaf, ...]]
    terms: tuple[tuple[int, Call, Work], ...]
    module_work: Mapping[int, Work]
    covered: frozenset[int]
    unseen: frozenset[Call]
    unused: tuple[str, ...] = ()

    @cached_property
    def own(self) -> tuple[Work, ...]:
        """For each scope, the cost of its own operators, without those of the scopes that it opened."""
        own = [self.module_work.get(index, ZERO) for index in range(len(self.trace.scopes))]
        for leaf, scope, times, _ in self.entries:
            if leaf.work is not None and leaf.work is not ZERO:
                work = leaf.work if times == 1 else leaf.work * times
                own[scope] = work if own[scope] is ZERO else own[scope] + work
        return tuple(own)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every leaf, by scope, in order of its first run."""
        ran = [(leaf, scope, times, call) for (call, scope), times, _ in self._counted for leaf in self.known[call]]
        return (*ran, *[(Leaf(call, work), scope, 1, call) for scope, call, work in self.terms])

    @cached_property
    def later(self) -> Mapping[tuple[int, Phase], Work]:
        """The own work of scopes in phases after the forward, by scope and phase."""
        found: dict[tuple[int, Phase], Work] = {}
        if not self.trace.phases:
            return found
        for (call, scope), times, phase in self._counted:
            for leaf in self.known[call] if phase else ():
                if leaf.work is not None and leaf.work is not ZERO:
                    for part, share in _split(leaf.call, leaf.work * times, phase):
                        found[scope, part] = found.get((scope, part), ZERO) + share
        for scope, _, work in self.terms:  # of a step a third is forward
            rest = Work(macs=work.macs * 2 // 3, flops=work.flops * 2 // 3)
            found[scope, Phase.BACKWARD] = found.get((scope, Phase.BACKWARD), ZERO) + rest
        return found

    @cached_property
    def _counted(self) -> list[tuple[Step, int, Phase]]:
        """Each distinct step of a phase outside of scopes with a module price, and how many times it ran."""
        elsewhere = self.covered.union(self.module_work)
        phases = self.trace.phases or bytes(len(self.trace.steps))
        counted = Counter(zip(self.trace.steps, phases, strict=True))
        return [(step, times, Phase(phase)) for (step, phase), times in counted.items() if step[1] not in elsewhere]


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
        trace: the record of the run.
        convention: the table of prices.
        prices: prices of operators that override the convention's, also inside composite operators and modules: with
            a price for ``aten.addmm``, ``aten.linear`` is taken apart, and a module with a module price of
            the convention is priced by its operators.
        scopes: prices of whole calls of modules, by index of their scope: they cover all that ran inside, and go
            before the convention's prices of modules.
        expand: takes a composite operator apart that has no price, as :func:`thoplw.capture.expand` does. A record
            that is complete can do without: it has the parts.

    Raises:
        InputError: a record that is not complete is given without ``expand``, or the convention prices whole operators
            and the record has pieces.
    """
    if trace.in_pieces and convention.whole_only:
        instead = "" if trace.phases else ", or turn gradients off, with torch.no_grad() around it all"
        raise InputError(
            f"convention {convention.name!r} prices operators as a model calls them, and with gradients they run in "
            f"pieces: take macs, flops or torch{instead}"
        )
    expand = trace.expander(expand)
    first = {**(convention.registry() if convention.registry else {}), **(prices or {})}
    table = {**convention.operators, **first} if first else convention.operators
    holds = Holds(first, expand) if first else None
    module_work, covered = _module_work(trace, convention, scopes or {}, holds)
    elsewhere = covered.union(module_work)
    calls = Counter([call for call, scope in trace.steps if scope not in elsewhere])
    known = {call: leaves(call, table, expand, holds) for call in calls}
    terms = tuple(convention.formula(trace)) if convention.formula else ()
    outermost = {scope: work for scope, work in module_work.items() if scope not in covered}
    once = [*outermost.values(), *[work for _, _, work in terms]]
    macs, flops = sum([work.macs for work in once]), sum([work.flops for work in once])
    for call, times in calls.items():
        for leaf in known[call]:
            if leaf.work is not None:
                macs += leaf.work.macs * times
                flops += leaf.work.flops * times
    free = {leaf.call for found in known.values() for leaf in found if leaf.work == ZERO} if convention.mirrors else ()
    return Priced(
        trace=trace,
        convention=convention,
        total=Work(macs=macs, flops=flops),
        known=known,
        terms=terms,
        module_work=outermost,
        covered=covered,
        unseen=frozenset(call for call in free if _multiplies(call, expand)),
    )


def _split(call: Call, work: Work, phase: Phase) -> Iterator[tuple[Phase, Work]]:
    """The work of an operator by phase: some backward operators compute again what the forward did not keep."""
    again = repeated(call, work) if phase is Phase.BACKWARD else ZERO
    if again is not ZERO:
        yield Phase.RECOMPUTATION, again
        work = Work(macs=work.macs - again.macs, flops=work.flops - again.flops)
    yield phase, work


def _multiplies(call: Call, expand: Expand) -> bool:
    """Whether thoplw's own formula for an operator has multiply-accumulates."""
    return any(leaf.work is not None and leaf.work.macs for leaf in leaves(call, FORMULAS, expand))


def _module_work(
    trace: Trace, convention: Convention, scopes: Mapping[int, Work], holds: Holds | None
) -> tuple[Mapping[int, Work], frozenset[int]]:
    """The work of scopes that have a module price, and the scopes inside these."""
    if not scopes and not convention.modules:
        return scopes, frozenset()
    work_of = dict(scopes)
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
        if scope.parent in covered or scope.parent in work_of:
            covered.add(index)
        elif found is not None and index not in work_of and index not in opened:
            seen = ModuleCall(
                info=info,
                leaf=scope.module not in parents,
                inputs=scope.inputs,
                outputs=scope.outputs,
                calls=tuple(calls[index]),
            )
            work = found(seen)
            if work is not None:
                work_of[index] = as_work(work, f"the price of {info.class_name}")
    return work_of, frozenset(covered)


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
    inside: list[Leaf] = []
    for part in parts:
        inside += leaves(part, prices, expand, holds)
    return tuple(inside)


def find_price(call: Call, prices: Mapping[str, Price]) -> object:
    """The price of a call: that of its overload, else of its operator, else of the operator without in-place ``_``."""
    target = call.target
    found = prices.get(call.name, _ABSENT)
    if found is _ABSENT:
        found = prices.get(target, _ABSENT)
    if found is _ABSENT and target.endswith("_") and not target.endswith("__"):
        found = prices.get(target[:-1], _ABSENT)
    return found
