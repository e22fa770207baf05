"""Record operators: the base class of all runs, abstract and real."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from copy import copy
from threading import Event
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.capture.inputs import copied
from thoplw.capture.operators import is_composite, overload_of, target_of
from thoplw.capture.packed import geometry_of, sparse_products, weights_of
from thoplw.capture.process import guest
from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.threads import followed
from thoplw.capture.torch_internals import (
    DispatchMode,
    autocast_around,
    autocast_of_parts,
    below_autograd,
    dispatch_modes,
    is_cast,
    schema_of,
    with_mode,
    without_modes,
    without_transforms,
)
from thoplw.capture.torch_names import name_of
from thoplw.capture.weights import Weights
from thoplw.errors import ThoplwError
from thoplw.record import Assumption, Call, Step, TensorSpec

_UNFINISHED = "work in threads that the forward did not wait for is not counted"

_STRANGERS = "calls of modules by threads that existed before the run are not counted"

#: How many seconds to wait for a thread that the forward started and that may have to end yet.
_MOMENT = 0.2

#: The tag of operators that draw random numbers.
_DRAWS = torch.Tag.nondeterministic_seeded

#: Classes whose objects stay as they are in records.
_PLAIN = frozenset({int, float, bool, str, type(None)})

_NUMBERS = frozenset({int, float, complex, bool})


@contextmanager
def outside() -> Iterator[None]:
    """Leave the runs and function transforms (such as ``vmap``) of this thread: they do not see what happens inside."""
    with ExitStack() as undo:
        undo.enter_context(without_transforms())
        if dispatch_modes():
            for mode in undo.enter_context(without_modes(_is_ours)):
                scopes = mode.scopes
                if scopes is not None:
                    undo.callback(setattr, scopes, "thread", scopes.thread)
                    scopes.thread = 0
        yield


def running() -> tuple[Run, ...]:
    """Return the runs that see the operators of this thread."""
    if not dispatch_modes():
        return ()
    with without_modes(lambda mode: isinstance(mode, Run)) as runs:
        return tuple(runs)


def _is_ours(mode: Any) -> bool:
    return isinstance(mode, (Run, _Helper))


class _Helper(DispatchMode):
    """The mode of a thread that works for the forward; it records nothing once the run is over."""

    def __init__(self, run: Run) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
        self._run = run
        self._scope = run.scope
        self.done = Event()

    @property
    def scopes(self) -> ModuleScopes | None:
        """The scopes of the run."""
        return self._run.scopes

    @contextmanager
    def working(self) -> Iterator[None]:
        """Record what this thread runs, for as long as the run lasts."""
        with ExitStack() as stack:
            stack.callback(self.done.set)
            if not self._run.ended.is_set():
                scopes = self._run.scopes
                self._run = self._run.for_thread(scopes and stack.enter_context(scopes.elsewhere(self._scope)))
                stack.enter_context(guest())
                stack.enter_context(below_autograd())
                stack.enter_context(followed(self._run.hand_over))
                stack.enter_context(with_mode(self))
            yield

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Answer as the run does while it lasts, and as torch does afterwards."""
        if self._run.ended.is_set():
            return func(*args, **(kwargs or {}))
        return self._run.__torch_dispatch__(func, types, args, kwargs)  # type: ignore[no-untyped-call] # torch's


