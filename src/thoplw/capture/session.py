"""Record everything that runs in a ``with`` block, of any number of models: the engine of ``thoplw.count``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from contextlib import ExitStack
from threading import get_ident
from types import TracebackType

import torch

from thoplw.capture.abstract import Specs
from thoplw.capture.answers.higher_order import differentiated
from thoplw.capture.backward import MarkedScopes
from thoplw.capture.new_modules import NewModules
from thoplw.capture.process import ONE_PATH
from thoplw.capture.restore.interrupts import Interrupts
from thoplw.capture.scopes import OnReturn
from thoplw.capture.torch_internals import VERSION, below_autograd
from thoplw.capture.training_run import LiveTrainingRun, phases_of
from thoplw.capture.weights import Weights
from thoplw.record import Trace


class Session:
    """A context in which every operator is recorded, under a root module that stands for the context.

    A model becomes known when it is called. Unlike :func:`thoplw.capture.capture`, a session undoes nothing that a
    model changes.
    """

    def __init__(self, on_return: OnReturn | None = None, priced: Container[str] = ()) -> None:
        specs = Specs()
        self._weights = Weights(specs)
        self._weights.add_root("count")
        self._scopes = MarkedScopes(self._weights.indices, specs, on_return)
        self._new_modules = NewModules(self._weights, self._scopes)
        self._run = LiveTrainingRun(specs=specs, weights=self._weights, scopes=self._scopes, device=torch.device("cpu"))
        self._run.priced = priced
        self._scopes.open(0)
        self._names: Counter[str] = Counter()
        self._models: list[tuple[str, torch.nn.Module]] = []
        self._in_pieces = False
        self._undo = ExitStack()

    def __enter__(self) -> Session:
        try:
            with Interrupts():  # one that comes meanwhile is raised at its end
                self._enter(self._undo)
        except BaseException:
            self._undo.close()
            raise
        return self

    def _enter(self, stack: ExitStack) -> None:
        """Enter the contexts that record, which are undone when ``stack`` is left."""
        stack.enter_context(ONE_PATH)
        self._in_pieces = torch.is_grad_enabled()
        if not self._in_pieces:
            # The autocast cache may hold copies of weights made without autograd. No training step can use those.
            stack.callback(torch.clear_autocast_cache)
            stack.enter_context(below_autograd())  # composite operators arrive whole
        stack.enter_context(differentiated(lambda: self._scopes.belongs(get_ident())))
        stack.enter_context(self._new_modules)
        self._scopes.discover = self._discover
        stack.enter_context(self._scopes)
        stack.callback(self._end)
        stack.enter_context(self._run.recording())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with Interrupts():
                self._undo.close()
        finally:
            self._undo.close()  # an interrupt may come before they are held; else nothing is left to undo

    def _end(self) -> None:
        self._run.end()
        for path, model in self._models:
            self._new_modules.register(model, path)

    def trace(self) -> Trace:
        """Return the record of everything that ran."""
        return Trace(
            modules=tuple(self._weights.infos),
            scopes=tuple(self._scopes.scopes),
            steps=tuple(self._run.steps),
            used=self._weights.used(self._run.used, self._scopes.scopes),
            assumptions=tuple(self._run.assumptions),
            torch=VERSION,
            in_pieces=self._in_pieces,
            phases=phases_of(self._run.steps),
        )

    def _discover(self, module: torch.nn.Module, scope: int) -> None:
        """Register a model that is called outside of any other model, or a module that a forward has created."""
        if scope != 0:
            self._new_modules.discover(module, scope)
            return
        name = type(module).__name__
        self._names[name] += 1
        path = f"{name}_{self._names[name]}" if self._names[name] > 1 else name
        self._weights.add(module, path, parent=0)
        self._models.append((path, module))
