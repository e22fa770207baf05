"""Modules have copies of their attributes for as long as a run lasts: what a forward sets is gone with the copies.

For example ``self.calls += 1`` in a forward writes to a copy. To put a module back then takes one assignment, where to
compare what every attribute was with what it is takes longer than the run of many a model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, cycle, islice, repeat
from operator import attrgetter, is_, itemgetter
from sys import getrefcount
from typing import Any

import torch


class Twins:
    """Copies of the attributes of modules.

    Attributes:
        modules: those that can have some.
        others: modules that keep attributes in a way of their own, or in a dict that somebody else has, too.
        attributes: those of ``modules``, as they were.
    """

    def __init__(self, modules: Sequence[torch.nn.Module]) -> None:
        """Make the copies: of the attributes, and of the dicts of parameters, buffers and submodules among them."""
        self.modules, self.others = list(modules), list[torch.nn.Module]()
        if not _are_usual(modules):
            usual = [_are_usual([module]) for module in modules]
            self.modules = [module for module, can in zip(modules, usual, strict=True) if can]
            self.others = [module for module, can in zip(modules, usual, strict=True) if not can]
        self.attributes = list(map(_ATTRIBUTES, self.modules))
        self._twins = list(map(dict.copy, self.attributes))
        for twin in self._twins:
            for name in _REGISTRIES:
                twin[name] = twin[name].copy()

    def hooks(self) -> list[Any]:
        """The containers that torch makes for hooks and the like in every module: both share them."""
        return list(chain.from_iterable(map(_HOOKS, self.attributes)))

    def own(self) -> list[Any]:
        """All that modules hold besides what torch puts into every module: both share that, too."""
        values = map(dict.values, self.attributes)
        return list(chain.from_iterable(map(islice, values, repeat(len(_FIRST)), repeat(None))))

    def enter(self, training: bool | None = False) -> None:
        """Have the modules use the copies, in evaluation or training mode; ``None`` for that of each."""
        # Not module.eval(): that reaches the children, and may be overridden (to merge weights, say).
        for twin in self._twins if training is not None else ():
            twin["training"] = training
        _give(self.modules, self._twins)

    def leave(self) -> None:
        """Have the modules use what they had, and let go of the copies."""
        _give(self.modules, self.attributes)
        self._twins.clear()


def _give(modules: Sequence[torch.nn.Module], attributes: Iterable[dict[str, Any]]) -> None:
    # A class may have ways of its own to set attributes.
    deque(map(object.__setattr__, modules, repeat("__dict__"), attributes), 0)


def _are_usual(modules: Sequence[torch.nn.Module]) -> bool:
    """Whether modules keep attributes as torch makes them, in dicts that nobody else has."""
    attributes = list(map(_ATTRIBUTES, modules))
    try:
        registries = list(chain.from_iterable(map(itemgetter(*_REGISTRIES), attributes)))
    except (KeyError, TypeError):
        return False
    return (
        all(map(is_, map(type, attributes), repeat(dict)))
        and all(map(is_, map(type, registries), cycle(_KINDS)))
        and {each[: len(_FIRST)] for each in {*map(tuple, attributes)}} == {_FIRST}  # few, as classes are
        and {*map(getrefcount, attributes), *map(getrefcount, registries)} <= _ALONE
    )


_ATTRIBUTES = attrgetter("__dict__")

#: Where modules keep what the weights of a model are read from.
_REGISTRIES = ("_parameters", "_buffers", "_modules")

#: The dicts that those are: ordered ones with old releases of torch.
_KINDS = [type(vars(torch.nn.Module())[name]) for name in _REGISTRIES]

#: The attributes that a module of torch begins with, and those among them that are containers.
_FIRST = tuple(vars(torch.nn.Module()))
_HOOKS = itemgetter(
    *[name for name, value in vars(torch.nn.Module()).items() if hasattr(value, "clear") and name not in _REGISTRIES]
)

#: How often something counts as held that is in a list here and in one other place.
_HELD = [object()]
_ALONE = {*map(getrefcount, [*_HELD])}
