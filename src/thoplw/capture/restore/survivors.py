"""Find the tensors that a run made and that outlive it, and remove them from whatever holds them.

For example, a model keeps tables in a dict of its file: ``TABLES[length] = table``. After an abstract run the table has
a shape but no values, and the next real forward would find it there. :mod:`.snapshot` restores what modules and inputs
hold; this file is for everything else.

Every abstract tensor adds one to the reference count of its class. So this count tells at no cost whether any tensor
survived, and most runs need no search.
"""

from __future__ import annotations

import gc
import sys
import sysconfig
import threading
import types
import weakref
from abc import ABCMeta
from collections import ChainMap, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import _lru_cache_wrapper, cache
from itertools import chain, compress, repeat
from operator import is_
from pathlib import Path
from queue import Queue
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.capture.restore.snapshot import ATOMS, Snapshot, attributes_of, deque_back, list_back, put_back, slots_of

#: Classes whose objects a file may keep tensors in, besides the classes that it defines itself.
_CONTAINERS = frozenset({dict, OrderedDict, defaultdict, list, set, deque})
_HOLDERS = frozenset({threading.local, types.SimpleNamespace, ChainMap, UserDict, UserList, Queue})

#: Class of a container -> a function that copies its content without calling methods that a subclass overrides.
_CONTENTS: dict[type, Callable[[Any], Any]] = {
    OrderedDict: lambda holder: dict(OrderedDict.items(holder)),
    dict: dict.copy,
    list: list.copy,
    set: lambda holder: {*set.__iter__(holder)},
    deque: lambda holder: [*deque.__iter__(holder)],
}
_DERIVED = tuple(_CONTENTS)

#: Metaclasses of the classes that are noted. Enumerations are left out: nobody sets their many attributes.
_CLASSES = frozenset({type, ABCMeta})

#: The class of NumPy's arrays, if NumPy is imported.
_ARRAY = getattr(sys.modules.get("numpy"), "ndarray", None)

#: Packages whose files hold no tensors of a model.
_NOT_OF_MODELS = frozenset({"torch", "builtins", "abc", "typing", "collections"})

#: Files that import others are followed up to this many files.
_MOST_FILES = 32

#: Where Python, packages and thoplw itself are installed.
_INSTALLED = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    str(Path(__file__).parents[2]),
)

#: Class -> the attribute by which its objects tell of a file.
_OF_FILES = {types.ModuleType: "__name__", types.FunctionType: "__module__", type: "__module__", ABCMeta: "__module__"}

#: The search follows this many levels of holders, such as a tuple in a dict in an object. Each level costs a search.
_LEVELS = 8

#: If the search for frames meets more holders than this, it takes it that something besides frames is among them.
_MOST = 50


class _Roles(dict[type, Any]):
    """Class -> the method of :class:`Survivors` that notes its objects; ``None`` if they are not noted."""

    def __init__(self, file: str, installed: bool) -> None:
        """Start with the classes that are skipped in all files."""
        super().__init__(dict.fromkeys(ATOMS))
        self._file, self._installed = file, installed
        self._of_functions = Survivors._function if installed else Survivors._function_of_user

    def __missing__(self, cls: type) -> Any:
        if cls is AbstractTensor:  # left by an earlier run; to keep the class here would count as one more tensor
            return None
        role = self[cls] = self._role_of(cls)
        return role

    def _role_of(self, cls: type) -> Any:
        if cls is types.FunctionType:
            return self._of_functions
        if cls in _CLASSES:
            return self._note_class
        if cls is _ARRAY:
            return Survivors._array
        if issubclass(cls, _DERIVED):
            return Survivors._container
        own = cls.__module__ == self._file and (cls.__dictoffset__ or slots_of(cls))
        return Survivors._object if own or cls in _HOLDERS else None

    def _note_class(self, survivors: Survivors, cls: type, inner: list[Any]) -> None:
        # The snapshot has the classes of modules.
        if cls.__module__ == self._file and not issubclass(cls, torch.nn.Module):
            survivors._class(cls, inner)
            inner += () if self._installed else _methods(cls)


