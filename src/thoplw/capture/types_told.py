"""Let ``type(x) is torch.Tensor`` be true in an abstract run, as it is in a real one.

An abstract tensor has a class of its own. ``isinstance`` and ``x.__class__`` show the class that it stands for, but
``type`` does not, so a forward that compares types, or looks something up by type, would silently take another branch.
So while a run lasts, a file in which a function of the model names ``type`` has a global ``type`` of its own, which
shows that class. Such functions are looked for once per class.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from thoplw.capture.abstract import AbstractTensor

#: Packages whose functions are not searched: they do not compare types of tensors, or know abstract ones.
_KNOWN = frozenset({"builtins", "thoplw", "torch"})

#: Classes of objects that wrap a function.
_WRAPPERS = frozenset({classmethod, staticmethod, types.MethodType})

#: Class -> the global variables of the files in which ``type`` is replaced.
_FILES: WeakKeyDictionary[type, list[dict[str, Any]]] = WeakKeyDictionary()


class _Asking(type):
    """Makes :class:`Type` behave as ``type`` in every way but one: what it says of an abstract tensor."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and type(args[0]) is AbstractTensor:
            return args[0].__class__
        return type(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, type)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, type)

    def __eq__(cls, other: object) -> bool:
        return other is type or other is cls

    def __hash__(cls) -> int:
        return hash(type)

    def __getitem__(cls, item: Any) -> Any:
        return type[item]


class Type(type, metaclass=_Asking):
    """``type``, except that it shows the class that an abstract tensor stands for."""


@contextmanager
def types_told(classes: Iterable[type]) -> Iterator[None]:
    """Replace ``type`` in the files of some classes, if a function there names it."""
    with ExitStack() as undo:
        for cls in classes:
            files = _FILES.get(cls)
            if files is None:
                files = _FILES[cls] = list(_files_of(cls))
            for variables in files:
                if "type" not in variables:  # else it is the user's, or that of a run around this one
                    variables["type"] = Type
                    undo.callback(variables.pop, "type", None)
        yield


def _files_of(cls: type) -> Iterator[dict[str, Any]]:
    for base in cls.__mro__:
        if _is_known(base.__module__):
            continue
        around = vars(sys.modules[base.__module__]) if base.__module__ in sys.modules else {}
        found: dict[int, dict[str, Any]] = {}
        for value in (*vars(base).values(), *around.values()):
            # Ask nothing of other objects: a lazy import, for example, raises when asked for any attribute.
            function = value.__func__ if type(value) in _WRAPPERS else value
            if type(function) is not types.FunctionType or _is_known(function.__module__):
                continue
            if _asks_types(function.__code__):
                found[id(function.__globals__)] = function.__globals__
        yield from found.values()


def _is_known(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _KNOWN


def _asks_types(code: types.CodeType) -> bool:
    """Whether a function, or one inside of it, names ``type``."""
    inner = (each for each in code.co_consts if type(each) is types.CodeType)
    return "type" in code.co_names or any(map(_asks_types, inner))
