"""What holds for the whole process or thread, and a forward may switch: as it was, once the run is over.

For example a forward calls ``torch.set_default_dtype(torch.float64)``, and every model that is made later is another.
A switch is a function that reads it and one that sets it; to read all of them takes some microseconds.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from thoplw.capture.torch_internals import SWITCHES

Switch = tuple[Callable[[], Any], Callable[[Any], Any]]


@contextmanager
def switches_kept() -> Iterator[None]:
    """On the way out, put back all switches that are not as they were."""
    before = [get() for get in _READ]
    try:
        yield
    finally:
        after = [get() for get in _READ]
        if after != before:
            with ExitStack() as undo:
                # What is put on the stack last is put back first.
                for put, value, now in reversed(list(zip(_SET, before, after, strict=True))):
                    if now != value:
                        undo.callback(put, value)


#: The variables of the process, without the cost of decoding them.
_ENVIRONMENT: dict[Any, Any] = vars(os.environ)["_data"]


def _set_environment(before: dict[Any, Any]) -> None:
    for key in [key for key in _ENVIRONMENT if key not in before]:
        del os.environ[os.fsdecode(key)]
    for key, value in before.items():
        if _ENVIRONMENT.get(key) != value:
            os.environ[os.fsdecode(key)] = os.fsdecode(value)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 # as plain a call as there is
    except OSError:  # it was deleted
        return None


def _set_folder(before: str | None) -> None:
    if before is not None:
        os.chdir(before)


def _search_path() -> tuple[list[str], list[str]]:
    return sys.path, sys.path.copy()


def _set_search_path(before: tuple[list[str], list[str]]) -> None:
    sys.path, sys.path[:] = before[0], before[1]


_STREAMS = ("stdin", "stdout", "stderr", "excepthook", "displayhook")


def _streams() -> list[Any]:
    return [getattr(sys, name) for name in _STREAMS]


def _set_streams(before: list[Any]) -> None:
    for name, value in zip(_STREAMS, before, strict=True):
        setattr(sys, name, value)


def _warning_filters() -> tuple[list[Any], Any]:
    return list(warnings.filters), warnings.showwarning


def _set_warning_filters(before: tuple[list[Any], Any]) -> None:
    warnings.filters[:] = before[0]  # type: ignore[index] # it is a list
    warnings.showwarning = before[1]
    with warnings.catch_warnings():  # has Python forget what it knows of the filters
        pass


def _logs() -> tuple[int, list[Any], int]:
    return logging.root.level, logging.root.handlers.copy(), logging.root.manager.disable


def _set_logs(before: tuple[int, list[Any], int]) -> None:
    logging.root.handlers[:] = before[1]
    logging.root.manager.disable = before[2]
    logging.root.setLevel(before[0])


def _set_collection(before: bool) -> None:
    (gc.enable if before else gc.disable)()


def _errors_of_numpy() -> Iterator[Switch]:
    """What NumPy does about errors: up to NumPy 1 by thread, and later by context, of which a run has a copy."""
    numpy: Any = sys.modules.get("numpy")  # torch imports it, if it is there
    if numpy is not None and numpy.__version__.startswith("1."):
        yield numpy.geterr, lambda before: numpy.seterr(**before)


_SWITCHES: tuple[Switch, ...] = (
    *SWITCHES,
    (_ENVIRONMENT.copy, _set_environment),
    (_folder, _set_folder),
    (_search_path, _set_search_path),
    (_streams, _set_streams),
    (_warning_filters, _set_warning_filters),
    (_logs, _set_logs),
    (sys.getswitchinterval, sys.setswitchinterval),
    (gc.isenabled, _set_collection),
    *_errors_of_numpy(),
)
_READ = [get for get, _ in _SWITCHES]
_SET = [put for _, put in _SWITCHES]
