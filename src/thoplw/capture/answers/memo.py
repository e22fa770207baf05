"""Remember what operators answered in a run, because models repeat themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from thoplw import shapes
from thoplw.capture.abstract import wrapper_of
from thoplw.capture.answers.data_dependent import VALUES, values_after
from thoplw.capture.answers.density import DENSITIES
from thoplw.capture.answers.nested import makes_nested
from thoplw.capture.answers.refusals import OF_SHAPES, OF_VALUES
from thoplw.capture.answers.sparse import makes_sparse
from thoplw.capture.operators import decides_on_values, is_composite, is_mutable, overload_of, places_of, target_of
from thoplw.formulas.attention import PACKED
from thoplw.record import Call, TensorSpec

#: The operators by which ``copy.deepcopy`` copies a buffer.
COPIES = frozenset({"aten.new_empty", "aten.clone"})

#: Composites with a shape rule of whose pieces autocast casts some: padding that is no number, to float32.
_CAST_WITHIN = frozenset({"aten.pad"})


class Operator:
    """One operator, with its answers so far.

    Attributes:
        func: the operator itself, kept so that no other object can get its identity.
        target: its name in records, such as ``aten.linear``.
        overload: the rest of the name, such as ``default``.
        rule: its shape rule, if it has one.
        decides: whether its output depends on values.
        writes: whether it writes to an argument.
        packed: whether it takes packed sequences, whose lengths decide on its cost.
        refuses: a check of known values, which returns why torch refuses a call; few operators have one.
        checks: a check of shapes and options, for calls that no shape rule knows; few operators have one.
        density: whether its output may have a density.
        varies: whether the key of an answer says more than the arguments do: of packed sequences, or of composites.
        unusual: whether a call of a new kind may need more than a shape rule or meta kernel.
        answers: key of the arguments -> answer.
        executed: key of the arguments -> identity of the spec that was returned -> record of the execution.
    """

    __slots__ = (
        *("answers", "checks", "decides", "density", "executed", "func", "overload", "packed", "refuses", "rule"),
        *("target", "unusual", "varies", "writes"),
    )

    def __init__(self, func: Any) -> None:
        self.func = func
        self.target = target = target_of(func)
        self.overload = overload_of(func)
        self.writes = is_mutable(func)
        # Shape rules hold for operators that return a new tensor.
        places = places_of(func) if self.writes else ()
        self.rule = None if places else shapes.RULES.get(target)
        self.decides = decides_on_values(func)
        self.packed = target in PACKED
        self.varies = self.packed or ((self.rule is None or target in _CAST_WITHIN) and is_composite(func))
        self.refuses = _without(places, OF_VALUES.get(target))
        self.checks = _without(places, OF_SHAPES.get(target))
        self.density = target in DENSITIES
        self.unusual = target in COPIES or makes_nested(func) or makes_sparse(func)
        self.answers: dict[tuple[Any, ...], Answer] = {}
        self.executed: dict[tuple[Any, ...], dict[int, Call]] = {}


def _without(places: tuple[str, ...], check: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Return a check that is not given the arguments that results are written into."""
    if check is None or not places:
        return check
    return lambda *args, **kwargs: check(*args, **{name: kwargs[name] for name in kwargs if name not in places})


class Answer:
    """The answer of an operator to arguments with the same specs.

    Attributes:
        call: the record.
        same: position or name of the argument that is itself the output.
        writes: whether the operator writes to an argument.
        spec: the spec of the output, if it is one tensor.
        token: the identity of ``spec``.
        assumed: the values that are assumed of the output, if any.
        wrapper: the arguments of ``make_wrapper``, if a new output is all that there is to make. They leave out the
            class: its references count the survivors of a run.
    """

    __slots__ = ("assumed", "call", "same", "spec", "token", "wrapper", "writes")

    def __init__(self, call: Call, same: int | str | None, writes: bool, device: torch.device) -> None:
        """Keep an answer.

        Args:
            call: the record.
            same: position or name of the argument that is itself the output, as for in-place operators.
            writes: whether the operator writes to an argument.
            device: where an output is.
        """
        self.call = call
        self.same = same
        self.writes = writes
        self.assumed = values_after(call.target, call.args, call.output) if call.target in VALUES else None
        self.spec: TensorSpec | None = None
        self.wrapper: tuple[Any, ...] | None = None
        if type(call.output) is TensorSpec:
            self.spec = spec = call.output
            self.token = id(spec)
            if same is None and not writes and self.assumed is None:
                self.wrapper = wrapper_of(spec, device)


class Memo:
    """The operators that a run has met, with their answers.

    Attributes:
        operators: identity of an operator -> what is known of it. Torch hashes operators in Python, which is slow.
    """

    def __init__(self) -> None:
        self.operators: dict[int, Operator] = {}
        self._by_call: dict[int, Operator] = {}  # identity of a record -> its operator

    def meet(self, func: Any) -> Operator:
        """Return what is known of an operator that is met for the first time, and remember it."""
        operator = self.operators[id(func)] = Operator(func)
        return operator

    def remember(self, operator: Operator, key: tuple[Any, ...], answer: Answer) -> None:
        """Keep an answer for arguments with this key."""
        operator.answers[key] = answer
        # The answer keeps the call, so no other object can get its identity.
        self._by_call[id(answer.call)] = operator

    def repeats(self, call: Call) -> bool:
        """Return whether a call with the same specs would have this record again."""
        return id(call) in self._by_call

    def rule_alone(self, call: Call) -> Callable[..., Any] | None:
        """Return the shape rule of the operator of a remembered call, if nothing but the rule decides on its output."""
        operator = self._by_call[id(call)]
        more = operator.decides or operator.packed or operator.refuses or operator.density or operator.unusual
        return None if more or operator.target in VALUES else operator.rule
