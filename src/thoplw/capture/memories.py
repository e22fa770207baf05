"""Save the content of tensors before a run writes to it."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from thoplw.capture.torch_internals import copy_of_memory, memory_of


class Memories:
    """Saved contents, by the memory that tensors share."""

    def __init__(self) -> None:
        self._saved: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def save(self, tensors: Iterable[torch.Tensor]) -> None:
        """Save the memory of some tensors, once, with all tensors that share it."""
        for tensor in tensors:
            memory = memory_of(tensor)
            if memory and memory not in self._saved and not tensor.is_meta:
                storage = tensor.untyped_storage()
                self._saved[memory] = storage, copy_of_memory(storage)

    def put_back(self) -> None:
        """Write the saved contents back."""
        for storage, content in self._saved.values():
            storage.copy_(content)
