"""From what a user passes as ``tensor`` to the arguments of a forward."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch

from thoplw.capture.nesting import map_tensors
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


def entered(
    inputs: Any,
    tensors: Mapping[int, torch.Tensor],
    modules: Mapping[int, torch.nn.Module],
    enter: Callable[[torch.Tensor], torch.Tensor],
) -> Any:
    """A copy of inputs, whatever they are, with ``enter(tensor)`` for every tensor; the user's are left alone.

    What is one object in the inputs is one in the copy. What cannot be copied (a lock, a generator) is handed on as it
    is, beside containers whose tensors are replaced.

    Args:
        inputs: what the forward is to be given.
        tensors: all tensors inside, by their identity.
        modules: all modules inside: they are not copied.
        enter: gives what a tensor is replaced by.
    """
    memo: dict[int, Any] = {key: enter(tensor) for key, tensor in tensors.items()}
    try:
        return copy.deepcopy(inputs, {**memo, **modules})
    except Exception:  # what a class does to be copied may fail in any way
        return map_tensors(inputs, lambda tensor: memo[id(tensor)] if id(tensor) in memo else enter(tensor))
