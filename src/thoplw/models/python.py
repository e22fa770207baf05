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
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from thoplw.errors import InputError, UnknownNameError, add_note, message_of
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
    if "(" in name:
        raise InputError(
            f"{source}:{name}: thoplw calls a function or class without arguments, by its name alone; "
            f"{_WITHOUT_ARGUMENTS.format(name)}"
        )
    found_in = _import_file(Path(source)) if source.lower().endswith(".py") else _import(source, zoos)
    try:
        found = attrgetter(name)(found_in)  # also what a class holds, as in net.py:Net.small
    except AttributeError:
        _refuse_module(found_in, name)
        builders = (each for each, value in vars(found_in).items() if each[0] != "_" and _may_build(value))
        raise UnknownNameError(f"name in {source}:", name, builders) from None
    model = found if isinstance(found, nn.Module) or not callable(found) else _call(found, f"{source}:{name}", real)
    if not isinstance(model, nn.Module):
        what = "None" if model is None else f"a value of type {type(model).__name__}"
        hint = f"; call {model.__name__}, and return what that gives" if isinstance(model, type) else ""
        raise InputError(f"{source}:{name} gives {what}, not a torch.nn.Module{hint}")
    return model, None


#: What to do where a function needs arguments.
_WITHOUT_ARGUMENTS = "write a function that returns what you want, as in def build(): return {}, and name that"


def _may_build(value: Any) -> bool:
    return isinstance(value, nn.Module) or callable(value)


def _refuse_module(package: ModuleType, name: str) -> None:
    """Say so if a name is of a module of a package, not of something in it.

    Raises:
        InputError: it is.
    """
    path = f"{package.__name__}.{name}"
    if hasattr(package, "__path__") and _has_module(path):
        raise InputError(f"{path} is a Python module: add the function or class in it, as in {path}:build")


def _has_module(path: str) -> bool:
    try:
        return importlib.util.find_spec(path) is not None
    except (ImportError, ValueError):
        return False


def _call(builder: Callable[..., Any], name: str, real: bool) -> Any:
    try:
        inspect.signature(builder).bind()
    except (TypeError, ValueError) as error:
        call = f"{name.rpartition(':')[2]}(...)"
        raise InputError(
            f"{name} cannot be called without arguments ({error}): {_WITHOUT_ARGUMENTS.format(call)}"
        ) from error
    try:
        return build(builder, real)
    except SystemExit as error:  # it reads the command line, say, which is not its own
        raise InputError(f"{name} ends the process, with sys.exit({error.code!r})") from error
    except Exception as error:
        add_note(error, f"raised in {name}")
        raise


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
        if not near:
            raise InputError(f"there is no file {path}, and no other Python file in its folder")
        raise UnknownNameError("file", str(path), near)
    _search_last(str(path.resolve().parent))
    _search_last(str(Path.cwd()))  # where a project is that a file in a folder of it imports from
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if issubclass(type(error), ImportError) and "relative import" in message_of(error):
            parts = ".".join(path.with_suffix("").parts)
            raise InputError(
                f"{path} is a part of a package, as it has a relative import: name it from the folder that holds the "
                f"package, as in {parts}:build"
            ) from error
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
    return InputError(
        f"{what} cannot be imported ({type(error).__name__}: {message_of(error)}); make `{command}` work first"
    )
