"""The calls of a model that generates: each a report, and what it leaves to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from torch import nn

from thoplw.capture import capture, expand
from thoplw.capture.generation import Caller, States
from thoplw.capture.options import Options
from thoplw.capture.restore.preserve import without_collection
from thoplw.errors import InputError
from thoplw.estimate.generation import FEWEST, Figures, Part, known_first, parts
from thoplw.estimate.latent import saved
from thoplw.estimate.memory import Memory
from thoplw.pricing import Convention, Priced, price
from thoplw.pricing.custom import CustomOps
from thoplw.record import Held, Trace
from thoplw.report.layer_info import LayerInfo

#: How many steps run one after the other, as in generation.
_IN_A_ROW = 2

#: The most operators that a record of steps may have; they take some ten gigabytes.
_MOST_RECORDED = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A call of a model.

    Attributes:
        priced: its record, with prices.
        info: what it costs.
        left: what it leaves to the next call.
        saved: what it costs less where latent attention is not expanded.
    """

    priced: Priced
    info: LayerInfo
    left: tuple[Held, ...]
    saved: int

    @property
    def figures(self) -> Figures:
        """Its cost, its FLOPs, the bytes that it leaves, and its cost if latent attention is not expanded."""
        macs = self.info.total_macs
        return macs, self.info.total_flops, sum(each.bytes for each in self.left), macs - self.saved

    def layers(self) -> Iterator[tuple[str, tuple[int, ...], int]]:
        """The path, the shape of the first input, and the cost of each module with weights and cost of its own."""
        trace, measure = self.priced.trace, self.priced.convention.measure
        for scope, work in zip(trace.scopes, self.priced.own, strict=True):
            info = trace.modules[scope.module]
            if info.parameters and scope.inputs and (cost := measure(work)):
                yield info.path, scope.inputs[0].shape, cost


#: The figures of a call.
Of = Callable[[Turn], Figures]


