"""From what a user passes as ``tensor`` to the arguments of a forward."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from thoplw.errors import InputError

_FORMS = (
    "a tensor, a tuple or list of positional inputs, a dict of keyword inputs, or a shape such as (1, 3, 224, 224), "
    "which stands for a float32 tensor"
)


def arguments(
    tensor: Any, *, forward: Callable[..., Any] | None = None, real: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of the forward.

    Args:
        tensor: a tensor; a tuple or list of positional inputs; a dict of keyword inputs, or another mapping, such as
            what a tokenizer returns; or a shape.
        forward: what they are arguments of. It says whether a list is one input, see :func:`takes_list`.
        real: whether the tensor that a shape stands for needs values; they are zeros then.

    Raises:
        InputError: it is none of these, or a shape with a negative size.
    """
    if isinstance(tensor, torch.Tensor):
        return (tensor,), {}
    if isinstance(tensor, Mapping):
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
        if isinstance(tensor, list) and forward is not None and takes_list(forward, len(tensor)):
            return (tensor,), {}
        return tuple(tensor), {}
    raise InputError(f"no input to run the model on: got {tensor!r}; give {_FORMS}.")


def takes_list(forward: Callable[..., Any], count: int) -> bool:
    """Whether a list of so many is one input of a forward, as the pictures that a detection model takes are.

    It is where the first parameter is annotated as a list or named ``images``, and where the forward takes one argument
    and the list has several. A tuple never is.
    """
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):  # that of a scripted module, say
        return False
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if not positional or any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return False
    return (
        positional[0].name == "images"
        or re.match(r"(typing\.|collections\.abc\.)?([Ll]ist|Sequence)\[", _annotation(positional[0])) is not None
        or len(positional) == 1 < count
    )


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation  # a name, where the file says from __future__ import annotations
    return annotation if isinstance(annotation, str) else repr(annotation)
