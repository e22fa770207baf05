"""Models that a callable in a Python module, or in a file, builds."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable
from itertools import chain, count
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from thoplw.errors import InputError, UnknownNameError
from thoplw.models.built import Built, build


def from_python(source: str, name: str, *, zoos: Iterable[str] = (), real: bool = False) -> Built:
    """Build the model that a callable in a Python module, or in a file such as ``./mynet.py``, returns.

    Args:
        source: ``package.module``, which is looked for in the current folder last; or a path that ends in ``.py``.
        name: of the callable, or of a module that is already built.
        zoos: names to suggest for a mistyped module.
        real: allocate random weights.
    """
    if not name:
        raise InputError(f"{source}: names no model; add a function or class that builds one, as in {source}:build")
    found_in = _import_file(Path(source)) if source.endswith(".py") else _import(source, zoos)
    found = getattr(found_in, name, None)
    if found is None:
        public = (each for each in vars(found_in) if not each.startswith("_"))
        raise UnknownNameError(f"name in {source}:", name, public)
    model = found if isinstance(found, nn.Module) or not callable(found) else _call(found, f"{source}:{name}", real)
    if not isinstance(model, nn.Module):
        raise InputError(f"{source}:{name} gives a value of type {type(model).__name__}, not a torch.nn.Module")
    return model, None


def _call(builder: Callable[..., Any], name: str, real: bool) -> Any:
    try:
        inspect.signature(builder).bind()
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be called without arguments ({error}); name one that needs none") from error
    return build(builder, real)


def _import(module: str, zoos: Iterable[str]) -> ModuleType:
    if not all(part.isidentifier() for part in module.split(".")):
        raise InputError(
            f"{module!r} cannot name a Python module; write package.module:callable, or path/to/file.py:callable"
        )
    _search_last(str(Path.cwd()))
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not f"{module}.".startswith(f"{missing}."):
            raise _broken(
                module, f"python -c 'import {module}'", error
            ) from error  # It is there; what it imports is not.
        parent = missing.rpartition(".")[0]
        if parent and not hasattr(sys.modules[parent], "__path__"):
            inner = missing.rpartition(".")[2]
            raise InputError(
                f"{parent} is not a package, so it has no module {missing}; "
                f"write {parent}:{inner} for what {parent} defines"
            ) from error
        searched = getattr(sys.modules[parent], "__path__", ()) if parent else None
        known = [each.name for each in pkgutil.iter_modules(searched, f"{parent}." if parent else "")]
        if parent:
            raise UnknownNameError("Python module", missing, known) from error
        raise UnknownNameError("zoo or Python module", missing, {*known, *zoos}) from error
    except (Exception, SystemExit) as error:  # A script without a main guard may end the process.
        raise _broken(module, f"python -c 'import {module}'", error) from error


def _import_file(path: Path) -> ModuleType:
    """Import a file under its own name, or as ``torch_2`` if that name is taken: a file ``torch.py`` is not torch."""
    stem = re.sub(r"\W", "_", path.stem)
    names = chain((stem,), (f"{stem}_{number}" for number in count(2)))
    name = next(name for name in names if _is_of(sys.modules.get(name), path))
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None or not path.is_file():
        near = sorted(str(each) for each in path.parent.glob("*.py")) if path.parent.is_dir() else []
        raise UnknownNameError("file", str(path), near)
    _search_last(str(path.resolve().parent))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _broken(str(path), f"python {path}", error) from error
    return module


def _is_of(module: ModuleType | None, path: Path) -> bool:
    """Whether a module name is free, or already holds this file."""
    return module is None or getattr(module, "__file__", None) == str(path.resolve())


def _search_last(folder: str) -> None:
    """Search a folder for modules last, so that no file in it can shadow an installed package."""
    if folder not in sys.path:
        sys.path.append(folder)


def _broken(what: str, command: str, error: BaseException) -> InputError:
    return InputError(f"{what} cannot be imported ({type(error).__name__}: {error}); make `{command}` work first")
