"""Tensors inside nested tuples, lists, dicts and dataclasses."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch

#: Known to hold no tensors: most of the arguments of operators.
_PLAIN = frozenset({int, float, bool, str, type(None), torch.dtype, torch.device})


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in ``value``, in order. Objects of other classes are not looked into."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            if isinstance(item, torch.Tensor):
                yield item
            elif type(item) not in _PLAIN:
                yield from tensors_in(item)
    elif isinstance(value, Mapping):
        yield from tensors_in([*value.values()])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from tensors_in(getattr(value, field.name, None))


def map_tensors(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """A copy of ``value`` with every tensor replaced by ``change(tensor)``; ``value`` itself is left alone."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (tuple, list)):
        items = [map_tensors(item, change) for item in value]
        return items if type(value) is list else _like(value, items)
    if isinstance(value, MutableMapping):
        twin = copy.copy(value)
        for key, item in value.items():
            changed = map_tensors(item, change)
            if changed is not item:  # a class may refuse to be written to
                twin[key] = changed
        return twin
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        replica = copy.copy(value)
        for field in dataclasses.fields(value):
            # A frozen dataclass refuses plain assignment, even on a copy that nobody has seen yet.
            object.__setattr__(replica, field.name, map_tensors(getattr(value, field.name), change))
        return replica
    return value


def _like(value: Any, items: list[Any]) -> Any:
    """Return a tuple or list of the class of ``value`` with other items, without calling a constructor of the class."""
    cls = type(value)
    if isinstance(value, list):
        twin = copy.copy(value)
        list.__setitem__(twin, slice(None), items)
        return twin
    try:
        twin = tuple.__new__(cls, items)
    except TypeError:  # a class of C, such as torch.Size
        return cls(items)
    if hasattr(value, "__dict__"):
        vars(twin).update(vars(value))
    return twin
