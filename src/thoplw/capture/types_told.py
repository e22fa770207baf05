"""``type(x) is torch.Tensor``: in a run without arithmetic, the answer that a real run gives.

An abstract tensor is of a class of its own. ``isinstance`` and ``x.__class__`` hear what it stands for; ``type`` asks
nobody, so that a forward which compares types, or looks something up by them, would go another way, silently. So while
a run lasts, the files in which a function of the model speaks of types have a ``type`` of their own, which asks. Such
functions are looked for once for each class.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from thoplw.capture.abstract import AbstractTensor

#: Packages that know what is not theirs, or what abstract tensors are.
_KNOWN = frozenset({"builtins", "thoplw", "torch"})

#: Class -> the variables of files where ``type`` is to be another.
_FILES: WeakKeyDictionary[type, list[dict[str, Any]]] = WeakKeyDictionary()


class _Asking(type):
    """What ``type`` is to others, besides the answer for abstract tensors."""

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
    """``type``, which asks an abstract tensor for its class."""


@contextmanager
def types_told(classes: Iterable[type]) -> Iterator[None]:
    """Have the functions of some classes, and those in their files, hear what abstract tensors stand for."""
    with ExitStack() as undo:
        for cls in classes:
            files = _FILES.get(cls)
            if files is None:
                files = _FILES[cls] = list(_files_of(cls))
            for variables in files:
                if "type" not in variables:  # of the user's, or of a run around this one
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
            function = getattr(value, "__func__", value)  # of a class method
            if type(function) is not types.FunctionType or _is_known(function.__module__):
                continue
            if _asks_types(function.__code__):
                found[id(function.__globals__)] = function.__globals__
        yield from found.values()


def _is_known(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _KNOWN


def _asks_types(code: types.CodeType) -> bool:
    """Whether a function, or one inside of it, may speak of types."""
    inner = (each for each in code.co_consts if type(each) is types.CodeType)
    return "type" in code.co_names or any(map(_asks_types, inner))