#: Abstract tensors that earlier runs could not remove, most of them in frames of a caught error.
_LEFT: list[weakref.ref[torch.Tensor]] = []

#: An object that holds a tensor, and where in it, such as ".last" or "['table']".
Unknown = tuple[Any, str]


class Survivors:
    """The tensors that a run made and that still exist after it."""

    def __init__(self, modules: Sequence[torch.nn.Module], snapshot: Snapshot) -> None:
        """Count the abstract tensors, and note the variables of files that may keep some.

        These are the files that define the classes of ``modules`` and, unless they belong to an installed package, the
        files of the user that these import.
        """
        self._snapshot = snapshot
        classes = {base for cls in {*map(type, modules)} for base in cls.__mro__}
        files = {base.__module__ for base in classes}
        # Identity of a holder -> the holder, kept so that its identity stays its own, and a copy of its content.
        self._around: dict[int, tuple[Any, Any]] = {}
        # NumPy arrays of objects and their copies. The garbage collector does not know what these hold.
        self._arrays: list[tuple[Any, Any]] = []
        names = list(files)
        for name in names:  # grows
            file = sys.modules.get(name)
            if file is not None and name.partition(".")[0] not in _NOT_OF_MODELS:
                installed = _is_installed(getattr(file, "__file__", ""))
                own = [] if installed else [cls for cls in classes if cls.__module__ == name]
                methods = [*chain.from_iterable(map(_methods, own))]
                self._note(name, vars(file), installed, methods)
                if len(names) < _MOST_FILES and not installed:
                    names += _imported(vars(file)).difference(names)
        # If one of these died during the run, it would hide a new one from the count.
        self._left = _still_left() if _LEFT else []
        self._alive = sys.getrefcount(AbstractTensor)

    def _note(self, name: str, variables: dict[str, Any], installed: bool, methods: list[Any]) -> None:
        """Note the variables of a file and methods, and what the containers, classes and objects among them hold."""
        self._around[id(variables)] = variables, variables.copy()
        roles = _Roles(name, installed)
        # Python adds names such as __builtins__ itself.
        level = [value for key, value in variables.items() if not key.startswith("__")]
        level += methods
        while level:
            inner: list[Any] = []
            for value in compress(level, map(roles.__getitem__, map(type, level))):
                if id(value) not in self._around:
                    roles[type(value)](self, value, inner)
            level = inner

    # -- roles: each method notes what a value holds, and adds to ``inner`` the objects that may hold more --

    def _container(self, holder: Any, inner: list[Any]) -> None:
        content = _content_of(holder)
        self._around[id(holder)] = holder, content
        items = content.values() if isinstance(holder, dict) else content
        if not ATOMS.issuperset(map(type, items)):  # false of a list of a thousand names, for example
            inner += items
        if type(holder) not in _CONTAINERS:
            self._attributes(holder, inner)

    def _attributes(self, holder: Any, inner: list[Any]) -> None:
        attributes = attributes_of(holder)
        if attributes is not None and id(attributes) not in self._around:
            self._around[id(attributes)] = attributes, attributes.copy()
            inner += attributes.values()

    def _object(self, holder: Any, inner: list[Any]) -> None:
        if slots_of(type(holder)):
            content = _in_slots(holder)
            self._around[id(holder)] = holder, content
            inner += content.values()
        self._attributes(holder, inner)

    def _function(self, function: Any, inner: list[Any]) -> None:
        if attributes := function.__dict__:
            self._around[id(attributes)] = attributes, attributes.copy()

    def _function_of_user(self, function: Any, inner: list[Any]) -> None:
        self._function(function, inner)
        inner += function.__defaults__ or ()
        inner += (function.__kwdefaults__ or {}).values()
        if function.__closure__:
            self._around[id(function)] = function, None  # it may hold itself
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # the variable is not assigned yet
                inner.append(cell.cell_contents)

    def _class(self, cls: type, inner: list[Any]) -> None:
        attributes = vars(cls).copy()
        self._around[id(cls)] = cls, attributes
        inner += compress(attributes.values(), map(_CONTAINERS.__contains__, map(type, attributes.values())))

    def _array(self, array: Any, inner: list[Any]) -> None:
        if array.dtype.hasobject:
            self._around[id(array)] = array, None
            self._arrays.append((array, array.copy()))
            inner += array.ravel().tolist()

    def _before(self, holder: Any) -> Any:
        """Return what a holder held before the run; ``None`` if that is not known."""
        return self._around.get(id(holder), (None, None))[1]

    def forget(self, specs: Specs, made: Callable[[], list[torch.Tensor]], keeper: Any = None) -> list[Unknown]:
        """Remove the abstract tensors of a run, and other tensors that it made, from whatever holds them.

        Args:
            specs: the specs of the run, by which its tensors are recognised.
            made: returns the tensors with values that the run made and that still exist.
            keeper: an object that may keep tensors of the run.

        Returns:
            The holders that still hold a tensor, because it is not known what they held before. Pass them to
            :func:`names_of` for the names of those that matter.
        """
        if not (self._number() > 0 or made()):
            return []
        kept = Snapshot(beside=self._snapshot)
        kept.add([keeper])
        known = sum(type(tensor) is AbstractTensor for tensor in kept.tensors.values())
        if not (self._number() > known or made()):
            return []
        met = {id(self), id(self._left), *kept.identities()}
        del kept
        # Collection was off during the run, and a recursive function keeps its variables in a cycle until it is on.
        gc.collect(1)
        if not (self._number() > known or made()):
            return []
        unknown: list[Unknown] = []
        with _nothing_frozen():
            objects = gc.get_objects()
            abstract = compress(objects, map(is_, map(type, objects), repeat(AbstractTensor)))
            own = [each for each in abstract if specs.knows(each.spec)]
            doomed: list[Any] = [*made(), *own]
            _LEFT.extend(map(weakref.ref, own))  # those that are removed now die with ``doomed``
            del objects, abstract, own
            for _ in range(_LEVELS):
                if not doomed:
                    break
                met.add(id(doomed))
                doomed = self._release(doomed, unknown, met)
        for array, content in self._arrays:
            array[...] = content
        return unknown

    def _number(self) -> int:
        """Return how many abstract tensors there are now that did not exist before the run."""
        return sys.getrefcount(AbstractTensor) - self._alive

    def _release(self, doomed: list[Any], unknown: list[Unknown], met: set[int]) -> list[Any]:
        """Remove tensors from their holders; return the holders that must be removed from their own holders instead.

        For example, a tuple cannot be changed, so it must go from the list that it is in.
        """
        identities = {*map(id, doomed)}
        higher: list[Any] = []
        met |= {*identities, id(higher)}
        for holder in gc.get_referrers(*doomed):
            if isinstance(holder, _lru_cache_wrapper):  # also if a snapshot met it, which cannot restore it
                holder.cache_clear()
            elif id(holder) in met or isinstance(holder, _PASSING):
                continue
            elif isinstance(holder, BaseException):
                unknown.append((holder, ".args"))
            elif isinstance(holder, dict):
                self._from_dict(holder, identities, unknown, _owner_of(holder))
            elif isinstance(holder, (list, deque)):
                self._from_sequence(holder, identities, unknown)
            elif isinstance(holder, set):
                for item in [item for item in set.__iter__(holder) if id(item) in identities]:
                    set.discard(holder, item)
            elif isinstance(holder, types.CellType):
                unknown.append((holder, ""))
            elif _holds_in_attributes(holder, identities):
                self._from_dict(vars(holder), identities, unknown, holder)
            elif slots := [name for name, value in _in_slots(holder).items() if id(value) in identities]:
                self._from_slots(holder, slots, unknown)
            elif isinstance(holder, (tuple, frozenset)) or gc.is_tracked(holder):
                higher.append(holder)
        return higher

    def _from_dict(self, holder: dict[Any, Any], doomed: set[int], unknown: list[Unknown], owner: Any = None) -> None:
        before = self._before(holder)
        if isinstance(owner, type):
            before = self._before(owner)
        elif before is None and isinstance(owner, types.FunctionType) and id(owner.__globals__) in self._around:
            before = {}  # the functions of this file that had attributes were noted, and this is none of them
        file = holder.get("__name__") if owner is None else None
        is_file = isinstance(file, str) and getattr(sys.modules.get(file), "__dict__", None) is holder
        owned = owner is not None or is_file
        base = OrderedDict if isinstance(holder, OrderedDict) else dict
        if before is not None and not owned and doomed.isdisjoint(map(id, before.values())):
            put_back(holder, before, base)  # this also restores items that were dropped to make room
            return
        for key in [key for key, value in base.items(holder) if id(value) in doomed or id(key) in doomed]:
            known = before is not None and id(before.get(key)) not in doomed
            if known and key in before and isinstance(owner, type):
                type.__setattr__(owner, key, before[key])
            elif known and isinstance(owner, type):
                type.__delattr__(owner, key)
            elif known and key in before:
                base.__setitem__(holder, key, before[key])
            elif owned and not known:
                unknown.append((holder if is_file else owner, f".{key}"))
            elif before is not None and not known:
                unknown.append((holder, f"[{key!r}]"))
            else:
                base.pop(holder, key)

    def _from_sequence(self, holder: list[Any] | deque[Any], doomed: set[int], unknown: list[Unknown]) -> None:
        before = self._before(holder)
        if before is None or not doomed.isdisjoint(map(id, before)):
            unknown.append((holder, ""))
        elif isinstance(holder, list):
            list_back(holder, before)
        else:
            deque_back(holder, before)

    def _from_slots(self, holder: Any, names: list[str], unknown: list[Unknown]) -> None:
        before = self._before(holder)
        for name in names:
            if before is None:
                unknown.append((holder, f".{name}"))
            elif name in before:
                object.__setattr__(holder, name, before[name])
            else:
                object.__delattr__(holder, name)


