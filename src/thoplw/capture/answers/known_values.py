"""Tell which tensors of an abstract run have values that count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.capture.operators import written
from thoplw.capture.torch_internals import memory_of
from thoplw.capture.weights import Weights


class KnownValues:
    """Tells the tensors whose values may steer the model from those that have a shape only.

    Abstract tensors and tensors on the meta device have no values. The values of floating-point weights do not count,
    unless they are single numbers. The values of a real tensor are lost once an operator should write something
    abstract to it, as ``table[:, 0] = x[:, 0]`` does if ``x`` is abstract.
    """

    def __init__(self, specs: Specs, weights: Weights, before_write: Callable[[torch.Tensor], None]) -> None:
        """Take the run's specs and weights, and what to call with a real tensor that an operator is to write to."""
        self._specs = specs
        self._weights = weights
        self._before_write = before_write
        self._lost: dict[int, StorageWeakRef] = {}  # weak, so that memory is freed and its address is not reused

    @cached_property
    def _owned(self) -> frozenset[int]:
        """The addresses of the memories of the model's tensors."""
        return frozenset(map(memory_of, self._weights.tensors.values()))

    def has(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor has values, and none of them is lost."""
        return not (type(tensor) is AbstractTensor or tensor.is_meta or self.are_lost(tensor))

    def are_lost(self, tensor: torch.Tensor) -> bool:
        """Whether the values of a real tensor are lost."""
        if _lacks_memory(tensor):
            return True
        return bool(self._lost) and memory_of(tensor) in self._lost

    def lose(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that the real tensors to which an operator writes do not get the values that it should write."""
        for tensor in written(func, args, kwargs):
            if type(tensor) is not AbstractTensor and not tensor.is_meta and tensor.layout is torch.strided:
                self._before_write(tensor)
                storage = tensor.untyped_storage()
                self._lost[memory_of(tensor)] = StorageWeakRef(storage)  # type: ignore[no-untyped-call] # torch's own

    def keep(self, tensor: torch.Tensor) -> None:
        """Note that the values of a tensor are known after all."""
        self._lost.pop(memory_of(tensor), None)

    def belong_to_the_model(self, tensors: Iterable[torch.Tensor]) -> bool:
        """Whether the model owns one of some tensors."""
        return any(memory_of(tensor) in self._owned for tensor in tensors)

    @property
    def any_lost(self) -> bool:
        """Whether any values are lost."""
        return bool(self._lost)

    def stand_in(self, tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Return the tensor itself if its values are known, else zeros of its shape and strides."""
        weight = self._weights.specs.get(id(tensor))
        if self.has(tensor) and id(weight) not in self._specs.valueless:
            return tensor
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device).zero_()


def _lacks_memory(tensor: torch.Tensor) -> bool:
    """Whether a plain tensor was assigned the ``.data`` of an abstract one; kernels would crash on it."""
    if tensor.layout is not torch.strided or type(tensor) is not torch.Tensor:
        return False
    try:
        return tensor.data_ptr() == 0 and tensor.numel() > 0 and not tensor.is_meta
    except RuntimeError:  # inside vmap, for instance
        return False
