"""Turn arguments of operators that are objects of torch into names for records, and back."""

from __future__ import annotations

from typing import Any

import torch

from thoplw.errors import InputError
from thoplw.record import TorchName

#: Classes whose values say ``torch.NAME`` of themselves, and are found there.
_IN_TORCH: dict[type, str] = {torch.dtype: "dtype", torch.layout: "layout", torch.memory_format: "memory_format"}

_VALUES = (int, float, complex, str, bytes, type(None))


def name_of(value: Any) -> Any:
    """Return a number or string as it is, and anything else by name: ``TorchName("dtype", ...)``."""
    if isinstance(value, (*_VALUES, TorchName)):
        return value
    kind = _IN_TORCH.get(type(value))
    if kind is not None:
        return TorchName(kind, str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return TorchName("device", str(value))
    if isinstance(value, torch.Generator):
        return TorchName("generator", str(value.device))
    if hasattr(value, "__qualname__"):
        return TorchName("function", f"{value.__module__}:{value.__qualname__}")
    return TorchName("object", f"{type(value).__module__}:{type(value).__qualname__}")


def named(name: TorchName) -> Any:
    """Return the object with this name; ``None`` for a generator, as its numbers do not matter.

    Raises:
        InputError: it was a function or an object that the record does not hold.
    """
    if name.kind in _IN_TORCH.values():
        return getattr(torch, name.name)
    if name.kind == "device":
        return torch.device(name.name)
    if name.kind == "generator":
        return None
    raise InputError(
        f"an operator that was given the {name.kind} {name.name!r} cannot be taken apart, because its record has only "
        "the name. custom_ops can price the operator as a whole"
    )