def _still_left() -> list[torch.Tensor]:
    """Return the tensors of earlier runs that are still there, and forget the others."""
    left = [each for each in [reference() for reference in _LEFT] if each is not None]
    _LEFT[:] = map(weakref.ref, left)
    return left


def _methods(cls: type) -> Iterator[Any]:
    """Yield the functions of a class: a default of one, or a variable around one, can be a list."""
    for each in vars(cls).values():
        if type(each) is staticmethod or type(each) is classmethod:
            yield each.__func__
        elif type(each) is property:
            yield each.fget
        elif type(each) is types.FunctionType:
            yield each


@contextmanager
def _nothing_frozen() -> Iterator[None]:
    """Let the garbage collector find what the user had it freeze; on the way out, freeze again.

    A server calls ``gc.freeze()`` before it forks, say, and the collector then shows no frozen object as a holder.
    """
    if not gc.get_freeze_count():
        yield
        return
    gc.unfreeze()
    try:
        yield
    finally:
        gc.freeze()


def names_of(unknown: list[Unknown]) -> list[str]:
    """Return the names of the holders in which a later forward would find a tensor of the run."""
    if unknown:
        gc.collect()  # objects that became garbage since gc.collect(1) need a full collection
    beside = {id(unknown), *map(id, unknown)}
    with _nothing_frozen():
        return [f"{_describe(holder)}{where}" for holder, where in unknown if not _is_of_frames(holder, beside)]


