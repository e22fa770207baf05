"""From what a user passes as ``tensor`` to the arguments of a forward."""

from __future__ import annotations

from typing import Any

import torch

from thoplw.errors import InputError

_FORMS = (
    "a tensor, a tuple or list of positional inputs, a dict of keyword inputs, or a shape such as (1, 3, 224, 224), "
    "which stands for a float32 tensor"
)


def arguments(tensor: Any, *, real: bool = False) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of the forward.

    Args:
        tensor: a tensor; a tuple or list of positional inputs; a dict of keyword inputs; or a shape.
        real: whether the tensor that a shape stands for needs values; they are zeros then.

    Raises:
        InputError: it is none of these, or a shape with a negative size.
    """
    if isinstance(tensor, torch.Tensor):
        return (tensor,), {}
    if isinstance(tensor, dict):
        if not all(isinstance(name, str) for name in tensor):
            raise InputError(
                f"a dict gives keyword inputs, by name; its keys here are {list(tensor)!r}. "
                "For a dict as the one positional input, pass a tuple: (inputs,)."
            )
        return (), dict(tensor)
    if isinstance(tensor, (tuple, list)):
        if tensor and all(isinstance(size, int) and not isinstance(size, bool) for size in tensor):
            if min(tensor) < 0:
                raise InputError(f"a shape has no negative sizes: {tuple(tensor)!r}")
            return (torch.zeros(tuple(tensor), dtype=torch.float32, device="cpu" if real else "meta"),), {}
        return tuple(tensor), {}
    raise InputError(f"no input to run the model on: got {tensor!r}; give {_FORMS}.")


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """A copy of a tensor that lies in memory as the tensor does, gaps and repeated elements included.

    Example: a mask of shape ``(4, 6)`` that is expanded from one row, of strides ``(0, 1)``, is copied as six elements
    of strides ``(0, 1)``, where ``clone`` makes 24 of strides ``(6, 1)``.
    """
    copy = tensor.clone()
    if tensor.layout is not torch.strided or tensor.is_nested or copy.stride() == tensor.stride():
        return copy
    reach = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    if not tensor.numel():
        return tensor.new_empty_strided(tensor.shape, tensor.stride())
    return tensor.as_strided((reach,), (1,)).clone().as_strided(tensor.shape, tensor.stride())
