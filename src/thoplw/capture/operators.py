"""Facts about torch's operators."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import torch

from thoplw.capture.torch_internals import is_overload, is_written_in_operators, overload_name, schema_of
from thoplw.record import Call

_DECIDES_ON_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}

#: Operators that decide on values although no tag says so.
_DYNAMIC = frozenset(
    {
        "aten._is_all_true",
        "aten._pack_padded_sequence",
        "aten._pad_packed_sequence",
        "aten.is_nonzero",
        "torchvision.nms",
    }
)

#: Operators that decide on values only if an index is a mask. Their tags do not tell the difference.
INDEXING = frozenset({"aten.index", "aten.index_put", "aten.index_put_", "aten._index_put_impl_", "aten._unsafe_index"})


@cache
def target_of(func: Any) -> str:
    """Return an operator's name in records: ``aten.conv2d``, without the overload."""
    if is_higher_order(func):
        return f"higher_order.{func.name()}"
    namespace, _, name = schema_of(func).name.partition("::")
    return f"{namespace}.{name}"


def overload_of(func: Any) -> str:
    """Return the name of an operator's overload, such as ``default``."""
    return "default" if is_higher_order(func) else overload_name(func)


def operator_of(call: Call) -> Any:
    """Return the operator of a record, or ``None`` if its library is not loaded."""
    namespace, _, name = call.target.partition(".")
    packet = getattr(getattr(torch.ops, namespace), name, None)
    return getattr(packet, call.overload, None)


def is_higher_order(func: Any) -> bool:
    """Whether an operator takes functions, such as flex attention: it has neither schema nor overloads."""
    return not is_overload(func)


@cache
def is_composite(func: Any) -> bool:
    """Whether an operator is written in terms of other operators, which its ``decompose()`` runs."""
    return is_written_in_operators(func)


@cache
def decides_on_values(func: Any) -> bool:
    """Whether the output, a number or a shape, depends on the values of the inputs.

    This is false for a composite operator: if one of its parts decides on values, that part is asked.
    """
    tagged = not _DECIDES_ON_VALUES.isdisjoint(func.tags)
    return (tagged and not is_composite(func)) or target_of(func) in _DYNAMIC


@cache
def is_mutable(func: Any) -> bool:
    """Whether an operator writes to one of its arguments."""
    return bool(schema_of(func).is_mutable)


@cache
def makes_views(func: Any) -> bool:
    """Whether an operator returns views of an argument."""
    returned = [] if is_higher_order(func) else [each.alias_info for each in schema_of(func).returns]
    return any(alias is not None and not alias.is_write for alias in returned)


def places_of(func: Any) -> tuple[str, ...]:
    """Return the names of the arguments that an operator writes its results into."""
    return tuple(argument.name for argument in schema_of(func).arguments if argument.is_out)


@cache
def writes_statistics(func: Any) -> bool:
    """Whether an operator writes to running statistics, in training, without its schema saying so."""
    return target_of(func).endswith(("batch_norm", "_batch_norm_impl_index", "instance_norm"))


def written(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[torch.Tensor]:
    """The tensors that an operator writes to."""
    for position, name in _written_arguments(func):
        value = args[position] if position < len(args) else kwargs.get(name)
        yield from value if isinstance(value, (list, tuple)) else () if value is None else (value,)


@cache
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Positions and names of the arguments that an operator writes to."""
    statistics = ("running_mean", "running_var") if writes_statistics(func) else ()
    return tuple(
        (position, argument.name)
        for position, argument in enumerate(schema_of(func).arguments)
        if argument.name in statistics or (argument.alias_info is not None and argument.alias_info.is_write)
    )


def size_bound(args: Sequence[Any]) -> int:
    """Estimate how many elements an operator returns, from its broadcast arguments or the requested size."""
    shapes = [value.shape for value in args if isinstance(value, torch.Tensor)]
    if not shapes:
        size = args[0] if args else ()
        return math.prod(size) if isinstance(size, (list, tuple)) and all(isinstance(n, int) for n in size) else 0
    if len(shapes) == 1:
        return math.prod(shapes[0])
    rank = max(map(len, shapes))
    return math.prod(max(shape[-axis] for shape in shapes if len(shape) >= axis) for axis in range(1, rank + 1))
