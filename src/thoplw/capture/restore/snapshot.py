"""Remember what objects hold, at any depth, before a run, and put it back afterwards.

For example, a module has ``self.cache = {"layers": [None]}``, and its forward writes to the list. The snapshot has a
copy of the dict and of the list. Numbers, strings, dtypes and the like hold nothing that can change, so they are
skipped by their class. Most attributes of modules are of this sort, which makes the snapshot cheap.
"""

from __future__ import annotations

import array
import enum
import functools
import logging
import mmap
import random
import sys
import threading
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, compress, filterfalse
from operator import attrgetter, is_, is_not
from typing import Any, NamedTuple

import torch

from thoplw.capture import scripted
from thoplw.capture.restore import streams
from thoplw.capture.restore.twins import Twins
from thoplw.capture.torch_internals import TENSOR_HOOKS, GradScaler, bytes_of

#: The most frequent classes whose objects hold nothing that can change. Their objects are skipped first.
ATOMS: frozenset[type] = frozenset(
    {bool, int, float, complex, str, bytes, type(None), type(...), torch.dtype, torch.device, torch.Size, range, slice}
)

#: Classes whose objects, also those of subclasses, hold nothing that is put back through them.
_OPAQUE = (type, types.ModuleType, types.BuiltinFunctionType, property, classmethod, staticmethod)

#: Packages whose objects are left alone, except containers and modules. In torch, for example, these are graphs.
_FOREIGN = frozenset("asyncio concurrent importlib logging multiprocessing re threading torch typing".split())

#: Containers that are copied with ``.copy()``. Most containers of a model are empty, namely the hooks of its modules.
_CONTAINERS = frozenset({dict, OrderedDict, list, set, deque})

_BUILTIN = _CONTAINERS | {tuple}

#: Class -> whether its objects hold something, for the classes that every model has.
_COMMON: dict[type, Any] = {**dict.fromkeys(ATOMS), **dict.fromkeys(_BUILTIN, True)}

_is_tuple = functools.partial(is_, tuple)
_is_no_string = functools.partial(is_not, str)

_Role = Callable[["Snapshot", Any, list[Any]], None]


class _Roles(dict[type, Any]):
    """Class -> the method that remembers its objects; falsy if they hold nothing.

    Attributes:
        others: whether there are classes besides the atoms and the containers of Python.
    """

    others = False

    def __missing__(self, cls: type) -> Any:
        role = self[cls] = _role_of(cls)
        if role is not None:
            self.others = True
        return role


