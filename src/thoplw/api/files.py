"""Files that are whole or as they were, and that one process writes at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from thoplw.errors import InputError


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file to write beside another, whose place it takes when all is written.

    When the disk is full, or the process is killed, the other is as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let no other process have the same, until this ends: however it ends.

    Args:
        path: of the lock, a file that is there as long as it is held.

    Raises:
        InputError: another process has it, or the file cannot be made.
    """
    try:
        file = _held(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        file.close()


def _held(path: Path) -> Any:
    while True:
        file = path.open("a", encoding="utf-8")
        try:
            _lock(file.fileno())
        except OSError as error:
            file.close()
            raise InputError(
                f"another survey writes there, as {path} is locked; wait for it, or give another file"
            ) from error
        with suppress(OSError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()  # Who had it has just taken the file away.


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined] # it is there
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


#: Endings of files for a table, and for a plot.
TABLES = (".csv", ".parquet")
PLOTS = (".png", ".svg")


def check_ending(path: Path, known: Sequence[str]) -> None:
    """Find an unknown kind of file before the work.

    Raises:
        InputError: it is none of these.
    """
    if path.suffix not in known:
        raise InputError(f"{path}: the ending of the name says what to write; it may be {' or '.join(known)}")
