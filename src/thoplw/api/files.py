"""Write files all or nothing, and by one process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from thoplw.errors import InputError


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a temporary file beside ``path``, which replaces it once everything is written.

    If the disk is full or the process is killed, the old file stays unchanged.
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
    """Hold a lock that only one process can have; it is freed even if the process is killed.

    Args:
        path: the lock file, which exists as long as the lock is held.

    Raises:
        InputError: another process holds the lock, or the file cannot be created.
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
                f"another survey is writing there ({path} is locked); wait for it, or give another file"
            ) from error
        with suppress(OSError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()  # The former holder has just deleted the file: try again.


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
    """Refuse an unknown ending before the work begins.

    Raises:
        InputError: the path ends in none of these.
    """
    if path.suffix not in known:
        raise InputError(f"{path}: the name must end in {' or '.join(known)}, which chooses the format")
