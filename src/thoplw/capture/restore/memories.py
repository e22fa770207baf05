"""Save the values of tensors before a run writes to them, or tell afterwards whether it did."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from thoplw.capture.abstract import PLAIN
from thoplw.capture.torch_internals import (
    SPARSE,
    alias_of,
    copy_of_memory,
    memory_of,
    sparse_back,
    stored_in,
    sum_of_memory,
)


class Memories:
    """Saved contents, by the memory that tensors share."""

    def __init__(self) -> None:
        self._saved: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._sparse: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def save(self, tensors: Iterable[torch.Tensor]) -> None:
        """Save the memory of some tensors, once, with all tensors that share it."""
        for tensor in tensors:
            if tensor.layout in SPARSE:
                self._save_sparse(tensor)
                continue
            memory = memory_of(tensor)
            if memory and memory not in self._saved and not tensor.is_meta:
                storage = tensor.untyped_storage()
                self._saved[memory] = storage, copy_of_memory(storage)

    def _save_sparse(self, tensor: torch.Tensor) -> None:
        """Save which indices and values a sparse tensor has, and what is in them: operators replace these, or write."""
        if id(tensor) not in self._sparse:
            self._sparse[id(tensor)] = tensor, alias_of(tensor)
            self.save(stored_in(tensor))

    def put_back(self) -> None:
        """Write the saved contents back; a forward may have given a storage another size."""
        # The oldest last: if a forward has moved one storage into another, both are one memory.
        for storage, content in reversed(self._saved.values()):
            if storage.nbytes() != content.nbytes():
                storage.resize_(content.nbytes())
            storage.copy_(content)
        for tensor, before in self._sparse.values():
            sparse_back(tensor, before)


def sums_of(tensors: Iterable[torch.Tensor]) -> dict[int, int]:
    """Return a checksum of each memory: the sum of its bytes as whole numbers. Other values usually have another sum.

    No operator reports what is written to the ``.data`` of a parameter, and a copy would take as much memory again.
    Tensor subclasses are skipped: they decide what lies in their memory.
    """
    return {
        memory: sum_of_memory(tensor)
        for tensor in tensors
        if type(tensor) in PLAIN and not tensor.is_meta and (memory := memory_of(tensor))
    }
