"""Which module are we in: the only place with hooks."""

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
Watch = Callable[[int, torch.nn.Module, tuple[Any, ...], Any], None]


#: Called with a module that is not known when it is called, and the scope that calls it: it may make it known.
Discover = Callable[[torch.nn.Module, int], None]


class ModuleScopes:
    """A context in which every call of a known module opens and closes a :class:`Scope`.

    Modules that are not known belong to the scope they are called in, and calls by other threads to nobody, but for
    threads that :meth:`elsewhere` made part of this.

    Attributes:
        scopes: the calls so far, in the order in which they began.
        current: index of the innermost open scope, ``-1`` outside of all.
        thread: the thread whose calls these are; 0 while the run pauses.
        strangers: known modules that other threads called.
        discover: called with modules that are not known.
    """

    def __init__(
        self,
        indices: Mapping[int, int],
        specs: Specs,
        watch: Watch | None = None,
        discover: Discover | None = None,
    ) -> None:
        """Prepare, without touching anything.

        Args:
            indices: the modules to know: their index by their identity.
            specs: where specs of tensors are shared.
            watch: called when a scope closes.
            discover: called with modules that are not known.
        """
        self.scopes: list[Scope] = []
        self.current = -1
        self.thread = get_ident()
        self.strangers: set[int] = set()
        self._threads: dict[int, ModuleScopes] = {}
        self._indices = indices
        self.discover = discover
        self._specs = specs
        self._watch = watch
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
        """Whether a module runs that the outermost scope does not merely stand for."""
        return self.current > 0 or self._in_hooks

    def belongs(self, thread: int) -> bool:
        """Whether the calls of a thread are recorded."""
        return thread == self.thread or thread in self._threads

    @contextmanager
    def elsewhere(self, scope: int) -> Iterator[ModuleScopes]:
        """Take the calls that this thread makes meanwhile for calls of ``scope``."""
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
        """Have a scope for a call of the first module; what it returns is to be put into the list.

        Its hooks need not fire, as its class may have a ``__call__`` of its own. If they do, that is no other call.
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
        # A forward that catches an exception of a submodule leaves that one's scope open: close it here.
        at = self.current
        while at >= 0 and (scope := self.scopes[at]).module != index:
            at = scope.parent
        if at < 0:  # the call began before this was entered
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
        if self._watch is not None:
            self._watch(at, module, args, output)
        self.current = scope.parent

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Forget the calls of modules inside; nothing watches them."""
        before, current, watch = len(self.scopes), self.current, self._watch
        self._watch = None
        try:
            yield
        finally:
            self._watch = watch
            del self.scopes[before:]
            self.current = current

    def passed(self, index: int, module: torch.nn.Module, x: AbstractTensor, output: AbstractTensor) -> int:
        """Note the call of a known module that need not be run; return the index of its scope."""
        scope = self._append(Scope(index, self.current, (x.spec,), (output.spec,), _SAME if output is x else ()))
        if self._watch is not None:
            self._watch(scope, module, (x,), output)
        return scope

    def _append(self, scope: Scope) -> int:
        """Add a scope; return its index."""
        self.scopes.append(scope)
        index = len(self.scopes) - 1
        if self._threads:
            while self.scopes[index] is not scope:  # another thread has added one since
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
        """Whether the call that returns is that of :meth:`root`, not one of the same module inside of it."""
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


#: Of a call that returns its only input.
_SAME = ((1, 0),)


def _again(args: tuple[Any, ...], output: Any) -> tuple[tuple[int, int], ...]:
    """The places of tensors that stand in a row before, and where first: :attr:`Scope.again`."""
    places: dict[int, int] = {}
    tensors = [*tensors_in(args), *tensors_in(output)]
    firsts = [places.setdefault(id(tensor), at) for at, tensor in enumerate(tensors)]
    if len(places) == len(tensors):
        return ()
    return tuple([(at, first) for at, first in enumerate(firsts) if at != first])
