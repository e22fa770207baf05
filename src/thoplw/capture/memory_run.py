"""Run under autograd as it is on real tensors, and note which memory there is at any time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch

from thoplw.capture.ledger import Ledger
from thoplw.capture.nesting import tensors_in
from thoplw.capture.training_run import TrainingRun
from thoplw.record import Kind


class MemoryRun(TrainingRun):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Answer every operator from shapes alone, and have a ledger of the memory that its output would take.

    Attributes:
        ledger: what was there, and when.
    """

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self.ledger = Ledger(self._all)

    def enter(self, tensor: torch.Tensor) -> torch.Tensor:
        """Inputs are there before the run."""
        entered = super().enter(tensor)
        self.ledger.enter(tensor, entered)
        return entered

    def returned(self, output: Any) -> None:
        """Note what the model returned, and keys and values among that."""
        self.ledger.note(tensors_in(output), Kind.OUTPUTS)
        self.ledger.note(_in_caches(output), Kind.CACHE)

    def handed_on(self, tensors: Iterable[torch.Tensor]) -> None:
        """Note what one call of a model leaves to the next."""
        self.ledger.note(tensors, Kind.CACHE)

    def end(self) -> None:
        """Stop recording."""
        super().end()
        self.ledger.close()

    @contextmanager
    def _pass(self, create_graph: bool) -> Iterator[None]:
        with super()._pass(create_graph):
            yield
        weights = self.weights.tensors.values()
        leaves = (weight for weight in weights if weight.requires_grad and weight.is_leaf)
        self.ledger.note((weight.grad for weight in leaves if weight.grad is not None), Kind.GRADIENTS)

    def _end_update(self, optimizer: Any, *_: Any) -> None:
        super()._end_update(optimizer, *_)
        self.ledger.note(chain.from_iterable(map(tensors_in, optimizer.state.values())), Kind.OPTIMIZER)

    def _run_one(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        output = super()._run_one(func, types, args, kwargs)
        self.ledger.record(func, args, kwargs or {}, output)
        return output


def _in_caches(value: Any, inside: bool = False, depth: int = 0) -> Iterator[torch.Tensor]:
    """The tensors in objects that are caches by name, at whatever place in them: ``DynamicCache``, say."""
    if isinstance(value, torch.Tensor):
        if inside:
            yield value
        return
    inside = inside or type(value).__name__.endswith("Cache")
    if depth > _DEEPEST:
        return
    if isinstance(value, (list, tuple)):
        inner: Iterable[Any] = value
    elif isinstance(value, Mapping):
        inner = value.values()
    else:
        inner = getattr(value, "__dict__", {}).values() if inside or dataclasses.is_dataclass(value) else ()
    for each in inner:
        yield from _in_caches(each, inside, depth + 1)


#: Layers in lists in caches in outputs: nobody nests deeper.
_DEEPEST = 6
