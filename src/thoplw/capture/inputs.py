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
