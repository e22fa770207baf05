"""The journal of a survey, FILE.jsonl beside the result: one line for each model, written as soon as it is done."""

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
    """Lock a journal against other surveys.

    Raises:
        InputError: another survey is writing it, or its folder is not writable.
    """
    with locked(path.with_suffix(".lock")):
        yield


def read(path: Path, convention: str) -> dict[str, Entry]:
    """Read the entries of an earlier survey, by name of the model.

    Raises:
        InputError: the file is not a journal, or another convention counted it.
    """
    known = {}
    try:
        texts = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    for number, text in enumerate(texts, 1):
        try:
            entry = Entry.from_dict(json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            if number == len(texts):
                break  # The survey was stopped while it wrote this.
            raise InputError(f"{path}, line {number} is not a line of a survey ({error}); give another file") from error
        if entry.convention != convention:
            raise InputError(
                f"{path} was counted by {entry.convention!r}, not {convention!r}; give another file, or start over "
                "with --again"
            )
        known[entry.name] = entry
    return known


def line(entry: Entry) -> str:
    """An entry, as :func:`read` takes it."""
    return f"{json.dumps(entry.to_dict())}\n"


@contextmanager
def written(path: Path, known: Iterable[Entry]) -> Iterator[Callable[[Entry], None]]:
    """Write the known entries to a file, and give a function that appends one more.

    The old file is replaced only once the known entries are on the disk.

    Raises:
        InputError: the file cannot be written; the function raises it too.
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
                f"cannot write {path}: {error.strerror}; it keeps what was found so far, and the same command "
                "continues from there"
            ) from error

    try:
        yield add
    finally:
        with suppress(OSError):  # Adding the line has reported it already.
            file.close()