class Snapshot:
    """The state of objects and of all that they hold.

    A snapshot restores these:

    - attributes, also in slots, of modules, of the user's objects and of their classes;
    - dicts, lists, sets and deques, and objects of classes derived from these;
    - NumPy arrays, other arrays of numbers, tables of pandas and images of PIL;
    - random generators, streams, loggers and errors;
    - variables in the closures of functions;
    - of each tensor, whether it requires gradients, its gradient, its attributes and its hooks.

    It does not restore the values of tensors.

    Attributes:
        tensors: every tensor that was met, by its identity.
        modules: every module that was met, by its identity.
        lost: sentences that say what a forward did that could not be put back; filled by :meth:`restore`.
        twins: the copies of attributes that the modules use during a run.
    """

    def __init__(self, beside: Snapshot | None = None, *, gradients: bool = True) -> None:
        """Start with nothing.

        Args:
            beside: another snapshot, whose objects are skipped.
            gradients: whether to read the gradient of each tensor; else :meth:`keep_gradient` is told of those that
                may change.
        """
        self.tensors: dict[int, torch.Tensor] = {}
        self.modules: dict[int, torch.nn.Module] = {}
        self.lost: list[str] = []
        # A reference to each object is kept, so that no new object can get its identity.
        self._met: dict[int, Any] = {} if beside is None else beside._met.copy()
        self._classes: dict[type, tuple[Any, ...]] = {}  # the slots of each
        self._roles = _Roles(_COMMON)
        self._kept: dict[int, tuple[Any, Any]] = {}  # containers that held something, with a copy of each
        self._emptied: list[Any] = []  # containers that were empty
        self.twins = Twins([])
        self._states: list[_States] = []
        self._reads_gradients = gradients
        self._gradients: dict[int, tuple[torch.Tensor, torch.Tensor | None]] = {}
        self._undo: list[Callable[[], None]] = []

    def add(self, values: Iterable[Any]) -> None:
        """Remember some objects and what they hold; skip objects that were remembered before."""
        level = list(values)
        known = len(self.tensors)
        while level:
            level = self._remember(level)
        if len(self.tensors) > known:
            self.add(self._keep_states(list(self.tensors.values())[known:]))

    def add_modules(self, modules: Sequence[torch.nn.Module], weights: Mapping[int, torch.Tensor]) -> None:
        """Remember all modules of a model, and their parameters and buffers. This is :meth:`add`, but faster."""
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
        for module in self.twins.others:
            if isinstance(module, torch.jit.ScriptModule):
                state = scripted.state_of(module)
                inner += state.values()
                self._undo.append(functools.partial(scripted.state_back, module, state))
        self.add(inner)

    def keep_gradient(self, tensor: torch.Tensor, gradient: torch.Tensor | None) -> bool:
        """Remember the gradient of a tensor that was met, if none is remembered; return whether that was so."""
        if id(tensor) not in self.tensors or id(tensor) in self._gradients:
            return False
        self._gradients[id(tensor)] = tensor, gradient
        return True

    def restore(self) -> None:
        """Put everything back.

        Missing items are put back before new ones are removed, so that an interrupted restore loses nothing.
        """
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
        for tensor, gradient in self._gradients.values():
            tensor.grad = gradient

    def identities(self) -> set[int]:
        """Return the identities of all objects and containers that were met."""
        return {*self._met, *self._kept}

    def _keep_states(self, tensors: Iterable[torch.Tensor]) -> list[Any]:
        """Remember what tensors have besides their values; return the objects found there that hold something."""
        tensors = list(tensors)
        requires = list(map(_REQUIRES, tensors))
        trained = list(compress(tensors, requires))  # only these have gradients and hooks
        leaves = list(compress(trained, map(_IS_LEAF, trained))) if self._reads_gradients else []
        states = _States(tensors, requires, trained, list(map(_HOOKS, trained)), leaves, list(map(_GRADIENT, leaves)))
        self._states.append(states)
        attributes = list(map(_ATTRIBUTES, tensors))
        self._emptied += filterfalse(None, attributes)
        held = (*states.gradients, *chain.from_iterable(states.hooks))
        return [*filter(None, attributes), *(each for each in held if each is not None)]

    def _remember(self, values: Iterable[Any]) -> list[Any]:
        """Remember objects, and return the objects that these hold."""
        values = list(values)
        roles = self._roles
        values = list(compress(values, map(roles.__getitem__, map(type, values))))
        if roles.others:
            builtin = list(compress(values, map(_BUILTIN.__contains__, map(type, values))))
        else:
            builtin, values = values, []
        self._emptied += filterfalse(None, builtin)  # most of these are the hooks of modules
        filled = list(filter(None, builtin))
        kinds = list(map(type, filled))
        # Tuples need not be remembered: a tuple can hold itself only through another object, which is remembered.
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

    # -- roles: each method remembers an object, and adds the objects that it holds to ``inner`` --

    def _tuple(self, value: Any, inner: list[Any]) -> None:
        base = tuple if isinstance(value, tuple) else frozenset
        inner.extend(base.__iter__(value))  # a subclass may refuse to be listed, or to tell its length

    def _dict(self, value: Any, inner: list[Any]) -> None:
        base = OrderedDict if isinstance(value, OrderedDict) else dict
        before = dict(base.items(value))
        self._undo.append(functools.partial(put_back, value, before, base))
        inner.extend(before.values())
        inner.extend(key for key in before if type(key) not in ATOMS)

    def _default_dict(self, value: Any, inner: list[Any]) -> None:
        self._dict(value, inner)
        self._undo.append(functools.partial(setattr, value, "default_factory", value.default_factory))
        inner.append(value.default_factory)

    def _list(self, value: Any, inner: list[Any]) -> None:
        before = list.copy(value)
        self._undo.append(functools.partial(list.__setitem__, value, slice(None), before))
        inner.extend(before)

    def _set(self, value: Any, inner: list[Any]) -> None:
        before = set(set.__iter__(value))
        self._undo.append(functools.partial(_set_back, value, before))
        inner.extend(before)

    def _deque(self, value: Any, inner: list[Any]) -> None:
        before = list(deque.__iter__(value))
        self._undo.append(functools.partial(deque_back, value, before))
        inner.extend(before)

    def _array(self, value: Any, inner: list[Any]) -> None:
        before = value[:]
        self._undo.append(lambda: value.__setitem__(slice(None), before))

    def _memory(self, value: Any, inner: list[Any]) -> None:
        try:
            view = memoryview(value)
        except ValueError:  # it was closed or released before
            return
        with view:
            if type(value) is memoryview:
                inner.append(value.obj)
            before = None if view.readonly or type(value) is memoryview else view.tobytes()
        place = value.tell() if isinstance(value, mmap.mmap) else None
        self._undo.append(functools.partial(_memory_back, value, before, place, self.lost.append))

    def _numpy(self, value: Any, inner: list[Any]) -> None:
        if value.dtype.hasobject:
            inner.extend(value.ravel().tolist())
        warns = value.flags.num < 0  # np.broadcast_arrays() makes such arrays; they warn when anybody looks or writes
        if value.base is None or (not warns and value.flags.writeable):
            self._undo.append(functools.partial(_numpy_back, value, value.copy(), value.flags.writeable))
        else:  # others may write to the memory that it shows
            inner.append(value.base)

    def _table(self, value: Any, inner: list[Any]) -> None:
        self._object(value, inner)
        self._undo.append(functools.partial(_table_back, value, value.copy()))

    def _image(self, value: Any, inner: list[Any]) -> None:
        self._object(value, inner)
        if getattr(value, "_im", None) is not None:  # else it is not read from its file yet
            self._undo.append(functools.partial(_image_back, value, value.tobytes()))

    def _generator(self, value: Any, inner: list[Any]) -> None:
        if hasattr(value, "bit_generator"):  # numpy.random.Generator
            value = value.bit_generator
        if hasattr(value, "state"):
            self._undo.append(functools.partial(setattr, value, "state", value.state))
            return
        get, put = ("getstate", "setstate") if isinstance(value, random.Random) else ("get_state", "set_state")
        try:
            state = getattr(value, get)()
        except NotImplementedError:  # random.SystemRandom has no state
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
            except ValueError:  # the variable is not assigned yet
                continue
            self._undo.append(functools.partial(setattr, cell, "cell_contents", content))
            inner.append(content)
        before = _OF_FUNCTION(value)
        self._undo.append(functools.partial(_function_back, value, before))
        inner += before[:-1]

    def _method(self, value: Any, inner: list[Any]) -> None:
        inner += (value.__self__, value.__func__)

    def _partial(self, value: Any, inner: list[Any]) -> None:
        inner += (value.func, value.args, value.keywords, value.__dict__)

    def _tensor(self, value: Any, inner: list[Any]) -> None:
        self.tensors[id(value)] = value

    def _storage(self, value: Any, inner: list[Any]) -> None:
        content = bytes_of(getattr(value, "_untyped_storage", value))
        self.tensors[id(content)] = content

    def _module(self, value: Any, inner: list[Any]) -> None:
        self.modules[id(value)] = value
        self._object(value, inner)

    def _error(self, value: Any, inner: list[Any]) -> None:
        self._object(value, inner)
        before = [each.__get__(value) for each in _OF_ERRORS]
        self._undo.append(functools.partial(_error_back, value, before))
        inner += before[:3]  # not the traceback: no forward looks into the calls in it

    def _member(self, value: Any, inner: list[Any]) -> None:
        inner.append(vars(value))  # not its class: a flag adds combinations of members to it

    def _object(self, value: Any, inner: list[Any]) -> None:
        attributes = attributes_of(value)
        if attributes is not None:
            inner.append(attributes)
        self._undo.append(functools.partial(_object_back, value, type(value), attributes))
        self._slots(type(value), inner)
        self._put_in_slots(value, inner)

    def _slots(self, cls: type, inner: list[Any]) -> None:
        """Remember a class, and which slots it has."""
        if cls not in self._classes:
            self._classes[cls] = slots_of(cls)
            for base in cls.__mro__:
                self._class(base, inner)

    def _put_in_slots(self, value: Any, inner: list[Any]) -> None:
        for slot in self._classes[type(value)]:
            try:
                before = slot.__get__(value)
            except AttributeError:  # the slot is empty
                self._undo.append(functools.partial(_slot_back, value, slot))
            else:
                inner.append(before)
                self._undo.append(functools.partial(slot.__set__, value, before))

    def _class(self, cls: type, inner: list[Any]) -> None:
        if id(cls) in self._met:  # true of most base classes of modules
            return
        self._met[id(cls)] = cls
        foreign = _package(cls) in _NOT_TO_CHANGE
        if foreign and not issubclass(cls, torch.nn.Module):
            return
        before = vars(cls).copy()
        self._undo.append(functools.partial(_class_back, cls, before))
        if not foreign:  # nobody changes what the attributes of torch's classes hold, nor those that Python adds
            inner.extend(
                value
                for name, value in before.items()
                if type(value) is not types.FunctionType and not name.startswith("__")
            )


