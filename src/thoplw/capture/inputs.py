"""Turn the ``tensor`` of the user into arguments of the forward."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch

from thoplw.capture.nesting import map_tensors
from thoplw.errors import InputError

FORMS = (
    "a tensor, a tuple or list of positional inputs, a dict of keyword inputs, both as thoplw.Inputs(x, mask=m), or a "
    "shape such as (1, 3, 224, 224), which stands for a float32 tensor"
)


@dataclass(frozen=True, slots=True, init=False)
class Inputs:
    """Positional and keyword inputs together, as the forward takes them: ``Inputs(x, mask=m)``.

    It goes wherever ``tensor`` does: ``thoplw.profile(model, thoplw.Inputs(x, mask=m))``.

    Attributes:
        args: the positional ones.
        kwargs: the keyword ones.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        object.__setattr__(self, "args", args)
        object.__setattr__(self, "kwargs", kwargs)


def arguments(
    tensor: Any, *, forward: Callable[..., Any] | None = None, real: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments of the forward.

    Args:
        tensor: a tensor; a tuple or list of positional inputs; a dict of keyword inputs, or another mapping, such as
            what a tokenizer returns; both as :class:`Inputs`; or a shape.
        forward: the function that takes them, by which a list may be one input, see :func:`takes_list`.
        real: whether a shape stands for a tensor of zeros, instead of one without values.

    Raises:
        InputError: ``tensor`` is none of these, or a shape that no tensor can have.
    """
    if isinstance(tensor, torch.Tensor):
        return (tensor,), {}
    if isinstance(tensor, Inputs):
        return tensor.args, dict(tensor.kwargs)
    if isinstance(tensor, Mapping):
        if not all(isinstance(name, str) for name in tensor):
            raise InputError(
                f"a dict gives keyword inputs, by name; its keys here are {list(tensor)!r}. "
                "For a dict as the one positional input, pass a tuple: (inputs,)"
            )
        return (), dict(tensor)
    if isinstance(tensor, (tuple, list)):
        if tensor and all(isinstance(size, Integral) and not isinstance(size, bool) for size in tensor):
            return (_zeros(tuple(map(int, tensor)), real),), {}
        if isinstance(tensor, list) and forward is not None and takes_list(forward, len(tensor)):
            return (tensor,), {}
        return tuple(tensor), {}
    raise InputError(f"no input to run the model on: got {shortened(tensor)}{_instead(tensor)}; give {FORMS}")


def _instead(given: Any) -> str:
    """What to give in place of something that is often given for an input."""
    kind = type(given)
    if isinstance(given, torch.nn.Module):
        return ", a module: the model comes first, and its input second"
    if kind.__module__ == "numpy":
        return f", a NumPy array of shape {given.shape}: pass torch.from_numpy(array)"
    if isinstance(given, str):
        return ", a text: a shape is a tuple, such as (1, 3, 224, 224)"
    if given is None:
        return ", and thoplw.profile(model) tells parameters alone"
    if isinstance(given, int) and not isinstance(given, bool):
        return f", a number: a shape is a tuple, such as ({given},)"
    if isinstance(given, Iterable):
        return ": make it a list"
    return ", a function: pass what it returns" if inspect.isfunction(given) else ""


def shortened(value: object) -> str:
    """How a value is written in a message: on one line, and not long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


#: The most characters of a value that a message quotes.
_LONG = 60


def _zeros(shape: Sequence[int], real: bool) -> torch.Tensor:
    if min(shape) < 0:
        raise InputError(f"a shape has no negative sizes: {shape!r}")
    try:
        return torch.zeros(shape, dtype=torch.float32, device="cpu" if real else "meta")
    except (TypeError, RuntimeError, OverflowError, MemoryError) as error:  # larger than 64 bits say, or than memory
        raise InputError(f"torch makes no float32 tensor of shape {shape!r}; give a smaller one") from error


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor with its layout in memory, gaps and repeated elements included.

    For example, a mask of shape ``(4, 6)`` that is expanded from one row has strides ``(0, 1)``. It is copied as six
    elements with these strides; ``clone`` would make 24 elements with strides ``(6, 1)``.
    """
    twin = tensor.clone()
    if tensor.layout is not torch.strided or tensor.is_nested or twin.stride() == tensor.stride():
        return twin
    reach = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    if not tensor.numel():
        return tensor.new_empty_strided(tensor.shape, tensor.stride())
    return tensor.as_strided((reach,), (1,)).clone().as_strided(tensor.shape, tensor.stride())


def takes_list(forward: Callable[..., Any], count: int) -> bool:
    """Whether a list of ``count`` items is one input of a forward, such as the pictures for a detection model.

    It is one input if the first parameter is annotated as a list or named ``images``, or if the forward takes one
    argument and the list has several items. A tuple is never one input.
    """
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):  # for example the forward of a scripted module
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
    annotation = parameter.annotation  # a string, if the file says from __future__ import annotations
    return annotation if isinstance(annotation, str) else repr(annotation)


def copy_inputs(
    inputs: Any,
    tensors: Mapping[int, torch.Tensor],
    modules: Mapping[int, torch.nn.Module],
    replace: Callable[[torch.Tensor], torch.Tensor],
) -> Any:
    """Copy inputs of any kind with ``replace(tensor)`` in place of every tensor; the user's objects stay untouched.

    An object that comes twice in the inputs is one object in the copy, too. If the inputs cannot be copied, because of
    a lock or a generator, for example, only the tensors in their containers are replaced.

    Args:
        inputs: the inputs of the forward.
        tensors: all tensors inside, by their identity.
        modules: all modules inside, by their identity; they are not copied.
        replace: returns what replaces a tensor.
    """
    memo: dict[int, Any] = {key: replace(tensor) for key, tensor in tensors.items()}
    copies = {**memo, **modules}
    try:
        for key, tensor in tensors.items():
            if type(tensor) is torch.Tensor and memo[key] is not tensor and (attributes := vars(tensor)):
                vars(memo[key]).update(copy.deepcopy(attributes, copies))  # such as x.lengths = [3, 5]
        return copy.deepcopy(inputs, copies)
    except Exception:  # the __deepcopy__ of a class may fail in any way
        return map_tensors(inputs, lambda tensor: memo[id(tensor)] if id(tensor) in memo else replace(tensor))
