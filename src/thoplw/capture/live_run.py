"""Run for real and record; what an operator wrote to a tensor of the model is put back."""

from __future__ import annotations

from typing import Any

import torch

from thoplw import shapes
from thoplw.capture import higher_order
from thoplw.capture.distributed import refuse_split
from thoplw.capture.lengths import with_lengths
from thoplw.capture.nested import is_nested, makes_nested, record_parts
from thoplw.capture.nesting import tensors_in
from thoplw.capture.operators import is_composite, is_higher_order, is_mutable, target_of, written
from thoplw.capture.run import Run
from thoplw.capture.torch_internals import is_jagged, memory_of
from thoplw.formulas.attention import PACKED


class LiveRun(Run):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Execute every operator."""

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self._owned = {memory_of(tensor): tensor for tensor in self.weights.tensors.values() if not tensor.is_meta}
        # Buffers are saved beforehand: batch norm in training writes to its statistics without its schema saying so.
        self._saved: dict[int, tuple[torch.Tensor, torch.Tensor]] = {
            memory_of(tensor): (tensor, tensor.detach().clone())
            for info in self.weights.infos
            for tensor in (self.weights.tensors[buffer.key] for buffer in info.buffers)
        }

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Run one operator and record it."""
        kwargs = kwargs or {}
        if types:
            refuse_split(f"a tensor that {target_of(func)} is given", types)
            if any(map(is_jagged, tensors_in((args, kwargs)))):
                return NotImplemented  # their class runs the operator on their rows
        if any(map(is_nested, tensors_in((args, kwargs)))) or makes_nested(func):
            output = func(*args, **kwargs)
            record_parts(self, func, args, kwargs, output)
            return output
        if is_higher_order(func):
            return higher_order.answer(self, func, args, kwargs)
        if is_mutable(func):
            self._save(func, args, kwargs)
        if target_of(func) not in shapes.RULES and is_composite(func):
            output, parts = self.take_apart(func, args, kwargs)
            self.record(self.call(func, args, kwargs, output, parts))
            return output
        if target_of(func) in PACKED:
            output = func(*args, **kwargs)
            self.record_executed(func, *with_lengths(self, func, args, kwargs), output)
            return output
        return self.execute(func, args, kwargs)

    def _save(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for tensor in written(func, args, kwargs):
            storage = memory_of(tensor)
            if storage in self._owned and storage not in self._saved:
                owner = self._owned[storage]
                self._saved[storage] = owner, owner.detach().clone()

    def finish(self) -> None:
        """Put back what was written to."""
        for owner, content in self._saved.values():
            owner.data.copy_(content)
