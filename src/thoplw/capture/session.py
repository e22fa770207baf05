"""Record whatever runs, of any number of models."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

import torch

from thoplw.capture.abstract import Specs
from thoplw.capture.live_run import LiveRun
from thoplw.capture.preserve import one_path
from thoplw.capture.scopes import ModuleScopes, Watch
from thoplw.capture.torch_internals import VERSION, below_autograd
from thoplw.capture.weights import Weights
from thoplw.record import Trace


class Session:
    """A context in which every operator is recorded, under a root module that stands for the context.

    Models become known when they are called. Nothing of what they do to themselves is undone.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        specs = Specs()
        self._weights = Weights(specs)
        self._weights.add_root("count")
        self._scopes = ModuleScopes(self._weights.indices, specs, watch, discover=self._discover)
        self._run = LiveRun(specs=specs, weights=self._weights, scopes=self._scopes, device=torch.device("cpu"))
        self._scopes.open(0)
        self._undo = ExitStack()

    def __enter__(self) -> Session:
        with ExitStack() as stack:
            stack.enter_context(one_path())
            stack.enter_context(below_autograd())
            stack.enter_context(self._scopes)
            stack.enter_context(self._run)
            self._undo = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def trace(self) -> Trace:
        """All that ran."""
        return Trace(
            modules=tuple(self._weights.infos),
            scopes=tuple(self._scopes.scopes),
            steps=tuple(self._run.steps),
            used=frozenset(self._run.used.intersection(self._weights.tensors)),
            torch=VERSION,
        )

    def _discover(self, model: torch.nn.Module) -> None:
        name = type(model).__name__
        twins = sum(info.parent == 0 and info.class_name == name for info in self._weights.infos)
        self._weights.add(model, f"{name}_{twins + 1}" if twins else name, parent=0)
