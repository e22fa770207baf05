"""Run for real and record. Afterwards, restore the user's tensors that operators wrote to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from thoplw import shapes
from thoplw.capture.answers import higher_order
from thoplw.capture.answers.lengths import with_lengths
from thoplw.capture.answers.nested import is_nested, makes_nested, of_jagged, record_parts
from thoplw.capture.distributed import refuse_split
from thoplw.capture.nesting import tensors_in
from thoplw.capture.operators import is_composite, is_higher_order, is_mutable, target_of, writes_statistics, written
from thoplw.capture.restore.memories import Memories
from thoplw.capture.run import Run
from thoplw.capture.torch_internals import is_jagged, memory_of, stored_in
from thoplw.formulas.attention import PACKED


class LiveRun(Run):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Execute every operator, and record it."""

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self._owned = frozenset[int]()
        self._memories = Memories()

    def own(self, tensors: Iterable[torch.Tensor]) -> None:
        """Note which tensors are the user's: their values are restored after the run."""
        self._owned |= {memory_of(part) for tensor in tensors if not tensor.is_meta for part in stored_in(tensor)} - {0}
        # Buffers are saved in any case: they are small, and some kernels write to statistics without saying so.
        self._memories.save(self.weights.tensors[buffer.key] for info in self.weights.infos for buffer in info.buffers)

    def save(self, tensor: torch.Tensor) -> None:
        """Save the values of a tensor that is about to be written to, if it is the user's."""
        if any(memory_of(part) in self._owned for part in stored_in(tensor)):
            self._memories.save((tensor,))

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Run one operator and record it."""
        kwargs = kwargs or {}
        if types:
            refuse_split(f"a tensor that {target_of(func)} is given", types)
            if any(map(is_jagged, tensors_in((args, kwargs)))):
                return of_jagged(self, func, args, kwargs)
        if is_higher_order(func):
            return higher_order.answer(self, func, args, kwargs)
        if is_mutable(func) or writes_statistics(func):
            for tensor in written(func, args, kwargs):
                self.save(tensor)
        if any(map(is_nested, tensors_in((args, kwargs)))) or makes_nested(func):
            output = func(*args, **kwargs)
            record_parts(self, func, args, kwargs, output)
            return output
        if target_of(func) not in shapes.RULES and is_composite(func):
            output, parts = self.take_apart(func, args, kwargs)
            self.record(self.call(func, args, kwargs, output, parts))
            return output
        if target_of(func) in PACKED:
            output = func(*args, **kwargs)
            self.record_executed(func, *with_lengths(self, func, args, kwargs), output)
            return output
        return self.execute(func, args, kwargs)

    def finish(self) -> None:
        """Put back the values of the tensors that were written to."""
        self._memories.put_back()