class Calls:
    """The prefill of a prompt, and the steps after it; only some of them run.

    Attributes:
        beside: path of a module -> its cost, for what ran outside of the calls.
        path_matters: whether a step costs something else after other steps than after a prompt of the same length; or
            there can be none.
    """

    def __init__(
        self, caller: Caller, convention: Convention, custom_ops: Mapping[Any, Callable[..., Any]] | None, prompt: int
    ) -> None:
        self.caller = caller
        self.prompt = prompt
        self.beside: dict[str, int] = {}
        self.path_matters = False
        self._convention = convention
        self._functions = custom_ops
        self._prefills: dict[int, Turn] = {}
        self._steps: dict[int, Turn] = {}
        self._walked = False

    def paths_of(self, module: nn.Module) -> set[str]:
        """The paths of a module in reports. In reports on functions, the model is one of the modules."""
        caller = self.caller
        start: nn.Module = caller.model if caller.turns == (caller.model,) else caller
        return {path for path, each in start.named_modules() if each is module}

    def prefill(self, length: int) -> Turn:
        """The prefill of a prompt."""
        if length not in self._prefills:
            self._run([(length, 0)])
        return self._prefills[length]

    def left_by_prefills(self, lengths: Sequence[int]) -> Iterator[tuple[Held, ...]]:
        """The bytes that prefills of some lengths leave, each with a cache for its own length."""
        longest = self.caller.longest
        try:
            for length in lengths:
                self.caller.longest = length + 2
                yield self._turns([(length, 0)])[0][0].left
        finally:
            self.caller.longest = longest

    def step(self, position: int) -> Turn:
        """A step with some number of positions before it."""
        if position not in self._steps:
            if self.path_matters:
                self._steps[position] = self._turns([(self.prompt, position - self.prompt + 1)])[0][-1]
            else:
                self._run([(position, 1)])
        return self._steps[position]

    def with_memory(self, length: int, steps: int) -> LayerInfo:
        """The prefill of a prompt, or the last of some steps after it, with the memory that it takes.

        What is there before it, such as weights and a cache, is there to its end, unless it lets go of it.
        """
        trace = capture(self.caller, (((length, steps),),), {}, Options(iterations=1))
        assert trace.lifetimes is not None  # iterations=1 records them
        scopes, part = [each for each in self._parts(trace) if not each[0] and each[2].steps][steps][1:]
        own = {*scopes}
        first = next(index for index, (_, scope) in enumerate(trace.steps) if scope in own)
        memory = Memory(replace(part, lifetimes=trace.lifetimes.between(first, first + len(part.steps))))
        turn = self.step(length + steps - 1) if steps else self.prefill(length)
        return LayerInfo(turn.priced, memory)

    def parts(self, last: int, of: Of = attrgetter("figures")) -> tuple[Part, ...]:
        """Return all steps from the prompt to a last one, as parts in which figures are polynomials.

        Args:
            last: the positions before the last step.
            of: the figures of a step.
        """
        first, count = self.prompt, last - self.prompt + 1
        if count < FEWEST or self._path_matters(last):
            return self._each(last, of)
        most = len(self._steps) + FEWEST + count // 3

        def at(position: int) -> Figures:
            if len(self._steps) > most:
                raise _TooManyError
            return of(self.step(position))

        try:
            return parts(at, first, last) or self._each(last, of)
        except _TooManyError:
            return self._each(last, of)

    def _path_matters(self, last: int) -> bool:
        """Find out whether it does, by two steps in a row, and some others that run anyway."""
        if not self._walked:
            self._walked, first = True, self.prompt
            ahead = [place for place in known_first(first, last) if place >= first + _IN_A_ROW]
            try:
                in_a_row, again, *_ = self._run([(first, _IN_A_ROW), (first + 1, 1), *((place, 1) for place in ahead)])
            except Exception:  # it may take no longer prompt; if that is not why, it fails again
                self.path_matters = True
            else:
                self.path_matters = in_a_row[-1].figures != again[-1].figures
        return self.path_matters

    def _each(self, last: int, of: Of) -> tuple[Part, ...]:
        """Every step, one after the other."""
        count = last - self.prompt + 1
        recorded = count * len(self.step(self.prompt).priced.trace.steps)
        if recorded > _MOST_RECORDED:
            raise InputError(
                f"no formula gives the sum of the {count} steps, and a run of each of them would record {recorded:,} "
                "operators: ask for fewer new tokens, or a model with fewer layers"
            )
        (turns,) = self._turns([(self.prompt, count)])
        self._prefills.setdefault(self.prompt, turns[0])
        found = {self.prompt + place: of(turn) for place, turn in enumerate(turns[1:])}
        return tuple(part for place in found for part in parts(found.__getitem__, place, place) or ())

    def _run(self, plan: Sequence[tuple[int, int]]) -> list[list[Turn]]:
        """Run a plan, and keep its calls; of several at one position, keep the first."""
        found = self._turns(plan)
        for (length, _), (prefill, *steps) in zip(plan, found, strict=True):
            self._prefills.setdefault(length, prefill)
            for place, step in enumerate(steps):
                self._steps.setdefault(length + place, step)
        return found

    def _turns(self, plan: Sequence[tuple[int, int]]) -> list[list[Turn]]:
        """Run the calls of a plan, and price them."""
        custom = CustomOps(self._functions, self._convention)
        seen: list[States] = []

        def on_return(scope: int, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if module is self.caller:
                seen.append(output)
            elif custom.on_return is not None:
                custom.on_return(scope, module, inputs, output)

        with without_collection():
            options = Options(on_return=on_return, priced=custom.flows, storages=True)
            trace = capture(self.caller, (tuple(plan),), {}, options)
            called = self._called(trace)
            return [
                [
                    self._turn(*self._next(called), before, left, custom)
                    for before, left in zip(((), *states), states, strict=False)
                ]
                for states in seen[0]
            ]

    def _next(self, called: Iterator[tuple[tuple[int, ...], Trace]]) -> tuple[tuple[int, ...], Trace]:
        try:
            return next(called)
        except StopIteration:
            name = type(self.caller.model).__name__
            raise InputError(
                f"a call of {name} ran no operator: prefill= and step= are functions that call the model"
            ) from None

    def _called(self, trace: Trace) -> Iterator[tuple[tuple[int, ...], Trace]]:
        """Return the calls of a record, without those that ended as they began."""
        for path, scopes, part in self._parts(trace):
            if path:
                self.beside[path] = LayerInfo(price(part, self._convention, expand=expand)).total_macs
            elif part.steps:
                yield scopes, part

    def _parts(self, trace: Trace) -> Iterator[tuple[str, tuple[int, ...], Trace]]:
        """Return the calls of a record that have no path, and all else that ran, by path."""
        paths = {path for path, module in self.caller.named_modules() if module in self.caller.turns}
        rounds = next(index for index, info in enumerate(trace.modules) if info.path == "round")
        for scopes, part in trace.parts(rounds):
            path = trace.modules[trace.scopes[scopes[0]].module].path
            yield "" if path in paths else path, scopes, part

    def _turn(
        self,
        scopes: tuple[int, ...],
        part: Trace,
        before: tuple[Held, ...],
        left: tuple[Held, ...],
        custom: CustomOps,
    ) -> Turn:
        # What a cache holds is read as inputs are; some are tensors among these.
        inside = Counter(each.spec for each in before) - Counter(part.inputs)
        part = replace(part, given=(*part.inputs, *inside.elements()))
        own = {position: custom.scopes[at] for position, at in enumerate(scopes) if at in custom.scopes}
        priced = price(part, self._convention, prices=custom.operators, scopes=own, expand=expand)
        less = self._convention.measure(saved(part))
        return Turn(priced=priced, info=LayerInfo(priced), left=left, saved=less)


class _TooManyError(Exception):
    """So many steps ran one by one that all of them can."""
