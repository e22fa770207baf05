"""Charge modules for calls, work and parameters: turn priced scopes into one row per module."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from thoplw.estimate.memory import Memory
from thoplw.estimate.roofline import Peak, Roof, Roofline
from thoplw.formulas import FAMILIES
from thoplw.pricing import Leaf, Priced
from thoplw.record import ZERO, Assumption, Call, Phase, Scope, Weight, Work
from thoplw.report.figures import Charge, Timed, figures_of
from thoplw.report.profile import About, Profile, batch_of, shapes_of
from thoplw.report.rows import Assumed, Gaps, Row, Uncounted
from thoplw.traffic.usage import Active, Usage, doubts


class Attribution:
    """The modules of a trace, each with the calls, work and parameters that it is charged for.

    Totals are known at once; rows and gaps are worked out when they are asked for.

    Attributes:
        about: what was counted, and by what.
        cost: of the whole model, in the unit of the convention.
        flops: of the whole model.
        params: of the whole model.
    """

    def __init__(self, priced: Priced, roof: Roof | None = None, memory: Memory | None = None) -> None:
        """Add up the totals of a priced trace; ``roof`` gives times on a device, ``memory`` comes from a second run."""
        assert priced.convention.parameters is not None  # it was found, so it is complete
        self._priced = priced
        self._roof = roof
        self._memory = memory
        self._trace = priced.trace
        self._convention = priced.convention
        self._counted = tuple(priced.convention.parameters(priced.trace))
        self.cost = priced.convention.measure(priced.total)
        self.flops = priced.total.flops
        self.params = sum([weight.spec.numel for _, weight in self._counted])

    @property
    def about(self) -> About:
        """What was counted, and by what."""
        return About(
            model=self._trace.modules[0].class_name,
            convention=self._convention.name,
            unit=self._convention.unit or "MAC",
            torch=self._trace.torch,
            device=self._roof.device.name if self._roof else "",
            roof=self._roofline.in_words if self._roof else "",
        )

    def on(self, roof: Roof) -> Attribution:
        """Return the same with times on a device."""
        return Attribution(self._priced, roof, self._memory)

    def main_peak(self, roof: Roof) -> Peak | None:
        """Return the peak of a device that bounds most contractions."""
        return Roofline(self._trace, self._usage, roof).main

    def profile(self) -> Profile:
        """Return rows and gaps as plain values."""
        modules = self._modules()
        root = modules[0]
        return Profile(
            about=self.about,
            modules=modules,
            gaps=self.gaps,
            batch=None if self._has_unbatched_convolution() else batch_of(root.input_shapes, root.output_shapes),
        )

    @cached_property
    def gaps(self) -> Gaps:
        """What the figures leave out: operators without a price, assumptions, modules that never ran."""
        return Gaps(
            uncounted=self._where(lambda leaf: leaf.work is None),
            unseen=self._unseen(),
            assumptions=self._assumed(self._trace.assumptions),
            of_bytes=self._assumed(doubts(self._trace)),
            not_executed=self._not_executed(),
            unused=self._priced.unused,
            unread=self._trace.unread,
        )

    def _modules(self) -> tuple[Row, ...]:
        """Return a row for each module that ran or holds one that ran, in definition order.

        A module with a module price counts as having no children.
        """
        shown = self._scopes.keys() | self._ancestors(self._scopes)
        return tuple(self._row(index, depth) for index, depth in self._tree() if index in shown)

    def _tree(self) -> Iterator[tuple[int, int]]:
        """Yield all modules with their depths, each before the modules in it."""
        inside: dict[int, list[int]] = defaultdict(list)
        for index, info in enumerate(self._trace.modules):
            inside[info.parent].append(index)
        waiting = [(index, 0) for index in reversed(inside[-1])]
        while waiting:
            index, depth = waiting.pop()
            yield index, depth
            waiting += [(each, depth + 1) for each in reversed(inside.get(index, ()))]

    def _row(self, index: int, depth: int) -> Row:
        info = self._trace.modules[index]
        indices = self._scopes.get(index, [])
        scopes = [self._trace.scopes[scope] for scope in indices]
        work = sum((self._priced.own[scope] for scope in indices), start=ZERO)
        charge = Charge(
            cost=self._convention.measure(work),
            work=work,
            weights=tuple(self._weights.get(index, ())),
            calls=len(scopes),
            phases=self._phases(indices, work),
            moved=lambda: self._moved[index],
            compulsory=lambda: self._usage.compulsory[index].total,
            active=lambda: self._active.get(index, Active()),
            timed=None if self._roof is None else lambda: self._timed(index),
            activations=lambda: self._activations[index],
            memory=None if self._memory is None else self._memory.at(info.path),
        )
        # A module of many calls has few shapes: find the distinct specs first.
        calls = dict.fromkeys((scope.inputs, scope.outputs) for scope in scopes)
        shapes = list(dict.fromkeys((shapes_of(inputs), shapes_of(outputs)) for inputs, outputs in calls))
        first = shapes[0] if shapes else ((), ())
        return Row(
            name=info.path,
            cls=info.class_name,
            depth=depth,
            input_shapes=first[0],
            output_shapes=first[1],
            other_shapes=tuple(shapes[1:]),
            figures=figures_of(charge),
            operators=dict(self._operators.get(index, {})),
        )

    def _phases(self, scopes: Sequence[int], whole: Work) -> dict[str, int]:
        """Phase -> its part of the work of some scopes; empty if there is only a forward."""
        if not self._trace.phases:
            return {}
        parts = dict.fromkeys(Phase, ZERO)
        for phase in (Phase.RECOMPUTATION, Phase.BACKWARD, Phase.UPDATE):
            for scope in scopes:
                parts[phase] += self._priced.later.get((scope, phase), ZERO)
        measure = self._convention.measure
        found = {phase.label: measure(work) for phase, work in parts.items()}
        found[Phase.FORWARD.label] = measure(whole) - sum(found.values())
        return found

    @cached_property
    def _activations(self) -> Counter[int]:
        """The number of elements that convolutions and matrix products put out in the forward, by module."""
        found: Counter[int] = Counter()
        known: dict[Call, int] = {}
        phases = self._trace.phases or bytes(len(self._trace.steps))
        for (call, scope), phase in zip(self._trace.steps, phases, strict=True):
            if phase == Phase.FORWARD:
                while scope in self._priced.covered:  # a module with a module price counts for all inside
                    scope = self._trace.scopes[scope].parent
                found[self._trace.scopes[scope].module] += _elements(call, known)
        return found

    def _has_unbatched_convolution(self) -> bool:
        """Whether a convolution had an input without a batch: one with a dimension less than its weight."""
        return any(
            call.target.startswith("aten.conv") and len(call.inputs[0].shape) == len(call.inputs[1].shape) - 1
            for call in {call for call, _ in self._trace.steps}
            if len(call.inputs) > 1
        )

    def _unseen(self) -> dict[str, Uncounted]:
        """Return operators with multiply-accumulates that the mirrored tool counts as free."""
        return self._where(lambda leaf: leaf.call in self._priced.unseen)

    def _where(self, chosen: Callable[[Leaf], bool]) -> dict[str, Uncounted]:
        calls: Counter[str] = Counter()
        modules: dict[str, dict[str, None]] = defaultdict(dict)  # in the order of the run
        shapes: dict[str, dict[Any, None]] = defaultdict(dict)
        for leaf, scope, times, _ in self._priced.entries:
            if chosen(leaf):
                call = leaf.call
                calls[call.name] += times
                modules[call.name][self._path(scope)] = None
                shapes[call.name][shapes_of(call.inputs)] = None
        return {
            name: Uncounted(calls=times, modules=list(modules[name]), shapes=list(shapes[name]))
            for name, times in calls.items()
        }

    def _assumed(self, assumptions: Iterable[Assumption]) -> dict[str, Assumed]:
        """Return assumptions by statement, each with its operators and modules."""
        calls: Counter[str] = Counter()
        operators: dict[str, dict[str, None]] = defaultdict(dict)
        modules: dict[str, dict[str, None]] = defaultdict(dict)
        for statement, operator, scope in assumptions:
            calls[statement] += 1
            operators[statement][operator] = None
            modules[statement][self._path(scope)] = None
        return {
            name: Assumed(operators=list(operators[name]), calls=times, modules=list(modules[name]))
            for name, times in calls.items()
        }

    @cached_property
    def _operators(self) -> dict[int, Counter[str]]:
        """The cost by module and operator."""
        found: dict[int, Counter[str]] = defaultdict(Counter)
        for (call, work), scope, times, _ in self._priced.entries:
            if work is not None:
                found[self._trace.scopes[scope].module][call.target] += self._convention.measure(work) * times
        for scope in sorted(self._priced.module_work):
            module = self._trace.scopes[scope].module
            found[module][self._trace.modules[module].class_name] += self._convention.measure(self._priced.own[scope])
        return found

    def _path(self, scope: int) -> str:
        return self._trace.modules[self._trace.scopes[scope].module].path

    def _not_executed(self) -> dict[str, int]:
        """Return the outermost modules in which nothing ran: path -> parameters."""
        trace = self._trace
        ran = {scope.module for scope in trace.scopes}
        # The parameters of a module may be used without a call of it: nn.MultiheadAttention does so with its out_proj.
        ran |= {
            index
            for index, info in enumerate(trace.modules)
            if index not in ran and any(weight.key in trace.used for weight in info.parameters)
        }
        alive = ran | self._ancestors(ran)
        idle: dict[int, set[tuple[int, int]]] = {}
        root: dict[int, int] = {}
        unseen: set[int] = set()
        for index, _ in self._tree():
            info = trace.modules[index]
            if info.parent >= 0 and (trace.modules[info.parent].opaque or info.parent in unseen):
                unseen.add(index)
            if index in alive or index in unseen or (not info.parameters and info.container):
                continue
            root[index] = root.get(info.parent, index)
            weights = idle.setdefault(root[index], set())
            weights |= {(weight.key, weight.spec.numel) for weight in info.parameters}
        return {trace.modules[index].path: sum(size for _, size in weights) for index, weights in idle.items()}

    def _ancestors(self, modules: Iterable[int]) -> set[int]:
        """Return all modules that contain one of these, at any depth."""
        found: set[int] = set()
        for index in modules:
            parent = self._trace.modules[index].parent
            while parent >= 0 and parent not in found:
                found.add(parent)
                parent = self._trace.modules[parent].parent
        return found

    # Computed when these figures are asked for.

    @cached_property
    def _usage(self) -> Usage:
        return Usage(self._trace)

    @cached_property
    def _moved(self) -> Mapping[int, int]:
        """The bytes that are moved, by module."""
        return self._by_module(moved.total for moved in self._usage.by_scope)

    def _by_module(self, by_scope: Iterable[int]) -> Mapping[int, int]:
        """Add up numbers of scopes by module. A module with a module price counts for all that runs inside."""
        found: Counter[int] = Counter()
        for index, size in enumerate(by_scope):
            while index in self._priced.covered:
                index = self._trace.scopes[index].parent
            found[self._trace.scopes[index].module] += size
        return found

    @cached_property
    def _roofline(self) -> Roofline:
        assert self._roof is not None  # or nobody asks
        return Roofline(self._trace, self._usage, self._roof)

    @cached_property
    def _eager(self) -> Mapping[int, int]:
        return self._by_module(self._roofline.eager)

    def _timed(self, index: int) -> Timed:
        line = self._roofline
        phases = {phase.label: floors[index] for phase, floors in line.floors_of_phases.items()}
        return Timed(line.times[index], line.floors[index], self._eager.get(index, 0), phases)

    @cached_property
    def _active(self) -> Mapping[int, Active]:
        """Active parameters by module, for modules with a row."""
        found: dict[int, Active] = {}
        for index, weight in self._counted:
            payer, more = self._payer(index), self._usage.active(weight)
            before = found.get(payer, Active())
            found[payer] = Active(before.computed + more.computed, before.looked_up + more.looked_up)
        return found

    # Computed when rows are asked for: totals alone do not need these.

    @cached_property
    def _scopes(self) -> dict[int, list[int]]:
        """The scopes by module, without those inside modules with a module price."""
        scopes: dict[int, list[int]] = defaultdict(list)
        for index, scope in enumerate(self._trace.scopes):
            if index not in self._priced.covered:
                scopes[scope.module].append(index)
        return dict(scopes)

    @cached_property
    def _weights(self) -> dict[int, list[Weight]]:
        """The counted parameters by module, for modules with a row."""
        charged: dict[int, list[Weight]] = defaultdict(list)
        for index, weight in self._counted:
            charged[self._payer(index)].append(weight)
        return dict(charged)

    @cached_property
    def _first_calls(self) -> dict[int, Scope]:
        """The first call by module."""
        found: dict[int, Scope] = {}
        for scope in self._trace.scopes:
            found.setdefault(scope.module, scope)
        return found

    def _payer(self, index: int) -> int:
        """Return the module whose row shows the parameters of this one: the module itself if it has a row."""
        while index not in self._scopes:
            scope = self._first_calls.get(index)
            if scope is not None:  # it ran inside a module with a module price
                while scope.module not in self._scopes:
                    scope = self._trace.scopes[scope.parent]
                return scope.module
            index = self._trace.modules[index].parent
        return index


def _elements(call: Call, known: dict[Call, int]) -> int:
    """Return how many elements an operator puts out, if it is a convolution or matrix product, or made of these."""
    if call not in known:
        if FAMILIES.get(call.target) in ("convolution", "matmul"):
            known[call] = sum(output.numel for output in call.outputs)
        else:
            known[call] = sum(_elements(part, known) for part in call.parts or ())
    return known[call]
