"""What a survey finds, a line a model, in a file beside the result: FILE.jsonl."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from thoplw.api.files import locked, replaced
from thoplw.api.survey import Entry
from thoplw.errors import InputError


def lines(path: Path) -> Path:
    """The file beside a result where entries are written as they come."""
    return path.with_suffix(".jsonl")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other surveys from a file of entries.

    Raises:
        InputError: another survey writes it, or its folder takes no file.
    """
    with locked(path.with_suffix(".lock")):
        yield


def read(path: Path, convention: str) -> dict[str, Entry]:
    """What an earlier survey wrote, by model.

    Raises:
        InputError: it is something else, or was counted by another convention.
    """
    known = {}
    try:
        texts = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    for number, text in enumerate(texts, 1):
        try:
            entry = Entry.from_dict(json.loads(text))
        except (ValueError, TypeError) as error:
            if number == len(texts):
                break  # The survey was stopped while it wrote this.
            raise InputError(f"{path}, line {number} is no line of a survey ({error}); give another file") from error
        if entry.convention != convention:
            raise InputError(
                f"{path} was counted by {entry.convention!r}; give another file, or do it --again by {convention!r}"
            )
        known[entry.name] = entry
    return known


def line(entry: Entry) -> str:
    """An entry, as :func:`read` takes it."""
    return f"{json.dumps(entry.to_dict())}\n"


@contextmanager
def written(path: Path, known: Iterable[Entry]) -> Iterator[Callable[[Entry], None]]:
    """A function that adds an entry to a file, in which are those that are known.

    What was in the file before stays until these are on the disk.

    Raises:
        InputError: the file cannot be written, now or later.
    """
    try:
        with replaced(path) as beside:
            beside.write_text("".join(map(line, known)), encoding="utf-8")
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error

    def add(entry: Entry) -> None:
        try:
            file.write(line(entry))
            file.flush()
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror}; what was found before is in it, and the same command goes on"
            ) from error

    try:
        yield add
    finally:
        with suppress(OSError):  # It was said when the line was added.
            file.close()
