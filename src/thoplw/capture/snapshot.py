"""What some objects hold, at any depth, as it was: remembered before a run, put back after it.

For example a module holds ``self.cache = {"layers": [None]}``, and its forward writes to the list. A list is one of
the kinds in :class:`Snapshot`; numbers, strings, dtypes and the like hold nothing, and are passed over by their class,
all that a module of torch has at once. So most models cost next to nothing.
"""

from __future__ import annotations

import array
import enum
import functools
import logging
import random
import sys
import threading
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, compress, filterfalse
from operator import attrgetter, is_, is_not
from typing import Any, NamedTuple

import torch

from thoplw.capture import streams
from thoplw.capture.torch_internals import TENSOR_HOOKS, GradScaler
from thoplw.capture.twins import Twins

#: Classes whose objects hold nothing that can change; the most frequent, so that they need no second look.
ATOMS: frozenset[type] = frozenset(
    {bool, int, float, complex, str, bytes, type(None), type(...), torch.dtype, torch.device, torch.Size, range, slice}
)

#: Classes of which some may be derived: their objects hold nothing that is the user's to change here.
_OPAQUE = (type, types.ModuleType, types.BuiltinFunctionType, enum.Enum, property, classmethod, staticmethod)

#: Packages whose objects are left alone, as far as they are neither containers nor modules: of torch, say, graphs.
_FOREIGN = frozenset("asyncio concurrent importlib logging multiprocessing re threading torch typing".split())

#: Containers whose content can be copied at once. Most of a model's are empty: the hooks of its modules.
_CONTAINERS = frozenset({dict, OrderedDict, list, set, deque})

_BUILTIN = _CONTAINERS | {tuple}

#: Class -> whether its objects hold something, for those that are met at once.
_COMMON: dict[type, Any] = {**dict.fromkeys(ATOMS), **dict.fromkeys(_BUILTIN, True)}

_is_tuple = functools.partial(is_, tuple)
_is_no_string = functools.partial(is_not, str)

_Role = Callable[["Snapshot", Any, list[Any]], None]


class _Roles(dict[type, Any]):
    """What is done with objects of a class: falsy, where they hold nothing.

    Attributes:
        others: whether there are classes that are no containers of Python's own.
    """

    others = False

    def __missing__(self, cls: type) -> Any:
        role = self[cls] = _role_of(cls)
        if role is not None:
            self.others = True
        return role


