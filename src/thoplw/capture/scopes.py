"""Which module are we in: the only place with hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.capture.nesting import tensors_in
from thoplw.capture.torch_internals import module_hooks
from thoplw.record import Scope, TensorSpec

#: Called when a scope closes, with its index, the module, its inputs (keyword inputs last) and its output.
Watch = Callable[[int, torch.nn.Module, tuple[Any, ...], Any], None]


class ModuleScopes:
    """A context in which every call of a known module opens and closes a :class:`Scope`.

    Modules that are not known (made during the forward, say) belong to the scope they are called in.

    Attributes:
        scopes: the calls so far, in the order in which they began.
        current: index of the innermost open scope, ``-1`` outside of all.
    """

    def __init__(
        self,
        indices: Mapping[int, int],
        specs: Specs,
        watch: Watch | None = None,
        discover: Callable[[torch.nn.Module], None] | None = None,
    ) -> None:
        """Prepare, without touching anything.

        Args:
            indices: the modules to know: their index by their identity.
            specs: where specs of tensors are shared.
            watch: called when a scope closes.
            discover: called with a module that is not known when it is called from the outermost scope: it may make
                it known.
        """
        self.scopes: list[Scope] = []
        self.current = -1
        self._indices = indices
        self._discover = discover
        self._specs = specs
        self._watch = watch
        self._undo = ExitStack()

    def __enter__(self) -> ModuleScopes:
        self._undo.enter_context(module_hooks(self._before, self._after))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def open(self, index: int) -> int:
        """Open a scope for a call of a known module; return its index."""
        self.scopes.append(Scope(index, self.current))
        self.current = len(self.scopes) - 1
        return self.current

    def close(
        self, index: int, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        """Close the scope of a call of a known module."""
        # A forward that catches an exception of a submodule leaves that one's scope open: close it here.
        while (scope := self.scopes[self.current]).module != index:
            self.current = scope.parent
        if kwargs:
            args = (*args, *kwargs.values())
        scope.inputs = (args[0].spec,) if len(args) == 1 and type(args[0]) is AbstractTensor else self._shapes(args)
        scope.outputs = (output.spec,) if type(output) is AbstractTensor else self._shapes((output,))
        if self._watch is not None:
            self._watch(self.current, module, args, output)
        self.current = scope.parent

    def _before(self, module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        if self._discover is not None and self.current == 0 and id(module) not in self._indices:
            self._discover(module)
        index = self._indices.get(id(module))
        if index is not None:
            self.open(index)

    def _after(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        index = self._indices.get(id(module))
        if index is not None:
            self.close(index, module, args, kwargs, output)

    def passed(self, index: int, module: torch.nn.Module, x: AbstractTensor, output: AbstractTensor) -> int:
        """Note the call of a known module that need not be run; return the index of its scope."""
        scope = len(self.scopes)
        self.scopes.append(Scope(index, self.current, (x.spec,), (output.spec,)))
        if self._watch is not None:
            self._watch(scope, module, (x,), output)
        return scope

    def _shapes(self, values: tuple[Any, ...]) -> tuple[TensorSpec, ...]:
        if len(values) == 1:
            (value,) = values
            if type(value) in (list, tuple):
                values = tuple(value)
        if set(map(type, values)) == {AbstractTensor}:
            return tuple([value.spec for value in values])
        return tuple(self._specs.of(tensor) for tensor in tensors_in(values))
