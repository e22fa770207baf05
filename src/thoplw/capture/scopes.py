"""Tell which module is running. No other file of thoplw sets hooks for this.

For example, while ``layer1.0.conv1`` of a ResNet runs, three scopes are open inside the one of the model, and every
operator belongs to the innermost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from threading import get_ident
from types import TracebackType
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.capture.nesting import tensors_in
from thoplw.capture.torch_internals import module_hooks
from thoplw.record import Scope, TensorSpec

#: Called when a scope closes, with its index, the module, its inputs (keyword inputs last) and its output.
OnReturn = Callable[[int, torch.nn.Module, tuple[Any, ...], Any], None]


#: Called with an unknown module and the index of the scope that calls it. It may add the module to the known ones.
Discover = Callable[[torch.nn.Module, int], None]


class ModuleScopes:
    """A context in which every call of a known module opens and closes a :class:`Scope`.

    What an unknown module runs belongs to the scope that called it. Calls by other threads are not recorded, except in
    threads that entered :meth:`elsewhere`.

    Attributes:
        scopes: the calls so far, in the order in which they began.
        current: index of the innermost open scope, ``-1`` if none is open.
        thread: identity of the thread whose calls are recorded; 0 while the run pauses.
        strangers: indices of the known modules that threads outside the run called.
        discover: called with each unknown module.
    """

    def __init__(
        self,
        indices: Mapping[int, int],
        specs: Specs,
        on_return: OnReturn | None = None,
        discover: Discover | None = None,
    ) -> None:
        """Prepare, without touching anything.

        Args:
            indices: index of each known module, by the identity of the module.
            specs: the specs of the run, one for all equal tensors.
            on_return: called when a scope closes.
            discover: called with each unknown module.
        """
        self.scopes: list[Scope] = []
        self.current = -1
        self.thread = get_ident()
        self.strangers: set[int] = set()
        self._threads: dict[int, ModuleScopes] = {}
        self._indices = indices
        self.discover = discover
        self._specs = specs
        self._on_return = on_return
        self._undo = ExitStack()
        self._root = -1  # the scope that root() has open
        self._in_hooks = False  # whether the hooks of the module of that scope have fired for it

    def __enter__(self) -> ModuleScopes:
        self.thread = get_ident()
        self._undo.enter_context(module_hooks(self._before, self._after))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    @property
    def inside(self) -> bool:
        """Whether a call of a module is running, not just the outermost scope that :meth:`root` opened."""
        return self.current > 0 or self._in_hooks

    def belongs(self, thread: int) -> bool:
        """Return whether the calls of a thread are recorded."""
        return thread == self.thread or thread in self._threads

    @contextmanager
    def elsewhere(self, scope: int) -> Iterator[ModuleScopes]:
        """While this is entered, record the calls that this thread makes, as calls that ``scope`` makes."""
        other = copy(self)
        other.thread, other.current = get_ident(), scope
        outer = self._threads.get(other.thread)
        self._threads[other.thread] = other
        try:
            yield other
        finally:
            del self._threads[other.thread]
            if outer is not None:
                self._threads[other.thread] = outer

    @contextmanager
    def root(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[list[Any]]:
        """Open a scope for a call of the first module. The caller puts what the module returns into the list.

        The scope is needed because hooks do not fire if the class of the module has a ``__call__`` of its own. If they
        do fire, they belong to this call and open no second scope.
        """
        self._root = self.open(0)
        returned: list[Any] = []
        yield returned
        self.current, self._root = self._root, -1
        self.close(0, module, args, kwargs, returned[0])

    def open(self, index: int) -> int:
        """Open a scope for a call of a known module; return its index."""
        self.current = self._append(Scope(index, self.current))
        return self.current

    def close(
        self, index: int, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        """Close the scope of a call of a known module, if it is open."""
        # A forward that catches an exception of a submodule leaves the scope of the submodule open. Close that too.
        at = self.current
        while at >= 0 and (scope := self.scopes[at]).module != index:
            at = scope.parent
        if at < 0:  # the call began before the hooks were set
            return
        if kwargs:
            args = (*args, *kwargs.values())
        one, other = len(args) == 1 and type(args[0]) is AbstractTensor, type(output) is AbstractTensor
        scope.inputs = (args[0].spec,) if one else self._shapes(args)
        scope.outputs = (output.spec,) if other else self._shapes((output,))
        if not (one and other):
            scope.again = _again(args, output)
        elif output is args[0]:
            scope.again = _SAME
        self.current = at
        if self._on_return is not None:
            self._on_return(at, module, args, output)
        self.current = scope.parent

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Forget the calls of modules that were made inside, and tell nobody of them."""
        before, current, on_return = len(self.scopes), self.current, self._on_return
        self._on_return = None
        try:
            yield
        finally:
            self._on_return = on_return
            del self.scopes[before:]
            self.current = current

    def record_call(self, index: int, module: torch.nn.Module, x: AbstractTensor, output: AbstractTensor) -> int:
        """Record the call of a known module without running it; return the index of its scope."""
        scope = self._append(Scope(index, self.current, (x.spec,), (output.spec,), _SAME if output is x else ()))
        if self._on_return is not None:
            self._on_return(scope, module, (x,), output)
        return scope

    def _append(self, scope: Scope) -> int:
        """Add a scope; return its index."""
        self.scopes.append(scope)
        index = len(self.scopes) - 1
        if self._threads:
            while self.scopes[index] is not scope:  # another thread has added a scope since
                index -= 1
        return index

    def _before(self, module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        index = self._indices.get(id(module))
        if get_ident() != self.thread:
            other = self._threads.get(get_ident())
            if other is not None and other.thread:
                other._before(module, args)
            elif other is None and index is not None and self.thread:
                self.strangers.add(index)
            return
        if index is None and self.discover is not None:
            self.discover(module, self.current)
            index = self._indices.get(id(module))
        if index is not None:
            if index == 0 and self.current == self._root >= 0 and not self._in_hooks:
                self._in_hooks = True
            else:
                self.open(index)

    def _after(self, module: torch.nn.Module, args: tuple[Any, ...], *rest: Any) -> None:
        if get_ident() != self.thread:
            other = self._threads.get(get_ident())
            if other is not None and other.thread:
                other._after(module, args, *rest)
            return
        index = self._indices.get(id(module))
        if index is None or (index == 0 and self._in_hooks and self._is_root()):
            return
        kwargs, output = rest if len(rest) == 2 else ({}, *rest)
        self.close(index, module, args, kwargs, output)

    def _is_root(self) -> bool:
        """Return whether the call that ends is the one of :meth:`root`, not a recursive call of the same module."""
        at = self.current
        while self.scopes[at].module != 0:
            at = self.scopes[at].parent
        if at == self._root:
            self.current, self._in_hooks = at, False
        return at == self._root

    def _shapes(self, values: tuple[Any, ...]) -> tuple[TensorSpec, ...]:
        if len(values) == 1:
            (value,) = values
            if type(value) in (list, tuple):
                values = tuple(value)
        if set(map(type, values)) == {AbstractTensor}:
            return tuple([value.spec for value in values])
        return tuple(self._specs.of(tensor) for tensor in tensors_in(values))


#: :attr:`Scope.again` of a call that returns its only input.
_SAME = ((1, 0),)


def _again(args: tuple[Any, ...], output: Any) -> tuple[tuple[int, int], ...]:
    """Return :attr:`Scope.again`: which of the inputs and outputs are tensors that came before, and where first."""
    places: dict[int, int] = {}
    tensors = [*tensors_in(args), *tensors_in(output)]
    firsts = [places.setdefault(id(tensor), at) for at, tensor in enumerate(tensors)]
    if len(places) == len(tensors):
        return ()
    return tuple([(at, first) for at, first in enumerate(firsts) if at != first])
