"""Replace the user's weights by tensors without values that have the same identity.

For example, a model on the meta device is trained with ``torch.optim.AdamW(model.parameters())``. While the run lasts,
each parameter *is* an abstract tensor on the CPU. For the optimizer, closures and lists that hold the parameter nothing
changes, as it is the same object. So autograd finds every weight on one device, a gradient is never written to the
user's tensor, and no kernel can reach the user's memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from thoplw.capture.abstract import PLAIN, Specs, abstract
from thoplw.capture.torch_internals import SPARSE, TENSOR_HOOKS, exchange


@contextmanager
def stood_in_for(tensors: Iterable[torch.Tensor], specs: Specs, device: torch.device) -> Iterator[None]:
    """Replace tensors by abstract ones while this is entered. Hooks on gradients stay with the identity.

    These tensors are not replaced: tensor subclasses, tensors to which C++ holds a weak reference, single numbers,
    which a model may read, and sparse tensors without gradients.
    """
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    # The autocast cache holds weights by identity. It must not give casts of the user's weights to the stand-ins.
    torch.clear_autocast_cache()
    try:
        for tensor in tensors:
            readable = tensor.numel() == 1 and tensor.device == device
            sparse = tensor.layout in SPARSE and not tensor.requires_grad
            if type(tensor) not in PLAIN or not tensor.is_leaf or readable or sparse:
                continue
            twin = abstract(specs.of(tensor), device).requires_grad_(tensor.requires_grad)
            hooks = [getattr(tensor, name, None) for name in TENSOR_HOOKS]
            try:
                exchange(tensor, twin)
            except RuntimeError:
                continue
            pairs.append((tensor, twin))
            for name, each in zip(TENSOR_HOOKS, hooks, strict=True):
                if each:
                    setattr(tensor, name, each)
        yield
    finally:
        torch.clear_autocast_cache()
        for tensor, twin in reversed(pairs):
            exchange(tensor, twin)