@cache
def _is_installed(path: str | None) -> bool:
    """Whether a file belongs to Python, to a package or to thoplw. One without a path is typed in by the user."""
    return path is None or path.startswith(_INSTALLED) or "site-packages" in path or "dist-packages" in path


def _imported(variables: dict[str, Any]) -> set[str]:
    """Return the names of the user's files from which variables of another file come."""
    homes = ((value, _OF_FILES.get(type(value))) for value in [*variables.values()])
    names = {getattr(value, attribute, None) for value, attribute in homes if attribute is not None}
    return {name for name in names if name and not _is_installed(getattr(sys.modules.get(name), "__file__", None))}


#: Classes that hold the variables of finished calls. A later forward finds no tensor there.
_PASSING: tuple[type, ...] = (types.FrameType, types.TracebackType)


def _is_of_frames(holder: Any, beside: set[int]) -> bool:
    """Return whether only frames hold an object, directly or through others, so that no later forward finds it.

    For example, a forward has caught an error and kept it. Its traceback holds the frames of all calls, and these
    hold all their variables.

    Args:
        holder: an object that holds a tensor.
        beside: identities of the objects that hold it only because of this search.
    """
    met, todo = {id(holder)}, [holder]
    while todo and len(met) < _MOST:
        is_held = len(met) == 1  # true at first: a holder that nothing holds is garbage
        for each in gc.get_referrers(todo.pop()):
            if each is not todo and id(each) not in beside:
                is_held = True
                if not isinstance(each, _PASSING) and id(each) not in met:
                    met.add(id(each))
                    todo.append(each)
        if not is_held:  # held by something that the collector does not know, such as an object of C++
            return False
    return not todo


