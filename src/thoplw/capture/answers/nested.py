"""Answer operators on nested tensors of torch's older kind (``layout=torch.strided``), which have no shape.

An operator on a nested tensor is recorded once for each tensor inside, as a batch of one::

    linear([2, j, 8])   of lengths 5 and 3  ->  linear([1, 5, 8]), linear([1, 3, 8])

Jagged tensors need none of this: their class runs operators on their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, abstract
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import is_composite, target_of
from thoplw.capture.run import Run
from thoplw.capture.torch_internals import (
    VERSION,
    is_jagged,
    make_nested_wrapper,
    sizes_of_nested,
    unknown_to_jagged,
)
from thoplw.errors import InputError

#: The operator that makes a nested tensor from a list of tensors.
_MAKER = "aten._nested_tensor_from_tensor_list"

#: Operators that take sizes, which begin with the number of tensors inside.
_RESHAPES = frozenset({"aten.view", "aten.reshape", "aten._unsafe_view", "aten.expand"})


class AbstractNested(AbstractTensor):
    """A nested tensor in an abstract run.

    Attributes:
        parts: the tensors inside, each a batch of one.
    """

    parts: list[torch.Tensor]


def is_nested(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a nested one without a shape."""
    return tensor.is_nested and not is_jagged(tensor)


def makes_nested(func: Any) -> bool:
    """Whether an operator makes a nested tensor without a shape."""
    return target_of(func) == _MAKER


def replace_input(run: Run, tensor: torch.Tensor) -> torch.Tensor:
    """Return the abstract nested tensor for a nested tensor among the inputs."""
    shapes = [torch.empty(1, *sizes, dtype=tensor.dtype, device="meta") for sizes in sizes_of_nested(tensor).tolist()]
    return _of(run, [abstract(run.specs.of(part), run.device) for part in shapes])


def of_jagged(run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Leave an operator to the class of jagged tensors; if that does not know it, take the operator apart."""
    if unknown_to_jagged(func, args, kwargs) and is_composite(func):
        with run:
            return func.decompose(*args, **kwargs)
    return NotImplemented


def record_parts(run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
    """Record an operator that ran on nested tensors: one call for each tensor inside."""
    count = next(len(sizes_of_nested(tensor)) for tensor in tensors_in((args, kwargs, output)) if is_nested(tensor))

    def part(index: int, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.unbind()[index].unsqueeze(0) if is_nested(tensor) else _share(run, tensor, index, count)

    for index in range(count):
        some_args, some_kwargs, some_output = map_tensors((args, kwargs, output), partial(part, index))
        run.record_executed(func, some_args, some_kwargs, some_output)


def answer(run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer an operator that takes or makes an abstract nested tensor."""
    target = target_of(func)
    if target == _MAKER:
        with run:
            return _of(run, [tensor.unsqueeze(0) for tensor in args[0]])
    args, kwargs = map_tensors((args, kwargs), partial(_replaced_if_held, run))
    first = next(tensor for tensor in tensors_in((args, kwargs)) if type(tensor) is AbstractNested)
    if target in _WHOLE:
        return _WHOLE[target](run, first, *args[1:], **kwargs)
    if target in _RESHAPES:
        args = (args[0], [1, *args[1][1:]], *args[2:])
    outputs = []
    with run:
        for index in range(len(first.parts)):
            part = partial(_part, run, index, len(first.parts))
            outputs.append(func(*map_tensors(args, part), **map_tensors(kwargs, part)))
    return _gathered(run, outputs)


def _of(run: Run, parts: list[torch.Tensor]) -> AbstractNested:
    try:
        tensor: AbstractNested = make_nested_wrapper(AbstractNested, parts[0])
    except TypeError as error:
        raise InputError(f"nested tensors are counted with torch 2.2 or newer, and this is torch {VERSION}") from error
    tensor.parts = parts
    tensor.spec = run.specs.of_parts(torch.tensor([tuple(part.shape[1:]) for part in parts]), parts[0].dtype)
    tensor.token = id(tensor.spec)
    return tensor


def _replaced_if_held(run: Run, tensor: torch.Tensor) -> torch.Tensor:
    """Return the abstract nested tensor for one that the model holds; any other tensor as it is."""
    return replace_input(run, tensor) if is_nested(tensor) and type(tensor) is not AbstractNested else tensor


def _part(run: Run, index: int, count: int, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.parts[index] if type(tensor) is AbstractNested else _share(run, tensor, index, count)


def _share(run: Run, tensor: torch.Tensor, index: int, count: int) -> torch.Tensor:
    """Return the part of a dense tensor that is used with one tensor inside: a whole weight, or one of a batch."""
    batch = tensor.dim() > 2 and tensor.shape[0] == count and id(tensor) not in run.weights.tensors
    return tensor[index : index + 1] if batch else tensor


def _gathered(run: Run, outputs: list[Any]) -> Any:
    """Join the outputs for the tensors inside into nested tensors."""
    if isinstance(outputs[0], torch.Tensor):
        return _of(run, outputs)
    if isinstance(outputs[0], (tuple, list)):
        return type(outputs[0])(_gathered(run, list(each)) for each in zip(*outputs, strict=True))
    return outputs[0]


def _padded(run: Run, nested: AbstractNested, padding: float, output_size: Sequence[int] | None = None) -> torch.Tensor:
    sizes = output_size or (len(nested.parts), *_longest(nested))
    shape = torch.empty(*sizes, dtype=nested.dtype, device="meta")
    return abstract(run.specs.of(shape), run.device)


def _longest(nested: AbstractNested) -> list[int]:
    return [max(each) for each in zip(*(part.shape[1:] for part in nested.parts), strict=True)]


def _unbound(run: Run, nested: AbstractNested, *dim: int) -> list[torch.Tensor]:
    with run:
        return [part.squeeze(0) for part in nested.parts]


def _buffer(run: Run, nested: AbstractNested) -> torch.Tensor:
    shape = torch.empty(sum(part.numel() for part in nested.parts), dtype=nested.dtype, device="meta")
    return abstract(run.specs.of(shape), run.device)


def _size(run: Run, nested: AbstractNested, *dim: int) -> Any:
    """Return all sizes, or one of them; the longest if sizes differ, where torch would refuse on real tensors."""
    sizes = len(nested.parts), *_longest(nested)
    return sizes[dim[0]] if dim else sizes


def _sizes(run: Run, nested: AbstractNested) -> torch.Tensor:
    return torch.tensor([tuple(part.shape[1:]) for part in nested.parts])


def _rank(run: Run, nested: AbstractNested) -> int:
    return nested.parts[0].dim()


#: Operators that are answered for the nested tensor as a whole.
_WHOLE: dict[str, Callable[..., Any]] = {
    "aten.nested_to_padded_tensor": _padded,
    "aten.to_padded_tensor": _padded,
    "aten.unbind": _unbound,
    "aten.values": _buffer,
    "aten.size": _size,
    "aten.sym_size": _size,
    "aten.dim": _rank,
    "aten._nested_tensor_size": _sizes,
}