#: Packages to whose classes models set no attributes, except to classes of modules.
_NOT_TO_CHANGE = frozenset({"builtins", "collections", "abc", "typing", *_FOREIGN})


def put_back(mapping: Any, before: dict[Any, Any], base: Any = dict) -> None:
    """Give a dict the items that it had, in the order that it had. No old item is missing at any moment."""
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
    """Give a deque the items that it had. One with a ``maxlen`` drops old items by itself as it is filled."""
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
        if name not in before and not name.startswith("__"):  # Python adds such names itself, for example slot names
            type.__delattr__(cls, name)


def _classes_back(modules: Sequence[torch.nn.Module], classes: list[type]) -> None:
    """Give modules the classes that they had; parametrizations, for example, replace them."""
    if list(map(type, modules)) != classes:
        for module, cls in zip(modules, classes, strict=True):
            if type(module) is not cls:
                module.__class__ = cls


def _object_back(value: Any, cls: type, attributes: dict[str, Any] | None) -> None:
    """Give an object the class and the dict of attributes that it had."""
    if type(value) is not cls:
        _CLASS.__set__(value, cls)
    if attributes is not None and attributes_of(value) is not attributes:
        with suppress(AttributeError):  # a proxy has the dict of what it stands for
            object.__setattr__(value, "__dict__", attributes)


