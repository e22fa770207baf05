"""What a callable in a Python module returns."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from torch import nn

from thoplw.errors import InputError, UnknownNameError
from thoplw.models.built import Built, build


def from_python(module: str, name: str, *, zoos: Iterable[str] = (), real: bool = False) -> Built:
    """What a callable in a Python module returns; ``zoos`` are names that a mistyped module may have meant."""
    if not all(part.isidentifier() for part in module.split(".")):
        raise InputError(f"{module!r} is no name of a Python module; write package.module:callable")
    found = getattr(_import(module, zoos), name, None)
    if found is None:
        raise UnknownNameError(f"name in {module}:", name, vars(sys.modules[module]))
    model = found if isinstance(found, nn.Module) or not callable(found) else _call(found, f"{module}:{name}", real)
    if not isinstance(model, nn.Module):
        raise InputError(f"{module}:{name} gives {type(model).__name__}, not a torch.nn.Module")
    return model, None


def _call(builder: Callable[..., Any], name: str, real: bool) -> Any:
    try:
        inspect.signature(builder).bind()
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be called without arguments ({error}); name a function that can") from error
    return build(builder, real)


def _import(module: str, zoos: Iterable[str]) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not f"{module}.".startswith(f"{missing}."):
            raise _broken(module, error) from error  # The module is there; what it imports is not.
        parent = missing.rpartition(".")[0]
        searched = getattr(sys.modules[parent], "__path__", ()) if parent else None
        known = [each.name for each in pkgutil.iter_modules(searched, f"{parent}." if parent else "")]
        if parent:
            raise UnknownNameError("Python module", missing, known) from error
        raise UnknownNameError("zoo or Python module", missing, {*known, *zoos}) from error
    except (Exception, SystemExit) as error:  # A script without a main guard may end the process.
        raise _broken(module, error) from error


def _broken(module: str, error: BaseException) -> InputError:
    seen = f"{type(error).__name__}: {error}"
    return InputError(f"{module} cannot be imported ({seen}); make `python -c 'import {module}'` work first")
