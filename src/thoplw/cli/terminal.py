"""How the command line answers: tables to stdout, the rest to stderr, a mistake in one line and exit code 1."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from thoplw.errors import InputError, ThoplwError

if TYPE_CHECKING:
    from rich.console import RenderableType


@contextmanager
def told() -> Iterator[None]:
    """Whatever fails, say it in plain words on stderr and exit with 1."""
    try:
        yield
    except (BrokenPipeError, typer.Exit):
        raise  # Who reads us has had enough, as head has; typer knows what to do.
    except ThoplwError as error:
        _fail(str(error), error)
    except Exception as error:
        notes = "; ".join(("", *getattr(error, "__notes__", ())))
        _fail(f"{type(error).__name__}: {error}".removesuffix(": ") + notes, error)


def _fail(message: str, error: Exception) -> None:
    say(f"error: {message}")
    raise typer.Exit(1) from error


def say(text: str) -> None:
    """Tell the user, not who reads the table."""
    typer.echo(text, err=True)


def show(text: str, output: Path | None = None) -> None:
    """Write a table to the terminal, or to a file.

    Raises:
        InputError: the file cannot be written.
    """
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error


def is_terminal() -> bool:
    """Whether somebody looks at what is shown, and not a file or another program."""
    return sys.stdout.isatty()


def draw(what: RenderableType) -> None:
    """Draw on the terminal, in colours."""
    from rich.console import Console

    Console().print(what)
