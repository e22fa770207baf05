"""What tensors hold in memory, saved before a run writes to it."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from thoplw.capture.torch_internals import copy_of_memory, memory_of


class Memories:
    """The content of memories as it was, by what tensors have in common that are views of one."""

    def __init__(self) -> None:
        self._saved: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def save(self, tensors: Iterable[torch.Tensor]) -> None:
        """Save what some tensors hold, and all that share their memory; once, whatever is asked later."""
        for tensor in tensors:
            memory = memory_of(tensor)
            if memory and memory not in self._saved and not tensor.is_meta:
                storage = tensor.untyped_storage()
                self._saved[memory] = storage, copy_of_memory(storage)

    def put_back(self) -> None:
        """Write what was saved."""
        for storage, content in self._saved.values():
            storage.copy_(content)
