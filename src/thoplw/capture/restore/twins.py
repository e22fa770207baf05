"""Let modules use copies of their attributes during a run, so that what a forward sets goes with the copies.

For example, ``self.calls += 1`` in a forward writes to a copy. One assignment then restores the module. Comparing every
attribute with its old value would take longer than the run of many models.
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
        modules: the modules that can use copies.
        others: the modules that cannot, because they keep attributes in an unusual way or share the dict.
        attributes: the original ``__dict__`` of each of ``modules``.
    """

    def __init__(self, modules: Sequence[torch.nn.Module]) -> None:
        """Copy the attributes of each module, and the dicts of parameters, buffers and submodules among them."""
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
        """Return the containers that torch makes in every module, for hooks and the like. They are not copied."""
        return list(chain.from_iterable(map(_HOOKS, self.attributes)))

    def own(self) -> list[Any]:
        """Return the values of all attributes besides those that torch makes in every module. They are not copied."""
        values = map(dict.values, self.attributes)
        return list(chain.from_iterable(map(islice, values, repeat(len(_FIRST)), repeat(None))))

    def enter(self, training: bool | None = False) -> None:
        """Let the modules use the copies, in evaluation or training mode; ``None`` leaves the mode of each as it is."""
        # Not module.eval(): that reaches the children, and may be overridden (to merge weights, say).
        for twin in self._twins if training is not None else ():
            twin["training"] = training
        _give(self.modules, self._twins)

    def leave(self) -> None:
        """Let the modules use their own attributes again, and drop the copies."""
        _give(self.modules, self.attributes)
        self._twins.clear()


def _give(modules: Sequence[torch.nn.Module], attributes: Iterable[dict[str, Any]]) -> None:
    # A class may override __setattr__.
    deque(map(object.__setattr__, modules, repeat("__dict__"), attributes), 0)


def _are_usual(modules: Sequence[torch.nn.Module]) -> bool:
    """Return whether modules keep attributes as torch makes them, in dicts that nothing else refers to."""
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

#: The dicts from which parameters, buffers and submodules are read.
_REGISTRIES = ("_parameters", "_buffers", "_modules")

#: The class of each of these dicts; old releases of torch use OrderedDict.
_KINDS = [type(vars(torch.nn.Module())[name]) for name in _REGISTRIES]

#: The attributes that every new module has, in order. The containers among them, without the registries, are _HOOKS.
_FIRST = tuple(vars(torch.nn.Module()))
_HOOKS = itemgetter(
    *[name for name, value in vars(torch.nn.Module()).items() if hasattr(value, "clear") and name not in _REGISTRIES]
)

#: The reference counts of an object that is in a list here and in one other place.
_HELD = [object()]
_ALONE = {*map(getrefcount, [*_HELD])}
