"""Tell which module a backward operator belongs to.

Autograd numbers the nodes of its graph as it makes them. For example, nodes 17 and 18 are made while ``layer1.conv``
runs. In the backward pass, everything that node 17 runs belongs to ``layer1.conv``. So it is enough to note the next
number whenever the module changes. An operator that adds to the ``.grad`` of a weight has no such number: it belongs to
the module that owns the weight.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import torch

from thoplw.capture.nesting import tensors_in
from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.torch_internals import next_node_number
from thoplw.capture.weights import Weights


class MarkedScopes(ModuleScopes):
    """Scopes that know which of them made a node of autograd's graph."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what :class:`ModuleScopes` takes."""
        super().__init__(*args, **kwargs)
        self._numbers: list[int] = []
        self._makers: list[int] = []

    def open(self, index: int) -> int:
        """Open a scope, to which the nodes that are made from now on belong."""
        scope = super().open(index)
        self.mark(scope)
        return scope

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Close a scope. The nodes that are made from now on belong to its caller."""
        super().close(*args, **kwargs)
        self.mark(self.current)

    def mark(self, scope: int, number: int | None = None) -> None:
        """Note that ``scope`` makes the nodes from ``number`` on; without a number, from the next node on."""
        number = next_node_number() if number is None else number
        if self._numbers and self._numbers[-1] >= number:
            self._makers[-1] = scope
        else:
            self._numbers.append(number)
            self._makers.append(scope)

    def maker_of(self, number: int) -> int:
        """Return the scope that made a node, by its number; the outermost for a node from before the run."""
        marks = bisect_right(self._numbers, number)
        return self._makers[marks - 1] if marks else 0


class Owners:
    """The scope of each weight, and of its gradient and the states that an optimizer keeps for it."""

    def __init__(self, weights: Weights, scopes: ModuleScopes) -> None:
        """Prepare, without touching anything."""
        self._weights = weights
        self._scopes = scopes
        self._modules: dict[int, int] = {}  # identity of a weight -> index of its module
        self._read = 0
        self._first: dict[int, int] = {}  # index of a module -> its first scope
        self._seen = 0
        self._noted: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}

    def of(self, tensor: torch.Tensor) -> int | None:
        """Return the scope of a weight, or of a tensor that was noted; ``None`` for any other tensor."""
        module = self._module_of(id(tensor))
        if module is not None:
            return self._scope_of(module)
        found = self._noted.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor else None

    def among(self, values: Iterable[Any]) -> int | None:
        """Return the scope of some tensors, at any depth in lists; ``None`` if they have none, or several."""
        scopes = {scope for tensor in tensors_in(tuple(values)) if (scope := self.of(tensor)) is not None}
        return scopes.pop() if len(scopes) == 1 else None

    def note(self, tensor: torch.Tensor, scope: int) -> None:
        """Note the scope of a tensor, for as long as the tensor exists."""
        self._noted[id(tensor)] = weakref.ref(tensor), scope

    def note_gradients(self) -> None:
        """Note the gradient of each weight, with the scope of the weight."""
        for key, tensor in self._weights.tensors.items():
            if tensor.requires_grad and tensor.is_leaf and tensor.grad is not None:
                module = self._module_of(key)
                if module is not None:
                    self.note(tensor.grad, self._scope_of(module))

    def _module_of(self, key: int) -> int | None:
        infos = self._weights.infos
        for index in range(self._read, len(infos)):
            for weight in infos[index].parameters:
                self._modules.setdefault(weight.key, index)
        self._read = len(infos)
        return self._modules.get(key)

    def _scope_of(self, module: int) -> int:
        """Return the first scope of a module; if it was never called, that of the nearest module that holds it."""
        scopes = self._scopes.scopes
        for at in range(self._seen, len(scopes)):
            self._first.setdefault(scopes[at].module, at)
        self._seen = len(scopes)
        while module >= 0:
            if module in self._first:
                return self._first[module]
            module = self._weights.infos[module].parent
        return 0
