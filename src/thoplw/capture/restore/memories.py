"""Save the values of tensors before a run writes to them, or tell afterwards whether it did."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import torch

from thoplw.capture.abstract import PLAIN
from thoplw.capture.torch_internals import (
    SPARSE,
    alias_of,
    copy_of_memory,
    memory_of,
    set_version,
    sparse_back,
    stored_in,
    sum_of_memory,
    version_of,
)


class Memories:
    """Saved contents, by the memory that tensors share, and how many times these were written to."""

    def __init__(self) -> None:
        self._saved: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._sparse: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._versions: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}

    def save(self, tensors: Iterable[torch.Tensor]) -> None:
        """Save the memory of some tensors, once, with all tensors that share it."""
        for tensor in tensors:
            if tensor.layout in SPARSE:
                self._save_sparse(tensor)
                continue
            self.save_version(tensor)
            memory = memory_of(tensor)
            if memory and memory not in self._saved and not tensor.is_meta:
                storage = tensor.untyped_storage()
                self._saved[memory] = storage, copy_of_memory(storage)

    def save_version(self, tensor: torch.Tensor) -> None:
        """Save how many times a tensor was written to: a backward that needs it fails if it was written to since.

        A write counts although nothing reaches the memory, and still does when the contents are put back.
        """
        saved = self._versions.get(id(tensor))
        if saved is None or saved[0]() is not tensor:  # a weak reference, as the graph of a view would live on
            self._versions[id(tensor)] = weakref.ref(tensor), version_of(tensor)

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
        for reference, version in reversed(self._versions.values()):  # views count along with what they are views of
            if (written := reference()) is not None:
                set_version(written, version)


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