class Snapshot:
    """The state of objects and of all that they hold.

    Restored are: attributes, also in slots; dicts, lists, sets and deques, and what is derived from them; NumPy arrays
    and other arrays of numbers; random generators; what functions keep in their closures; the attributes of classes, of
    modules and of the user's objects; of tensors whether they require gradients, their gradient, attributes, and hooks.
    What a tensor holds in memory is not kept here.

    Attributes:
        tensors: every tensor that was met, by its identity.
        modules: likewise every module.
        lost: what a forward did that cannot be put back, in words, once all else is.
        twins: what the modules of a model use while a run lasts.
    """

    def __init__(self, beside: Snapshot | None = None) -> None:
        """Start with nothing, and pass over the objects that another snapshot has."""
        self.tensors: dict[int, torch.Tensor] = {}
        self.modules: dict[int, torch.nn.Module] = {}
        self.lost: list[str] = []
        # Kept here, objects cannot lose their identity.
        self._met: dict[int, Any] = {} if beside is None else beside._met.copy()
        self._classes: dict[type, tuple[Any, ...]] = {}  # the slots of each
        self._roles = _Roles(_COMMON)
        self._kept: dict[int, tuple[Any, Any]] = {}  # containers that held something, and what
        self._emptied: list[Any] = []  # the others
        self.twins = Twins([])
        self._states: list[_States] = []
        self._undo: list[Callable[[], None]] = []

    def add(self, values: Iterable[Any]) -> None:
        """Remember some objects and what they hold; what is known already stays as it is."""
        level = list(values)
        known = len(self.tensors)
        while level:
            level = self._remember(level)
        if len(self.tensors) > known:
            self.add(self._keep_states(list(self.tensors.values())[known:]))

    def add_modules(self, modules: Sequence[torch.nn.Module], weights: Mapping[int, torch.Tensor]) -> None:
        """Remember modules, all of a model, and their parameters and buffers: as :meth:`add`, but all at once."""
        identities = dict(zip(map(id, modules), modules, strict=True))
        self.modules |= identities
        self._met |= identities
        self.tensors |= weights
        self._met |= weights
        inner: list[Any] = self._keep_states(weights.values())
        for cls in {*map(type, modules)}:
            self._slots(cls, inner)
        for module in modules if any(self._classes.values()) else ():
            self._put_in_slots(module, inner)
        self._undo.append(functools.partial(_classes_back, [*modules], [*map(type, modules)]))
        self.twins = Twins(modules)
        hooks = self.twins.hooks()
        if any(hooks):
            inner += filter(None, hooks)
            self._emptied += filterfalse(None, hooks)
        else:
            self._emptied += hooks
        inner += self.twins.own()
        inner += map(_ATTRIBUTES, self.twins.others)
        self.add(inner)

    def restore(self) -> None:
        """Put everything back. What is missing is put back before anything is removed: half done is better so."""
        for container, before in self._kept.values():
            if type(container) is not dict:
                _RESTORE[type(container)](container, before)
                continue
            container.update(before)
            if len(container) != len(before) or any(map(is_not, container, before)):
                put_back(container, before)
        for undo in self._undo:
            undo()
        for container in filter(None, self._emptied):
            container.clear()
        for states in self._states:
            states.restore()

    def identities(self) -> set[int]:
        """Those of all objects and containers that were met."""
        return {*self._met, *self._kept}

    def _keep_states(self, tensors: Iterable[torch.Tensor]) -> list[Any]:
        """Remember what tensors have besides their memory; return what these are, as far as they hold something."""
        tensors = list(tensors)
        requires = list(map(_REQUIRES, tensors))
        trained = list(compress(tensors, requires))  # others have neither gradients nor hooks
        leaves = list(compress(trained, map(_IS_LEAF, trained)))
        states = _States(tensors, requires, trained, list(map(_HOOKS, trained)), leaves, list(map(_GRADIENT, leaves)))
        self._states.append(states)
        attributes = list(map(_ATTRIBUTES, tensors))
        self._emptied += filterfalse(None, attributes)
        held = (*states.gradients, *chain.from_iterable(states.hooks))
        return [*filter(None, attributes), *(each for each in held if each is not None)]

    def _remember(self, values: Iterable[Any]) -> list[Any]:
        """Remember objects, and return what they hold."""
        values = list(values)
        roles = self._roles
        values = list(compress(values, map(roles.__getitem__, map(type, values))))
        if roles.others:
            builtin = list(compress(values, map(_BUILTIN.__contains__, map(type, values))))
        else:
            builtin, values = values, []
        self._emptied += filterfalse(None, builtin)  # most: the hooks of modules
        filled = list(filter(None, builtin))
        kinds = list(map(type, filled))
        # If a tuple holds itself, it is by way of something else.
        inner = list(chain.from_iterable(compress(filled, map(_is_tuple, kinds))))
        kept = self._kept
        for value in compress(filled, map(_CONTAINERS.__contains__, kinds)):
            if id(value) not in kept:
                kept[id(value)] = value, value.copy()
                if type(value) is dict or type(value) is OrderedDict:
                    inner += value.values()
                    inner += compress(value, map(_is_no_string, map(type, value)))
                else:
                    inner += value
        met = self._met
        for value in values:
            key = id(value)
            if type(value) not in _BUILTIN and key not in met:
                met[key] = value
                roles[type(value)](self, value, inner)
        return inner

    # -- roles: each remembers an object, and adds what that holds to ``inner`` --

    def _tuple(self, value: Any, inner: list[Any]) -> None:
        inner.extend(value)

    def _dict(self, value: Any, inner: list[Any]) -> None:
        base = OrderedDict if isinstance(value, OrderedDict) else dict
        before = dict(base.items(value))
        self._undo.append(functools.partial(put_back, value, before, base))
        inner.extend(before.values())
        inner.extend(key for key in before if type(key) not in ATOMS)
        self._object(value, inner)

    def _list(self, value: Any, inner: list[Any]) -> None:
        before = list.copy(value)
        self._undo.append(functools.partial(list.__setitem__, value, slice(None), before))
        inner.extend(before)
        self._object(value, inner)

    def _set(self, value: Any, inner: list[Any]) -> None:
        before = set(set.__iter__(value))
        self._undo.append(functools.partial(_set_back, value, before))
        inner.extend(before)
        self._object(value, inner)

    def _deque(self, value: Any, inner: list[Any]) -> None:
        before = list(deque.__iter__(value))
        self._undo.append(functools.partial(deque_back, value, before))
        inner.extend(before)
        self._object(value, inner)

    def _array(self, value: Any, inner: list[Any]) -> None:
        before = value[:]
        self._undo.append(lambda: value.__setitem__(slice(None), before))

    def _numpy(self, value: Any, inner: list[Any]) -> None:
        if value.dtype.hasobject:
            inner.extend(value.ravel().tolist())
        if not value.flags.writeable:
            return
        before, shape = value.copy(), value.shape

        def undo() -> None:
            value.flags.writeable = True
            if value.shape != shape:
                value.shape = shape
            value[...] = before

        self._undo.append(undo)

    def _generator(self, value: Any, inner: list[Any]) -> None:
        if hasattr(value, "bit_generator"):  # NumPy's new ones
            bits = value.bit_generator
            self._undo.append(functools.partial(setattr, bits, "state", bits.state))
            return
        get, put = ("getstate", "setstate") if isinstance(value, random.Random) else ("get_state", "set_state")
        try:
            state = getattr(value, get)()
        except NotImplementedError:  # the system's own has none
            return
        self._undo.append(functools.partial(getattr(value, put), state))

    def _stream(self, value: Any, inner: list[Any]) -> None:
        put_back = streams.keeper(value, self.lost.append)
        if put_back is not None:
            self._undo.append(put_back)

    def _logger(self, value: Any, inner: list[Any]) -> None:
        self._undo.append(functools.partial(_logger_back, value, value.level))
        for name in ("handlers", "filters"):
            inner.append(getattr(value, name))

    def _mapping(self, value: Any, inner: list[Any]) -> None:
        inner.extend(value.values())

    def _function(self, value: Any, inner: list[Any]) -> None:
        for cell in value.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:  # nothing yet
                continue
            self._undo.append(functools.partial(setattr, cell, "cell_contents", content))
            inner.append(content)
        inner.extend(value.__defaults__ or ())
        inner.extend((value.__kwdefaults__ or {}).values())
        inner.append(value.__dict__)

    def _method(self, value: Any, inner: list[Any]) -> None:
        inner += (value.__self__, value.__func__)

    def _partial(self, value: Any, inner: list[Any]) -> None:
        inner += (value.func, value.args, value.keywords)

    def _tensor(self, value: Any, inner: list[Any]) -> None:
        self.tensors[id(value)] = value

    def _module(self, value: Any, inner: list[Any]) -> None:
        self.modules[id(value)] = value
        self._object(value, inner)

    def _object(self, value: Any, inner: list[Any]) -> None:
        attributes = getattr(value, "__dict__", None)
        if type(attributes) is dict:
            inner.append(attributes)
        self._slots(type(value), inner)
        self._put_in_slots(value, inner)

    def _slots(self, cls: type, inner: list[Any]) -> None:
        """Get to know a class."""
        if cls not in self._classes:
            self._classes[cls] = slots_of(cls)
            for base in cls.__mro__:
                self._class(base, inner)

    def _put_in_slots(self, value: Any, inner: list[Any]) -> None:
        for slot in self._classes[type(value)]:
            try:
                before = slot.__get__(value)
            except AttributeError:  # it has no value
                self._undo.append(functools.partial(_slot_back, value, slot))
            else:
                inner.append(before)
                self._undo.append(functools.partial(slot.__set__, value, before))

    def _class(self, cls: type, inner: list[Any]) -> None:
        if id(cls) in self._met:  # as most bases of modules are
            return
        self._met[id(cls)] = cls
        foreign = _package(cls) in _NOT_TO_CHANGE
        if foreign and not issubclass(cls, torch.nn.Module):
            return
        before = vars(cls).copy()
        self._undo.append(functools.partial(_class_back, cls, before))
        if not foreign:  # what torch's hold themselves, nobody changes, nor what Python notes in a class
            inner.extend(
                value
                for name, value in before.items()
                if type(value) is not types.FunctionType and not name.startswith("__")
            )


