"""Large models in little memory: all their weights are views of one piece of it.

What a model multiplies does not depend on what its weights hold, so that a run with shared ones is as real as any
other, and a model of 70 billion parameters fits into a few gigabytes. Only when values decide (how long a sound lasts,
which expert takes a token) may the count be another one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


def piece(shape: torch.Size) -> int:
    """How many elements of memory a tensor of this shape needs: a stack of matrices may be one of them, repeated."""
    return shape.numel() if len(shape) < 3 else shape[1:].numel()


class SharedWeights(TorchDispatchMode):
    """What is allocated without values or as zeros while this is on, as weights are, shares a memory of random numbers.

    Initialisation of such tensors is left out. Small tensors are made as always, so that norms start from ones. A stack
    (the experts of a layer) that is larger than the memory is one piece, seen again and again.

    Args:
        elements: size of the memory: the largest :func:`piece` of a tensor.
        dtype: of the weights that share it.
    """

    SMALLEST = 1 << 14

    def __init__(self, elements: int, dtype: torch.dtype) -> None:
        super().__init__()
        random = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)) * 0.02
        self._memory = random.to(dtype).repeat(-(-elements // random.numel()))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and isinstance(args[0], torch.Tensor) and self._shares(args[0]):
            if func is torch.ops.aten.clone.default:
                return args[0].detach()
            if func._schema.name.endswith("_"):
                return args[0]
        if func in (torch.ops.aten.empty.memory_format, torch.ops.aten.zeros.default):
            # On the meta device, as the memory may not hold what is asked for.
            wanted = func(*args, **{**(kwargs or {}), "device": "meta"})
            if self._may_share(wanted, torch.device((kwargs or {}).get("device") or "cpu")):
                return self._view(wanted.shape)
        return func(*args, **(kwargs or {}))

    def _may_share(self, wanted: torch.Tensor, device: torch.device) -> bool:
        fits = wanted.numel() >= self.SMALLEST and piece(wanted.shape) <= self._memory.numel()
        return fits and device.type == "cpu" and wanted.dtype is self._memory.dtype

    def _view(self, shape: torch.Size) -> torch.Tensor:
        if shape.numel() <= self._memory.numel():
            return self._memory[: shape.numel()].view(shape)
        return self._memory[: piece(shape)].view(shape[1:]).expand(shape)

    def _shares(self, tensor: torch.Tensor) -> bool:
        return tensor.device.type == "cpu" and tensor.data_ptr() == self._memory.data_ptr()
