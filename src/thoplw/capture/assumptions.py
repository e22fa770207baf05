"""What an abstract run assumes where values would decide on a shape.

Each assumption is a sentence, for the report, and a function from the operator's arguments to what it returns then.
Positions come back as real tensors, so that they can go on steering the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from thoplw.abstract import AbstractTensor

Assume = Callable[..., Any]


def positions(x: torch.Tensor, share: float = 1) -> torch.Tensor:
    """The first of all positions in ``x``, as many as its share says: ``[*] -> [count, rank]``."""
    count = round(x.numel() * share)
    return torch.ones(tuple(x.shape), dtype=torch.bool).nonzero()[:count]


def _selected(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """``[*] [*] -> [count]``."""
    both = torch.empty(x.shape, device="meta") + torch.empty(mask.shape, device="meta")
    return torch.empty(both.numel(), dtype=x.dtype, device="meta")


def _boxes(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """``[N, 4] [N] -> [N]``."""
    return torch.arange(boxes.shape[0])


def _distinct(x: torch.Tensor, *options: Any, **more: Any) -> tuple[torch.Tensor, ...]:
    """``[*] -> [N] [*] [N]``: values, and for each element of the input where it went, and how often each came."""
    values = torch.empty(x.numel(), dtype=x.dtype, device="meta")
    places = torch.empty(tuple(x.shape), dtype=torch.int64, device="meta")
    return values, places, torch.empty(x.numel(), dtype=torch.int64, device="meta")


def _one(x: torch.Tensor) -> Any:
    """``[] -> number``. There is no good guess of a condition."""
    return NotImplemented if x.dtype == torch.bool else 1.0 if x.is_floating_point() else 1


def _holds(x: torch.Tensor) -> torch.Tensor:
    """``[*] -> []``: a check that fails would end the run."""
    return torch.tensor(True)


def _packed(x: torch.Tensor, lengths: torch.Tensor, batch_first: bool) -> Any:
    """``[T, N, *] [N] -> [sum of lengths, *] [T]``: the lengths decide, and are known as a rule."""
    if not _has_values(lengths):
        return NotImplemented
    _, sizes = torch._pack_padded_sequence(torch.empty(*x.shape[:2], 1), lengths, batch_first)
    return torch.empty(int(lengths.sum()), *x.shape[2:], dtype=x.dtype, device="meta"), sizes


def _padded(x: torch.Tensor, sizes: torch.Tensor, batch_first: bool, value: float, total: int) -> Any:
    """``[sum of lengths, *] [T] -> [T, N, *] [N]``: the other way round."""
    if not _has_values(sizes):
        return NotImplemented
    shape, lengths = torch._pad_packed_sequence(torch.empty(x.shape[0], 1), sizes, batch_first, value, total)
    return torch.empty(*shape.shape[:2], *x.shape[1:], dtype=x.dtype, device="meta"), lengths


def _has_values(tensor: torch.Tensor) -> bool:
    return type(tensor) is not AbstractTensor and not tensor.is_meta


_EVERY = "every candidate is kept"

#: Operator -> what is assumed (nothing, where it could not be otherwise), and what it returns then.
ASSUMPTIONS: Mapping[str, tuple[str, Assume]] = MappingProxyType(
    {
        "aten._local_scalar_dense": ("a number that was read is 1", _one),
        "aten._is_all_true": ("", _holds),
        "aten.nonzero": (_EVERY, positions),
        "aten._pack_padded_sequence": ("", _packed),
        "aten._pad_packed_sequence": ("", _padded),
        "aten.masked_select": (_EVERY, _selected),
        "aten._unique2": ("all values are distinct", _distinct),
        "torchvision.nms": (_EVERY, _boxes),
    }
)