#: Packages to whose classes, but for modules, models set no attributes of their own.
_NOT_TO_CHANGE = frozenset({"builtins", "collections", "abc", "typing", *_FOREIGN})


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


def list_back(items: list[Any], before: list[Any]) -> None:
    """Give a list the items that it had."""
    items[:] = before


def _set_back(items: set[Any], before: set[Any]) -> None:
    set.update(items, before)
    set.intersection_update(items, before)


def deque_back(items: deque[Any], before: Iterable[Any]) -> None:
    """Give a deque the items that it had; a full one lets go of as many as it is given."""
    kept = list(before)
    deque.extend(items, kept)
    while len(items) > len(kept):
        deque.popleft(items)


_RESTORE: dict[type, Callable[[Any, Any], None]] = {
    OrderedDict: lambda mapping, before: put_back(mapping, before, OrderedDict),
    list: list_back,
    set: _set_back,
    deque: deque_back,
}


def _class_back(cls: type, before: dict[str, Any]) -> None:
    if len(vars(cls)) == len(before) and not any(map(is_not, vars(cls).values(), before.values())):
        return
    for name, value in before.items():
        if vars(cls).get(name, cls) is not value:
            type.__setattr__(cls, name, value)
    for name in [*vars(cls)]:
        if name not in before and not name.startswith("__"):  # Python notes things there, copies of slots say
            type.__delattr__(cls, name)


