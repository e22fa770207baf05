"""Restore the settings of the process and of the thread that a forward may change.

For example, a forward calls ``torch.set_default_dtype(torch.float64)``, and every model that is made later would have
other weights. A switch is a pair of functions: one reads a setting, the other sets it. Reading all switches takes some
microseconds.
"""

from __future__ import annotations

import gc
import locale
import logging
import multiprocessing
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

from thoplw.capture.torch_internals import SWITCHES

Switch = tuple[Callable[[], Any], Callable[[Any], Any]]


@contextmanager
def switches_kept() -> Iterator[None]:
    """On the way out, restore every switch whose value has changed."""
    before = [get() for get in _READ]
    try:
        yield
    finally:
        after = [get() for get in _READ]
        if after != before:
            with ExitStack() as undo:
                # The stack runs the last callback first, hence reversed().
                for put, value, now in reversed(list(zip(_SET, before, after, strict=True))):
                    if now != value:
                        undo.callback(put, value)


#: The environment variables as bytes: os.environ would decode each of them.
_ENVIRONMENT: dict[Any, Any] = vars(os.environ)["_data"]


def _set_environment(before: dict[Any, Any]) -> None:
    zone = _ENVIRONMENT.get(b"TZ")
    for key in [key for key in _ENVIRONMENT if key not in before]:
        del os.environ[os.fsdecode(key)]
    for key, value in before.items():
        if _ENVIRONMENT.get(key) != value:
            os.environ[os.fsdecode(key)] = os.fsdecode(value)
    if _ENVIRONMENT.get(b"TZ") != zone:
        time.tzset()  # Python does not read TZ by itself


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 # Path.cwd() takes longer
    except OSError:  # the folder was deleted
        return None


def _set_folder(before: str | None) -> None:
    if before is not None:
        os.chdir(before)


def _lists() -> tuple[tuple[str, list[str], list[str]], ...]:
    return ("path", sys.path, sys.path.copy()), ("argv", sys.argv, sys.argv.copy())


def _set_lists(before: tuple[tuple[str, list[str], list[str]], ...]) -> None:
    for name, items, content in before:
        setattr(sys, name, items)
        items[:] = content


def _variables(of: Any, *names: str) -> Switch:
    """Return the switch of two or more variables of a module, without those that this release of Python lacks."""
    names = tuple(name for name in names if hasattr(of, name))

    def put(before: tuple[Any, ...]) -> None:
        for name, value in zip(names, before, strict=True):
            setattr(of, name, value)

    return partial(attrgetter(*names), of), put


def _warning_filters() -> list[Any]:
    return list(warnings.filters)


def _set_warning_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # type: ignore[index] # it is a list
    with warnings.catch_warnings():  # makes Python drop its cache of the filters
        pass


def _logs() -> tuple[int, list[Any], list[Any], int]:
    root = logging.root
    return root.level, root.handlers.copy(), root.filters.copy(), root.manager.disable


def _set_logs(before: tuple[int, list[Any], list[Any], int]) -> None:
    level, logging.root.handlers[:], logging.root.filters[:], logging.root.manager.disable = before
    logging.root.setLevel(level)


def _set_collection(before: bool) -> None:
    (gc.enable if before else gc.disable)()


def _set_start_method(before: str | None) -> None:
    multiprocessing.set_start_method(before, force=True)


def _temporary_folder() -> str | None:
    """Return the folder of temporary files; ``None``, as at first, where nobody has asked for it."""
    files: Any = sys.modules.get("tempfile")
    return None if files is None else files.tempdir


def _set_temporary_folder(before: str | None) -> None:
    sys.modules["tempfile"].tempdir = before  # type: ignore[attr-defined] # it has one


def _decimals() -> Any:
    """Return the settings of the decimal context. A copied contextvars context would still share that object."""
    decimal = sys.modules.get("decimal")
    return decimal and decimal.getcontext().__reduce__()[1]


def _set_decimals(before: Any) -> None:
    if before is not None:  # None: decimal was imported during the run, in the context of the run
        context = sys.modules["decimal"].getcontext()
        for name, value in zip(("prec", "rounding", "Emin", "Emax", "capitals", "clamp"), before, strict=False):
            setattr(context, name, value)
        for now, signals in zip((context.flags, context.traps), before[6:], strict=True):
            now.update({signal: signal in signals for signal in now})


def _of_this_python() -> Iterator[Switch]:
    if hasattr(sys, "get_int_max_str_digits"):  # since 3.10.7
        yield sys.get_int_max_str_digits, sys.set_int_max_str_digits


def _of_numpy() -> Iterator[Switch]:
    """Yield the switches of NumPy 1: errors and printing. NumPy 2 keeps them in the context, which a run copies."""
    numpy: Any = sys.modules.get("numpy")  # torch has imported it, if it is installed
    if numpy is not None and numpy.__version__.startswith("1."):
        yield numpy.geterr, lambda before: numpy.seterr(**before)
        yield numpy.get_printoptions, lambda before: numpy.set_printoptions(**before)


_SWITCHES: tuple[Switch, ...] = (
    *SWITCHES,
    (_ENVIRONMENT.copy, _set_environment),
    (_folder, _set_folder),
    (_lists, _set_lists),
    _variables(sys, "stdin", "stdout", "stderr", "dont_write_bytecode"),
    _variables(sys, "excepthook", "displayhook", "unraisablehook", "breakpointhook"),
    (lambda: threading.excepthook, partial(setattr, threading, "excepthook")),
    # logging.captureWarnings() replaces showwarning and keeps the old one: restore both, or it captures none again.
    _variables(warnings, "showwarning", "formatwarning", "defaultaction"),
    _variables(logging, "_warnings_showwarning", "_loggerClass", "_logRecordFactory", "lastResort", "raiseExceptions"),
    (_warning_filters, _set_warning_filters),
    (_logs, _set_logs),
    (sys.getswitchinterval, sys.setswitchinterval),
    (gc.isenabled, _set_collection),
    (gc.get_threshold, lambda before: gc.set_threshold(*before)),
    (gc.get_debug, gc.set_debug),
    (socket.getdefaulttimeout, socket.setdefaulttimeout),
    (partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)),
    (partial(multiprocessing.get_start_method, allow_none=True), _set_start_method),
    (_decimals, _set_decimals),
    (_temporary_folder, _set_temporary_folder),
    (sys.get_asyncgen_hooks, lambda before: sys.set_asyncgen_hooks(*before)),
    (sys.get_coroutine_origin_tracking_depth, sys.set_coroutine_origin_tracking_depth),
    *_of_this_python(),
    *_of_numpy(),
)
_READ = [get for get, _ in _SWITCHES]
_SET = [put for _, put in _SWITCHES]
