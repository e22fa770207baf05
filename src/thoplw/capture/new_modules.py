"""Give the modules and parameters that a forward creates a place in the record.

For example, a forward sets ``self.head = nn.Linear(x.shape[-1], 10)`` at its first call. The head becomes known when it
is called, and its path when the run is over. If the model no longer holds it then, its path is that of the module that
called it, with the name of its class. Copies are not noted: ``copy.deepcopy(self.net)`` would have the parameters of
the model once more.
"""

from __future__ import annotations

import weakref
from collections import Counter
from threading import get_ident
from types import TracebackType
from typing import Any

import torch

from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.torch_internals import registration_hooks
from thoplw.capture.weights import Weights


class NewModules:
    """A context that notes which modules get a new module, parameter or buffer."""

    def __init__(self, weights: Weights, scopes: ModuleScopes) -> None:
        """Prepare, without touching anything."""
        self._weights = weights
        self._scopes = scopes
        # Not kept: the forward may drop some at once, with their memory. A new object may then get their identity.
        self._modules: dict[int, weakref.ref[torch.nn.Module]] = {}
        self._grown: set[int] = set()  # identities of the modules that got something
        self._found: set[int] = set()
        self._names: Counter[tuple[int, str]] = Counter()
        self._hooks = registration_hooks(self._note)
        self._known = len(weights.modules)

    def __enter__(self) -> NewModules:
        self._hooks.__enter__()
        self._scopes.discover = self.discover
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scopes.discover = None  # else this object and the scopes would refer to each other
        self._hooks.__exit__(kind, error, trace)

    def _note(self, module: torch.nn.Module, name: str, value: Any) -> None:
        if self._scopes.belongs(get_ident()):
            self._modules[id(module)] = weakref.ref(module)
            self._grown.add(id(module))
            if isinstance(value, torch.nn.Module):
                self._modules[id(value)] = weakref.ref(value)

    def discover(self, module: torch.nn.Module, scope: int) -> None:
        """Register a module that the forward created, at its first call, in ``scope``."""
        noted = self._modules.get(id(module))
        if noted is None or noted() is not module or scope < 0:
            return
        caller = self._scopes.scopes[scope].module
        name = type(module).__name__
        self._names[caller, name] += 1
        path = f"{self._weights.infos[caller].path}.{name}".lstrip(".")
        times = self._names[caller, name]
        known = len(self._weights.infos)
        self._weights.add(module, path if times == 1 else f"{path}_{times}", caller)
        self._found.update(range(known, len(self._weights.infos)))

    def register(self, model: torch.nn.Module, path: str = "") -> None:
        """Register all new modules and parameters of a known model after the run, with their final paths.

        A new list of known modules, as ``self.layers[:n]`` makes, adds nothing.
        """
        if self._found or not self._grown.isdisjoint(self._weights.indices):
            self._weights.read_again(model, path, self._found, self._grown)

    def forget(self) -> None:
        """Release the modules that the forward created. The record keeps their infos."""
        if self._modules:
            self._weights.let_go(self._known)
            self._modules.clear()