def _classes_back(modules: Sequence[torch.nn.Module], classes: list[type]) -> None:
    """Give modules the classes that they had: parametrizations give them others."""
    if list(map(type, modules)) != classes:
        for module, cls in zip(modules, classes, strict=True):
            if type(module) is not cls:
                module.__class__ = cls


def _logger_back(logger: logging.Logger, level: int) -> None:
    if logger.level != level:
        logger.setLevel(level)


def _slot_back(value: Any, slot: Any) -> None:
    """Empty a slot."""
    if hasattr(value, slot.__name__):
        slot.__delete__(value)


_REQUIRES, _IS_LEAF, _GRADIENT, _ATTRIBUTES = map(attrgetter, ("requires_grad", "is_leaf", "grad", "__dict__"))
_HOOKS = attrgetter(*TENSOR_HOOKS)


class _States(NamedTuple):
    """Tensors, whether they require gradients; those that do, and their hooks; the leaves of these, and gradients."""

    tensors: list[torch.Tensor]
    requires: list[bool]
    trained: list[torch.Tensor]
    hooks: list[tuple[Any, ...]]
    leaves: list[torch.Tensor]
    gradients: list[torch.Tensor | None]

    def restore(self) -> None:
        """Put all back; as a rule there is nothing to do."""
        if list(map(_REQUIRES, self.tensors)) != self.requires:
            for tensor, requires in zip(self.tensors, self.requires, strict=True):
                if tensor.requires_grad != requires and tensor.is_leaf:
                    if not requires:
                        tensor.grad = None
                        _set_hooks(tensor, (None,) * len(TENSOR_HOOKS))
                    tensor.requires_grad_(requires)
        if list(map(_HOOKS, self.trained)) != self.hooks:
            for tensor, hooks in zip(self.trained, self.hooks, strict=True):
                _set_hooks(tensor, hooks)
        if any(map(is_not, map(_GRADIENT, self.leaves), self.gradients)):
            for tensor, gradient in zip(self.leaves, self.gradients, strict=True):
                tensor.grad = gradient


def _set_hooks(tensor: torch.Tensor, hooks: tuple[Any, ...]) -> None:
    for name, value in zip(TENSOR_HOOKS, hooks, strict=True):
        setattr(tensor, name, value)


def _package(cls: type) -> str:
    name = cls.__module__
    return name.partition(".")[0] if isinstance(name, str) else ""


def slots_of(cls: type) -> tuple[Any, ...]:
    """The descriptors of the slots of a class that is written in Python."""
    return tuple(
        descriptor
        for base in cls.__mro__
        if "__slots__" in vars(base)
        for descriptor in vars(base).values()
        if type(descriptor) is types.MemberDescriptorType
    )


def _role_of(cls: type) -> _Role | None:
    if issubclass(cls, _OPAQUE):
        return None
    for base, role in _ROLES.items():
        if issubclass(cls, base):
            return role
    if _package(cls) == "numpy":
        numpy = sys.modules["numpy"]
        if issubclass(cls, numpy.ndarray):
            return Snapshot._numpy
        is_generator = issubclass(cls, (numpy.random.Generator, numpy.random.RandomState))
        return Snapshot._generator if is_generator else None
    if _package(cls) in _FOREIGN:
        return None
    return Snapshot._object if hasattr(cls, "__dict__") and _has_state(cls) else None


def _has_state(cls: type) -> bool:
    """Whether objects of a class have attributes: a dictionary of them, or slots."""
    return cls.__dictoffset__ != 0 or bool(slots_of(cls))


#: Class -> what is done with its objects and with those of classes derived from it; the first that fits.
_ROLES: dict[type, _Role] = {
    torch.Tensor: Snapshot._tensor,
    torch.nn.Module: Snapshot._module,
    torch.optim.Optimizer: Snapshot._object,
    torch.optim.lr_scheduler.LRScheduler: Snapshot._object,
    GradScaler: Snapshot._object,
    tuple: Snapshot._tuple,
    frozenset: Snapshot._tuple,
    dict: Snapshot._dict,
    list: Snapshot._list,
    set: Snapshot._set,
    deque: Snapshot._deque,
    bytearray: Snapshot._array,
    array.array: Snapshot._array,
    types.FunctionType: Snapshot._function,
    types.MethodType: Snapshot._method,
    functools.partial: Snapshot._partial,
    random.Random: Snapshot._generator,
    **dict.fromkeys(streams.STREAMS, Snapshot._stream),
    logging.Logger: Snapshot._logger,
    threading.local: Snapshot._object,
    types.MappingProxyType: Snapshot._mapping,
    torch.optim.Optimizer: Snapshot._object,
    torch.Generator: Snapshot._generator,
}
