"""Find what one call of a model leaves to the next: its cache, of any class and in any place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from thoplw.capture.abstract import Specs
from thoplw.capture.restore.snapshot import attributes_of, slots_of
from thoplw.capture.storages_run import storage_of
from thoplw.capture.torch_internals import running_mode
from thoplw.record import Held

#: The place of a tensor: the first index on the way to it, the class of the object that holds it, and its name there.
_Place = tuple[int, str, str]

#: Identity of a tensor -> the tensor and its place.
_Tensors = dict[int, tuple[torch.Tensor, _Place]]


class Enough(Exception):  # noqa: N818 # it is no error
    """All calls were made that were asked for."""


class StateRecorder:
    """Notes what each call of a model leaves to the next, and ends the calls when there were enough.

    Attributes:
        states: for each call, the tensors that it left to the next.
        calls: how many calls there were.
    """

    def __init__(self, model: nn.Module, most: int) -> None:
        self.states: list[tuple[Held, ...]] = []
        self.calls = 0
        self._most = most
        self._modules = list(model.named_modules())
        self._own = set(_of_modules(self._modules))
        self._left: _Tensors = {}
        self._inside: _Tensors = {}
        self._named: dict[str, _Tensors] = {}

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """When a call begins, note what the call before has left.

        Raises:
            Enough: there were enough calls, so this one does not begin.
        """
        if self.calls:
            again = _within(args, kwargs, None)
            found = self._inside | {key: each for key, each in self._left.items() if key in again}
            for name in self._named.keys() & kwargs.keys():  # passed on in parts, such as ``mems[0][-512:]``
                if self._named[name].keys().isdisjoint(again):
                    found |= self._named[name]
            kept = [each for each in found.values() if _counts(each[0])]
            self.states.append(_held(kept))
            if (run := running_mode()) is not None and hasattr(run, "handed_on"):
                run.handed_on(tensor for tensor, _ in kept)
        self._left, self._inside, self._named = {}, {}, {}
        if self.calls == self._most:
            raise Enough

    def end(self, left: Any) -> None:
        """If no call follows, note what the last call has left, as if it were passed to another call."""
        if self.calls == self._most:
            self.before(nn.Module(), (), dict(fields(left)))

    def after(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """When a call returns, note the tensors within reach of its inputs, its output and the modules."""
        self.calls += 1
        if (run := running_mode()) is not None and hasattr(run, "returned"):
            run.returned(output)
        self._left = _within(args, kwargs, output)
        self._named = {name: _within((), {name: value}, None) for name, value in fields(output)}
        self._inside = {key: each for key, each in _of_modules(self._modules).items() if key not in self._own}


def _counts(tensor: torch.Tensor) -> bool:
    """Whether a tensor counts as a part of the cache: a single number, which only tells a length, does not."""
    return tensor.dim() > 0


def _held(found: Iterable[tuple[torch.Tensor, _Place]]) -> tuple[Held, ...]:
    """Return records of tensors. If several lie in one storage, its bytes are divided by their numbers of elements."""
    specs = Specs()
    tensors = [(place, spec := specs.of(tensor), *storage_of(tensor, spec)) for tensor, place in found]
    shown, before = Counter[int](), Counter[int]()
    for _, spec, storage, _ in tensors:
        shown[storage] += spec.numel
    held: list[Held] = []
    for place, spec, storage, size in tensors:
        first = before[storage]
        before[storage] += spec.numel
        end, begin = (size * each // max(shown[storage], 1) for each in (before[storage], first))
        held.append(Held(*place, spec, end - begin))
    return tuple(held)


# -- what is within reach ----------------------------------------------------------------------------------------------


def _within(args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> _Tensors:
    """Return the tensors within reach of the output of a call, and those inside objects among its inputs."""
    found: _Tensors = {}
    roots = [*((f"input {at}", value) for at, value in enumerate(args)), *kwargs.items(), *fields(output)]
    for name, value in roots:
        _collect(value, name, found)
    return found


def fields(output: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a call returned, by name: the items of a mapping, or the whole as ``output``."""
    if isinstance(output, Mapping):
        yield from output.items()
    elif output is not None:
        yield "output", output


def _of_modules(modules: Sequence[tuple[str, nn.Module]]) -> _Tensors:
    """Return the tensors that modules have as plain attributes. RecurrentGemma keeps its states there."""
    found: _Tensors = {}
    others: set[type] = set()  # classes of attributes that are not tensors; most modules have only these
    for path, module in modules:
        attributes = vars(module)
        if others.issuperset(map(type, attributes.values())):
            continue
        others.update(type(value) for value in attributes.values() if not isinstance(value, torch.Tensor))
        for name, value in attributes.items():
            if isinstance(value, torch.Tensor):
                index = next((int(part) for part in path.split(".") if part.isdigit()), -1)
                found[id(value)] = value, (index, type(module).__name__, name)
    return found


#: What holds no tensors of a cache.
_OPAQUE = (nn.Module, type, FunctionType, BuiltinFunctionType, MethodType, ModuleType, str, bytes, torch.Generator)


def _collect(root: Any, name: str, found: _Tensors) -> None:
    """Add the tensors within reach of a value, with their places."""
    seen: set[int] = set()
    waiting: list[tuple[Any, _Place]] = [(root, (-1, name, name))]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, torch.Tensor):
            if inner := _inner(value):
                index, owner, way = place
                waiting += [(each, (index, owner, f"{way}.{name}")) for name, each in inner]
            else:
                found.setdefault(id(value), (value, place))
            continue
        if id(value) in seen or isinstance(value, _OPAQUE):
            continue
        seen.add(id(value))
        index, owner, way = place
        if isinstance(value, Mapping):
            waiting += [(each, (index, owner, f"{way}[{key!r}]")) for key, each in value.items()]
        elif isinstance(value, (tuple, list)) and index < 0:
            waiting += [(each, (at, owner, way)) for at, each in enumerate(value)]
        elif isinstance(value, (tuple, list)):
            waiting += [(each, (index, owner, f"{way}[{at}]")) for at, each in enumerate(value)]
        else:
            own = type(value).__name__
            waiting += [(each, (index, own, key)) for key, each in _attributes(value)]


def _inner(tensor: torch.Tensor) -> list[tuple[str, Any]]:
    """The tensors that one of a class of its own is made of, as those of quanto are of values, scales and shifts."""
    flatten = getattr(type(tensor), "__tensor_flatten__", None)
    return [] if flatten is None else [(name, getattr(tensor, name)) for name in flatten(tensor)[0]]


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from (attributes_of(value) or {}).items()
    for slot in slots_of(type(value)):
        try:
            yield slot.__name__, slot.__get__(value)
        except AttributeError:  # it has no value
            continue