def _owner_of(attributes: dict[Any, Any]) -> Any:
    """Return the object or class of which a dict is the ``__dict__``; ``None`` if there is none."""
    if type(attributes) is not dict:
        return None
    for holder in gc.get_referrers(attributes):
        if isinstance(holder, type):
            if "__module__" in attributes and attributes.keys() == vars(holder).keys():
                return holder
        elif not isinstance(holder, types.ModuleType) and attributes_of(holder) is attributes:
            return holder
    return None


def _content_of(holder: Any) -> Any:
    """Return a copy of what a container holds, also if its class is derived from a container of Python."""
    if type(holder) in _CONTAINERS:
        return holder.copy()
    return next(content(holder) for base, content in _CONTENTS.items() if isinstance(holder, base))


def _in_slots(holder: Any) -> dict[str, Any]:
    """Return the values in the slots of an object, by name."""
    names = (slot.__name__ for slot in slots_of(type(holder)))
    return {name: getattr(holder, name) for name in names if hasattr(holder, name)}


def _holds_in_attributes(holder: Any, doomed: set[int]) -> bool:
    attributes = attributes_of(holder)
    return attributes is not None and any(id(value) in doomed for value in attributes.values())


def _describe(holder: Any) -> str:
    """Return the name of an object for people: the variable that holds it, else its class; for variables, the file."""
    if isinstance(holder, types.CellType):
        return _name_of_cell(holder)
    for name, file in list(sys.modules.items()):
        variables = attributes_of(file) or {}
        if variables is holder:
            return name
        for variable, value in list(variables.items()):
            if value is holder:
                return f"{name}.{variable}"
    return f"a {type(holder).__name__}"


def _name_of_cell(cell: types.CellType) -> str:
    """Return the name of the variable of a closure cell, for people."""
    for function in gc.get_referrers(*[held for held in gc.get_referrers(cell) if isinstance(held, tuple)]):
        if isinstance(function, types.FunctionType):
            # Compare by identity: cells compare their contents, and comparing tensors gives a tensor.
            for name, each in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                if each is cell:
                    return f"the variable {name!r} around {function.__qualname__}"
    return "the closure of a function"
