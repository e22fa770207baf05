"""What both kinds of run share: recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.capture.operators import overload_of, target_of
from thoplw.capture.packed import geometry_of, weights_of
from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.torch_internals import DispatchMode
from thoplw.capture.torch_names import name_of
from thoplw.capture.weights import Weights
from thoplw.record import Assumption, Call, Step, TensorSpec

#: What records keep as it is, known without asking whether it is a tensor.
_PLAIN = frozenset({int, float, bool, str, type(None)})


class Run(DispatchMode):
    """A dispatch mode that records every operator, with one :class:`Call` for all equal ones.

    Attributes:
        steps: what has run so far.
        used: identities of the tensors that were arguments of some operator.
        assumptions: what was taken for granted on the way.
    """

    def __init__(self, *, specs: Specs, weights: Weights, scopes: ModuleScopes | None, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
        self.steps: list[Step] = []
        self.used: set[int] = set()
        self.assumptions: list[Assumption] = []
        self.specs = specs
        self.weights = weights
        self.scopes = scopes
        self.device = device
        self._packed: dict[int, tuple[torch.ScriptObject, Any]] = {}
        self._executed: dict[Any, Call] = {}

    def enter(self, tensor: torch.Tensor) -> torch.Tensor:
        """What the model gets for a tensor of the user's: a copy, as it may write to it."""
        return tensor.clone()

    def own(self, tensors: Iterable[torch.Tensor]) -> None:
        """Take tensors for the user's."""

    def save(self, tensor: torch.Tensor) -> None:
        """Save what a tensor holds, which may be written to without an operator."""

    def made(self) -> list[torch.Tensor]:
        """The tensors that this run made, that are still there, and whose values may not be right."""
        return []

    def finish(self) -> None:
        """Undo what the run did to tensors of the user's."""

    @property
    def scope(self) -> int:
        """Index of the scope that runs now."""
        return -1 if self.scopes is None else self.scopes.current

    def where(self) -> str:
        """The module that runs now, for messages."""
        if self.scopes is None or self.scope < 0:
            return ""
        info = self.weights.infos[self.scopes.scopes[self.scope].module]
        return f"in {f'module {info.path!r}' if info.path else 'the model itself'} ({info.class_name})"

    def record(self, call: Call) -> None:
        """Note that ``call`` ran in the module that runs now."""
        self.steps.append((call, self.scope))

    def assume(self, statement: str, target: str) -> None:
        """Note what is taken for granted for an operator, in the module that runs now."""
        self.assumptions.append(Assumption(statement, target, self.scope))

    def execute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator for real, and note that."""
        output = func(*args, **kwargs)
        self.record_executed(func, args, kwargs, output)
        return output

    def record_executed(self, func: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Note an operator that was run for real."""
        seen, returned = self.freeze((args, tuple(kwargs.items()))), self.freeze(output)
        try:
            key = (func, repr(seen), repr(returned))
        except Exception:  # an argument of a foreign class whose repr fails: such calls just do not share a record
            self.record(self.call(func, args, kwargs, output))
            return
        call = self._executed.get(key)
        if call is None:
            call = self._executed[key] = self.call(func, seen[0], dict(seen[1]), returned)
        self.record(call)

    def call(
        self, func: Any, args: Any, kwargs: dict[str, Any], output: Any, parts: tuple[Call, ...] | None = None
    ) -> Call:
        """The record of an operator: tensors become specs."""
        return Call(
            target=target_of(func),
            overload=overload_of(func),
            args=self.freeze(tuple(args)),
            kwargs=self.freeze_named(kwargs),
            output=self.freeze(output),
            parts=parts,
        )

    def freeze_named(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments as records keep them."""
        return {name: self.freeze(value) for name, value in kwargs.items()}

    def freeze(self, value: Any) -> Any:
        """Values as records keep them: specs for tensors, tuples for lists, names for what is torch's."""
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
        """Packed weights: the specs of what is inside, and the geometry of a convolution."""
        if id(packed) not in self._packed:
            self._packed[id(packed)] = packed, self.freeze((*weights_of(packed), *geometry_of(packed)))
        return self._packed[id(packed)][1]

    def take_apart(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Call, ...]]:
        """Run a composite operator piece by piece: what it returns, and the pieces."""
        outside, self.steps = self.steps, []
        try:
            with self:
                output = func.decompose(*args, **kwargs)
            return output, tuple(call for call, _ in self.steps)
        finally:
            self.steps = outside
