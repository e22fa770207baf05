"""Large models in little memory: all their weights are views of one piece of it.

What a model multiplies does not depend on what its weights hold, so that a run with shared ones is as real as any
other, and a model of 70 billion parameters fits into a few gigabytes. Only when values decide (how long a sound lasts,
which expert takes a token) may the count be another one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class SharedWeights(TorchDispatchMode):
    """What is allocated without values while this is on, as weights are, shares a memory of small random numbers.

    Initialisation of such tensors is left out. Small tensors are made as always, so that norms start from ones.

    Args:
        elements: size of the memory: of the largest tensor.
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
                return args[0].view(args[0].shape)
            if func._schema.name.endswith("_"):
                return args[0]
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.empty.memory_format and self._may_share(out):
            return self._memory[: out.numel()].view(out.shape)
        return out

    def _may_share(self, tensor: torch.Tensor) -> bool:
        fits = self.SMALLEST <= tensor.numel() <= self._memory.numel()
        return fits and tensor.device.type == "cpu" and tensor.dtype is self._memory.dtype

    def _shares(self, tensor: torch.Tensor) -> bool:
        return tensor.device.type == "cpu" and tensor.data_ptr() == self._memory.data_ptr()
