"""Many dicts, remembered at once and put back: the attributes of all modules of a model.

A deep model has some thousand dicts, and as a rule a forward changes none of them. So all are copied into one list of
keys and one of values, and one comparison of lists tells that there is nothing to do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import chain, filterfalse, islice, repeat
from operator import is_, is_not
from typing import Any, NamedTuple

import torch


class Dicts:
    """The content of some dicts whose keys are strings, as it was."""

    def __init__(self, dicts: list[dict[str, Any]]) -> None:
        """Remember them."""
        self._dicts = dicts
        self._lengths, self._keys, self._values = _content(dicts)

    def restore(self) -> None:
        """Put everything back that is not the very same, in the same order."""
        lengths, keys, values = _content(self._dicts)
        if lengths == self._lengths and keys == self._keys and not _differ(values, self._values):
            return
        start = 0
        for each, length in zip(self._dicts, self._lengths, strict=True):
            keys, values = self._keys[start : start + length], self._values[start : start + length]
            start += length
            if [*each] != keys or _differ(each.values(), values):
                put_back(each, dict(zip(keys, values, strict=True)))

    def identities(self) -> Iterable[int]:
        """Those of the dicts."""
        return map(id, self._dicts)


def _content(dicts: list[dict[str, Any]]) -> tuple[list[int], list[str], list[Any]]:
    return list(map(len, dicts)), list(chain.from_iterable(dicts)), list(chain.from_iterable(map(dict.values, dicts)))


def _differ(one: Iterable[Any], other: Iterable[Any]) -> bool:
    return any(map(is_not, one, other))


def put_back(mapping: Any, before: dict[Any, Any], base: Any = dict) -> None:
    """Give a dict the content that it had, in the order that it had; nothing that was there is missing meanwhile."""
    put = base.__setitem__
    for key, value in before.items():
        put(mapping, key, value)
    for key in [key for key in base.__iter__(mapping) if key not in before]:
        base.__delitem__(mapping, key)
    if any(map(is_not, base.__iter__(mapping), before)):
        for key, value in before.items():
            base.pop(mapping, key)
            put(mapping, key, value)


class Contents(NamedTuple):
    """What the attributes of modules hold.

    Attributes:
        registries: the dicts of parameters, buffers and submodules that hold some.
        empty: containers that hold nothing: most of those that torch itself makes for hooks.
        others: everything else.
    """

    registries: list[dict[str, Any]]
    empty: list[Any]
    others: list[Any]


def contents_of(attributes: list[dict[str, Any]]) -> Contents:
    """What the attributes of modules hold; those that every module of torch has are looked through at once."""
    count = len(_FIRST)
    usual, others = attributes, list[Any]()
    if list(chain.from_iterable(map(islice, attributes, repeat(count)))) != _FIRST * len(attributes):
        usual = [each for each in attributes if [*islice(each, count)] == _FIRST]
        others += chain.from_iterable(each.values() for each in attributes if [*islice(each, count)] != _FIRST)
    others += chain.from_iterable(map(islice, map(dict.values, usual), repeat(count), repeat(None)))
    first = list(chain.from_iterable(map(islice, map(dict.values, usual), repeat(count))))
    registries = list(chain.from_iterable(first[position::count] for position in _REGISTRIES))
    hooks = list(chain.from_iterable(first[position::count] for position in _HOOKS))
    if not all(map(is_, map(type, registries), repeat(dict))):  # some are the user's own
        return Contents([], [], others + first)
    filled = list(filter(None, registries))
    empty = list(filterfalse(None, registries))
    if any(hooks):
        others += filter(None, hooks)
        empty += filterfalse(None, hooks)
    else:
        empty += hooks
    return Contents(filled, empty, others)


#: The attributes that a module of torch begins with: where it has its weights and modules, and hooks and the like.
_USUAL = vars(torch.nn.Module())
_FIRST = list(_USUAL)
_CONTAINERS = frozenset({dict, OrderedDict, set})
_REGISTRIES = [_FIRST.index(name) for name in ("_parameters", "_buffers", "_modules")]
_HOOKS = [
    position
    for position, value in enumerate(_USUAL.values())
    if type(value) in _CONTAINERS and position not in _REGISTRIES
]
