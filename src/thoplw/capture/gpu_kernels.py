"""Which kernels torch takes on a CUDA GPU in place of those for the CPU, as far as they leave other tensors behind.

Example: ``dropout(x)`` multiplies by a mask of floats on the CPU. On a GPU one kernel does both, and autograd keeps a
mask of one byte an element. A run on abstract tensors claims the CPU, as autograd would look for a driver otherwise: so
composite operators are given the GPU's kernels here, and autograd does the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from thoplw.capture.torch_internals import efficient_attention

#: What cuBLAS is given to work in, from the first product of matrices on: by default 2 buffers of 4,096 KiB and 8 of
#: 16 KiB, as ``CUBLAS_WORKSPACE_CONFIG=:4096:2:16:8`` says it ("Reproducibility" in torch's documentation). On a GPU of
#: the generation of Hopper it is 32 MiB.
CUBLAS_WORKSPACE = 2 * 4096 * 1024 + 8 * 16 * 1024

#: Operators that cuBLAS computes.
PRODUCTS = frozenset(f"aten.{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "addmv", "mv", "dot", "_int_mm"))


class GpuKernels(TorchFunctionMode):
    """Has composite operators call the kernels of a CUDA GPU."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Call a function of torch, or what stands for it on a GPU."""
        instead = _INSTEAD.get(func)
        return (instead or func)(*args, **(kwargs or {}))


def _dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    if inplace or not training or not 0 < p < 1 or not input.numel():
        return torch.nn.functional.dropout(input, p, training, inplace)
    return torch.native_dropout(input, p, True)[0]


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Attention that keeps no scores, which torch chooses for float32, and for any type where there is a mask."""
    bare = any(each.dim() != 4 or each.is_nested for each in (query, key, value))
    if bare or enable_gqa or (attn_mask is not None and attn_mask.requires_grad):
        more = {"enable_gqa": True} if enable_gqa else {}
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **more
        )
    if attn_mask is not None:
        if attn_mask.dtype is torch.bool:
            added = torch.zeros_like(attn_mask, dtype=query.dtype)
            attn_mask = added.masked_fill_(attn_mask.logical_not(), -torch.inf)
        attn_mask = attn_mask.expand(*query.shape[:2], query.shape[2], key.shape[2])
    keeps = any(each.requires_grad for each in (query, key, value))
    return efficient_attention(query, key, value, attn_mask, keeps, dropout_p, is_causal, scale)


_INSTEAD: dict[Any, Any] = {
    torch.nn.functional.dropout: _dropout,
    torch.nn.functional.scaled_dot_product_attention: _attention,
}


@contextmanager
def over_lists(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Have an optimizer that was told nothing work over lists of tensors, as it does where its weights are on a GPU."""
    told = [group for group in optimizer.param_groups if "foreach" in group and _is_free(group)]
    for group in told:
        group["foreach"] = True
    try:
        yield
    finally:
        for group in told:
            group["foreach"] = None


def _is_free(group: dict[str, Any]) -> bool:
    """Whether torch chooses itself how to update, and may take lists."""
    chosen = group["foreach"] is not None or group.get("fused") or group.get("differentiable")
    return not chosen and not isinstance(group.get("lr"), torch.Tensor)