class Run(DispatchMode):
    """A dispatch mode that records every operator, with one :class:`Call` for all equal calls.

    Attributes:
        steps: what has run so far.
        used: identities of the tensors that were arguments of some operator.
        assumptions: what was assumed so far.
        refusals: the errors of thoplw that were raised into the model, which may have caught them.
        drew: whether some operator drew random numbers.
        handed: the modes of the threads that work for the forward.
        ended: set once nothing more is recorded.
        priced: names of control-flow operators that have a price of their own; a call of one is recorded as a whole.
        executes: whether tensors have values, so that threads outside the run can compute with them unseen.
    """

    executes = True

    def __init__(self, *, specs: Specs, weights: Weights, scopes: ModuleScopes | None, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
        self.steps: list[Step] = []
        self.used: set[int] = set()
        self.assumptions: list[Assumption] = []
        self.refusals: list[ThoplwError] = []
        self.drew = False
        self.within_cast = False  # whether a composite is taken apart whose arguments autocast has cast
        self.handed: list[_Helper] = []
        self.ended = Event()
        self.priced: Container[str] = ()
        self.specs = specs
        self.weights = weights
        self.scopes = scopes
        self.device = device
        self._packed: dict[int, tuple[torch.ScriptObject, Any]] = {}
        self._executed: dict[Any, Call] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what this thread runs, and what threads run to which it gives work."""
        with followed(self.hand_over), self:
            yield

    def hand_over(self) -> AbstractContextManager[None]:
        """Return a context for another thread: what runs inside belongs to the module that runs now."""
        helper = _Helper(self)
        self.handed.append(helper)
        return helper.working()

    def for_thread(self, scopes: ModuleScopes | None) -> Run:
        """Return this run for another thread: the same record, but other scopes."""
        other = copy(self)
        DispatchMode.__init__(other)  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
        other.scopes = scopes
        return other

    def end(self) -> None:
        """Stop recording, and list unfinished work of other threads as an assumption."""
        # A thread that has given its result may need a moment to end.
        unfinished = sum(not helper.done.wait(_MOMENT) for helper in self.handed)
        self.ended.set()
        if unfinished:
            self.assumptions += [Assumption(_UNFINISHED, "threading.Thread", 0)] * unfinished
        if self.executes and self.scopes is not None:
            self.assumptions += [Assumption(_STRANGERS, "threading.Thread", 0)] * len(self.scopes.strangers)
        self.handed.clear()  # each item refers to this run

    def replace_input(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return what the model gets in place of an input: a copy, because the model may write to it."""
        return copied(tensor)

    def own(self, tensors: Iterable[torch.Tensor]) -> None:
        """Note which tensors belong to the user."""

    def save(self, tensor: torch.Tensor) -> None:
        """Save the values of a tensor that may be written to without an operator."""

    def doubtful(self) -> list[torch.Tensor]:
        """Return the tensors of the run that still exist, and whose values may follow from something assumed."""
        return []

    def finish(self) -> None:
        """Restore the tensors of the user."""

    def knows(self, value: Any) -> bool:
        """Return whether the value of a number or tensor is known, so that it can decide control flow."""
        return True

    def reshaped(self, func: Any, given: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Give a tensor the shape that an operator gives it."""
        raise NotImplementedError

    def answer_higher_order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the output of an operator that takes functions, without recording what these run."""
        return func(*args, **kwargs)

    @contextmanager
    def rehearsal(self) -> Iterator[list[Step]]:
        """Run something without recording it; the list that is yielded has its steps on the way out."""
        seen: list[Step] = []
        first, assumed, used = len(self.steps), len(self.assumptions), self.used.copy()
        with self.scopes.rehearsal() if self.scopes is not None else nullcontext():
            try:
                yield seen
            finally:
                seen += self.steps[first:]
                del self.steps[first:], self.assumptions[assumed:]
                self.used &= used

    @property
    def scope(self) -> int:
        """Index of the scope that runs now; -1 outside of all modules."""
        return -1 if self.scopes is None else self.scopes.current

    def where(self) -> str:
        """Return the module that runs now, in words such as ``in module 'layer1.0' (BasicBlock)``."""
        if self.scopes is None or self.scope < 0:
            return ""
        info = self.weights.infos[self.scopes.scopes[self.scope].module]
        return f"in {f'module {info.path!r}' if info.path else 'the model itself'} ({info.class_name})"

    def record(self, call: Call) -> None:
        """Record ``call`` in the module that runs now."""
        self.steps.append((call, self.scope))

    def assume(self, statement: str, target: str) -> None:
        """Note an assumption about an operator, in the module that runs now."""
        self.assumptions.append(Assumption(statement, target, self.scope))

    def refuse(self, error: ThoplwError) -> ThoplwError:
        """Note an error that is about to be raised into the model, which may catch it, and return it."""
        self.refusals.append(error)
        return error

    def execute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator for real, and record it."""
        output = self.compute(func, args, kwargs)
        self.record_executed(func, args, kwargs, output)
        return output

    def compute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator for real."""
        self.drew = self.drew or _draws(func, args, kwargs)
        casts = self._autocast(func) if autocast_around() is not None and is_composite(func) else nullcontext()
        with casts:
            output = func(*args, **kwargs)
        if type(output) in _NUMBERS and str(schema_of(func).returns[0].type) == "Tensor":
            return torch.tensor(output)  # C++ has the 2.0 of ``x * 2.0`` as a tensor, and Python sees a number
        return output

    def record_executed(self, func: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Record an operator that was run for real."""
        self.record(self.executed(func, args, kwargs, output))

    def executed(self, func: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Call:
        """Return the call of an operator that was run for real, the same one for all equal calls."""
        if target_of(func) == "aten._sparse_sparse_matmul":  # its cost depends on where elements are, not on shapes
            kwargs = {**kwargs, "products": sparse_products(*args)}
        seen, returned = self.freeze((args, tuple(kwargs.items()))), self.freeze(output)
        try:
            key = (func, repr(seen), repr(returned))
        except Exception:  # the repr of an argument of a foreign class fails: equal calls then do not share one record
            return self.call(func, args, kwargs, output)
        call = self._executed.get(key)
        if call is None:
            call = self._executed[key] = self.call(func, seen[0], dict(seen[1]), returned)
        return call

    def call(
        self, func: Any, args: Any, kwargs: dict[str, Any], output: Any, parts: tuple[Call, ...] | None = None
    ) -> Call:
        """Return the call of an operator, with specs in place of tensors."""
        return Call(
            target=target_of(func),
            overload=overload_of(func),
            args=self.freeze(tuple(args)),
            kwargs=self.freeze_named(kwargs),
            output=self.freeze(output),
            parts=parts,
        )

    def freeze_named(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Convert keyword arguments to what records keep."""
        return {name: self.freeze(value) for name, value in kwargs.items()}

    def freeze(self, value: Any) -> Any:
        """Convert a value to what records keep: specs for tensors, tuples for lists, names for objects of torch."""
        if type(value) is AbstractTensor:
            return value.spec
        if type(value) in _PLAIN:
            return value
        if isinstance(value, torch.Tensor):
            self.used.add(id(value))
            return self.specs.of(value)
        if isinstance(value, (tuple, list)):
            return tuple(
                [
                    each.spec if type(each) is AbstractTensor else each if type(each) in _PLAIN else self.freeze(each)
                    for each in value
                ]
            )
        if isinstance(value, torch.ScriptObject):
            return self._freeze_packed(value)
        if isinstance(value, torch.UntypedStorage):
            return value.nbytes()
        if isinstance(value, Mapping):
            return {key: self.freeze(item) for key, item in value.items()}
        return value if isinstance(value, TensorSpec) else name_of(value)

    def _freeze_packed(self, packed: torch.ScriptObject) -> Any:
        """Return the specs of packed weights, and the geometry of a convolution."""
        if id(packed) not in self._packed:
            self._packed[id(packed)] = packed, self.freeze((*weights_of(packed), *geometry_of(packed)))
        return self._packed[id(packed)][1]

    def has_values(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor has the values of a real run."""
        return type(tensor) is not AbstractTensor and not tensor.is_meta

    def take_apart(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Call, ...]]:
        """Run a composite operator piece by piece; return its output and the pieces."""
        casts = self._autocast(func) if autocast_around() else nullcontext()
        with self.steps_apart() as steps, self, casts:
            output = func.decompose(*args, **kwargs)
        return output, tuple(call for call, _ in steps)

    @contextmanager
    def _autocast(self, func: Any) -> Iterator[None]:
        """Have autocast see the pieces of an operator, unless it has seen one that they are all pieces of."""
        before = self.within_cast
        self.within_cast = before or is_cast(func)
        try:
            with nullcontext() if self.within_cast else autocast_of_parts():
                yield
        finally:
            self.within_cast = before

    @contextmanager
    def steps_apart(self) -> Iterator[list[Step]]:
        """Record what runs inside in a separate list, as the parts of one operator."""
        before, self.steps = self.steps, []
        try:
            yield self.steps
        finally:
            self.steps = before


def _draws(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether a call draws random numbers. Dropout, for example, does so in training only."""
    if _DRAWS not in func.tags:
        return False
    given = {argument.name: argument.default_value for argument in schema_of(func).arguments}
    given.update(zip(given, args, strict=False), **kwargs)
    return given.get("train") is not False and given.get("training") is not False and given.get("dropout_p") != 0