def _memory_back(value: Any, before: bytes | None, place: int | None, say: Callable[[str], None]) -> None:
    """Give memory the bytes that it had, and a map of a file its place."""
    try:
        view = memoryview(value)
    except ValueError:
        say(f"closed or released a {type(value).__name__}")
        return
    with view:
        if before is not None:
            view.cast("B")[:] = before
    if place is not None:
        value.seek(place)


def _numpy_back(array: Any, before: Any, writeable: bool) -> None:
    """Give an array of NumPy its type, shape, values and flag."""
    if writeable or array.flags.writeable:
        if not array.flags.writeable:  # NumPy refuses to set this for an array of as_strided(), even if it is so
            array.flags.writeable = True
        if array.dtype != before.dtype:
            array.dtype = before.dtype
        if array.size != before.size:
            array.resize(before.shape, refcheck=False)
        elif array.shape != before.shape:
            array.shape = before.shape
        array[...] = before
        if not writeable:
            array.flags.writeable = False


def _function_back(function: Any, before: tuple[Any, ...]) -> None:
    """Give a function its attributes, its defaults and its code. Python is slower for a while where they are set."""
    if any(map(is_not, _OF_FUNCTION(function), before)):
        for name, value in zip(_NAMES_OF_FUNCTION, before, strict=True):
            setattr(function, name, value)


def _error_back(error: BaseException, before: list[Any]) -> None:
    """Give an error its arguments, its causes and its traceback; one that is on its way out keeps the new traceback."""
    for each, value in zip(_OF_ERRORS, before[:-1] if error is sys.exc_info()[1] else before, strict=False):
        each.__set__(error, value)


def _table_back(table: Any, before: Any) -> None:
    """Give a table or a column of pandas the values that it had."""
    with suppress(Exception):  # its cells may be tensors, for example, which are not simply equal or not
        if table.equals(before):
            return
    object.__setattr__(table, "_mgr", before._mgr)


def _image_back(image: Any, before: bytes) -> None:
    """Give an image of PIL the pixels that it had."""
    if image.tobytes() != before:
        image.frombytes(before)


def _logger_back(logger: logging.Logger, level: int) -> None:
    if logger.level != level:
        logger.setLevel(level)


def _slot_back(value: Any, slot: Any) -> None:
    """Empty a slot."""
    if hasattr(value, slot.__name__):
        slot.__delete__(value)


_REQUIRES, _IS_LEAF, _GRADIENT, _ATTRIBUTES = map(attrgetter, ("requires_grad", "is_leaf", "grad", "__dict__"))
_HOOKS = attrgetter(*TENSOR_HOOKS)
_NAMES_OF_FUNCTION = ("__dict__", "__defaults__", "__kwdefaults__", "__code__")
_OF_FUNCTION = attrgetter(*_NAMES_OF_FUNCTION)

#: Not ``value.__class__ = cls``: that calls a class's own ``__setattr__``.
_CLASS: Any = vars(object)["__class__"]

#: What every error has. To set the cause also sets whether the context is shown, hence this order.
_OF_ERRORS: tuple[Any, ...] = tuple(
    vars(BaseException)[name] for name in ("args", "__cause__", "__context__", "__suppress_context__", "__traceback__")
)


class _States(NamedTuple):
    """What tensors have besides their values.

    Attributes:
        tensors: the tensors.
        requires: whether each requires gradients.
        trained: those that require gradients.
        hooks: the hooks of each of ``trained``.
        leaves: the leaves among ``trained``.
        gradients: the gradient of each of ``leaves``.
    """

    tensors: list[torch.Tensor]
    requires: list[bool]
    trained: list[torch.Tensor]
    hooks: list[tuple[Any, ...]]
    leaves: list[torch.Tensor]
    gradients: list[torch.Tensor | None]

    def restore(self) -> None:
        """Put everything back. Compare first, because most forwards change nothing."""
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


def attributes_of(value: Any) -> dict[str, Any] | None:
    """Return the dict of an object's attributes; ``None`` if it has none.

    A proxy has a ``__dict__`` of its own, which raises as long as what it stands for does not exist.
    """
    try:
        attributes = getattr(value, "__dict__", None)
    except Exception:
        return None
    return attributes if type(attributes) is dict else None


def slots_of(cls: type) -> tuple[Any, ...]:
    """Return the descriptors of the slots of a class that is written in Python."""
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
    for base, role in chain(_ROLES.items(), _roles_of_others()):
        if issubclass(cls, base):
            return _and_attributes(role) if _has_state(cls) and not _has_state(base) else role
    if _package(cls) in _FOREIGN:
        return None
    if _has_state(cls):
        return Snapshot._object
    return Snapshot._stream if hasattr(cls, "__next__") else None


def _roles_of_others() -> Iterator[tuple[type, _Role]]:
    """Yield roles for classes of libraries that may not be imported."""
    for cls, *_ in streams.used():
        yield cls, Snapshot._stream
    if (numpy := sys.modules.get("numpy")) is not None:
        yield numpy.ndarray, Snapshot._numpy
        for cls in (numpy.random.Generator, numpy.random.RandomState, numpy.random.BitGenerator):
            yield cls, Snapshot._generator
    if (pandas := sys.modules.get("pandas")) is not None:
        yield pandas.DataFrame, Snapshot._table
        yield pandas.Series, Snapshot._table
    if (image := sys.modules.get("PIL.Image")) is not None:
        yield image.Image, Snapshot._image
    if (ctypes := sys.modules.get("_ctypes")) is not None:
        for cls in (ctypes._SimpleCData, ctypes.Structure, ctypes.Union, ctypes.Array):
            yield cls, Snapshot._memory


def _and_attributes(role: _Role) -> _Role:
    """Return a role that also remembers attributes, for a class that is derived from one without any."""

    def both(snapshot: Snapshot, value: Any, inner: list[Any]) -> None:
        role(snapshot, value, inner)
        snapshot._object(value, inner)

    return both


def _has_state(cls: type) -> bool:
    """Return whether objects of a class can have attributes, in a dictionary or in slots."""
    return cls.__dictoffset__ != 0 or bool(slots_of(cls))


#: Class -> the method that remembers its objects and those of its subclasses. The first class that fits counts.
_ROLES: dict[type, _Role] = {
    torch.Tensor: Snapshot._tensor,
    torch.nn.Module: Snapshot._module,
    torch.optim.Optimizer: Snapshot._object,
    torch.optim.lr_scheduler.LRScheduler: Snapshot._object,
    GradScaler: Snapshot._object,
    tuple: Snapshot._tuple,
    frozenset: Snapshot._tuple,
    defaultdict: Snapshot._default_dict,
    dict: Snapshot._dict,
    list: Snapshot._list,
    set: Snapshot._set,
    deque: Snapshot._deque,
    bytearray: Snapshot._array,
    array.array: Snapshot._array,
    types.FunctionType: Snapshot._function,
    types.MethodType: Snapshot._method,
    functools.partial: Snapshot._partial,
    random.Random: _and_attributes(Snapshot._generator),
    **dict.fromkeys(streams.STREAMS, Snapshot._stream),
    logging.Logger: Snapshot._logger,
    threading.local: Snapshot._object,
    BaseException: Snapshot._error,
    types.MappingProxyType: Snapshot._mapping,
    torch.Generator: Snapshot._generator,
    torch.UntypedStorage: Snapshot._storage,
    torch.storage.TypedStorage: Snapshot._storage,
    memoryview: Snapshot._memory,
    mmap.mmap: Snapshot._memory,
    enum.Enum: Snapshot._member,
}
