"""Output of the command line: tables go to stdout, all else to stderr; an error is one line and an exit code."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from thoplw.errors import InputError, ThoplwError, message_of, notes_of
from thoplw.render.words import visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from thoplw.render.table import Table


@contextmanager
def told(code: int = 1) -> Iterator[None]:
    """Report any error as one line on stderr, and exit with ``code``."""
    try:
        yield
    except (BrokenPipeError, typer.Exit, typer.BadParameter):
        raise  # typer handles these; a broken pipe means that the reader, such as head, has stopped reading.
    except ThoplwError as error:
        _fail(by_option(str(error)), code, error)
    except SystemExit as error:  # its exit code would be taken for ours
        _fail(f"the code of the model ends the process, with sys.exit({error.code!r})", code, error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a model may raise anything
        notes = "; ".join(("", *notes_of(error)))
        _fail(f"{type(error).__name__}: {message_of(error)}".removesuffix(": ") + notes, code, error)


@contextmanager
def usage(option: str = "") -> Iterator[None]:
    """Turn input errors of the library into usage errors, of an option if one is named."""
    try:
        yield
    except (InputError, typer.BadParameter) as error:
        raise typer.BadParameter(by_option(str(error)), param_hint=repr(option) if option else None) from error


#: Pattern of an argument in the library's messages -> the option of the command line.
_OPTIONS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"\bthoplw\.profile\(\.\.\., execute=True\)", "thoplw profile --execute"),
    (r"\b(execute|strict)=True\b", r"--\1"),
    (r"\bpass memory=True to thoplw.profile_training\b", "thoplw train knows it"),
    (r"\bleave execute out\b", "leave --execute out"),
    (r"^(seq|batch)( and (seq|batch))?: only", lambda found: f"--{found[0].replace(' and ', ' and --')}"),
    (r"\bgive the shapes of its inputs instead$", "give --input instead"),
    (r"^unknown variable of\b", "--vars: unknown variable of"),
    (r"\b(\w+)=\(first, last, step\)", r"\1=FIRST:LAST:STEP"),
    (r"\bin make_inputs\b", "in --input"),
    (r"^unknown module\b", "--module: unknown module"),
    (r"^(unknown parameter or module|no parameter has a name like)\b", r"--freeze: \1"),
    (r"\bhas no switch for checkpointing\b", "has no switch for --checkpoint"),
    (r"\btokens takes (\d+): ask for fewer\b", r"tokens takes \1: give less for --prompt or --new"),
    (r"^(unknown .*(device|model)( type .*)? '.*) is similar$", r"\1 is similar: thoplw \2s lists them"),
    (
        r"^(unknown zoo or Python module .*) is similar$",
        r"\1 is similar: a module must be installed, or lie in this folder",
    ),
    (r"\bown=False\b", "--cumulative"),
    (r"\bcolumns=\[([^]]*)\]", lambda found: f"--columns {found[1].replace(chr(39), '').replace(', ', ',')}".strip()),
    (r"\bgive prefill= and step=, functions", "in Python, thoplw.profile_generation takes functions"),
    (r"^cache='([\w-]*)'", r"--cache \1"),
    (r"\b(depth|fmt|kind|sort|top)=('?)([\w%.-]*)\2", lambda found: f"--{found[1]} {found[3]}".strip()),
    (r"\bfmt, columns, sort, top and own\b", "--fmt, --columns, --sort, --top and --cumulative"),
    (r"\bsort, top and own\b", "--sort, --top and --cumulative"),
    (r"\b(only|use) depth\b", r"\1 --depth"),
    (r"\bof a training step: thoplw\.profile_training$", "of a training step: thoplw train shows them"),
)


def by_option(message: str) -> str:
    """A message of the library with options in place of arguments: ``--execute`` for ``execute=True``."""
    for pattern, option in _OPTIONS:
        message = re.sub(pattern, option, message)
    return message


def _fail(message: str, code: int, error: BaseException) -> None:
    say(f"error: {message}")
    raise typer.Exit(code) from error


def say(text: str) -> None:
    """Write to stderr, beside the table on stdout. Control characters, which a name may contain, are escaped."""
    typer.echo("\n".join(map(visible, text.split("\n"))), err=True)


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
    """Whether stdout is a terminal, not a file or another program."""
    return sys.stdout.isatty()


def draw(what: RenderableType) -> None:
    """Draw on the terminal, in colours."""
    from rich.console import Console

    Console().print(what)


def draw_parts(parts: Iterable[str | Table]) -> None:
    """Draw sentences and tables on the terminal, a blank line between them."""
    for position, part in enumerate(parts):
        if position:
            show("")
        show(part) if isinstance(part, str) else draw_table([part])


def draw_table(tables: Iterable[Table], total: str = "") -> None:
    """Draw the first table that fits the width of the terminal, or else the last one, shortened.

    Args:
        tables: the same table in several forms, the widest first.
        total: a line to show under the table.
    """
    from rich.console import Console

    from thoplw.render.screen import screen, width_of

    console = Console()
    for table in tables:
        if width_of(table) <= console.width:
            break
    console.print(screen(table, console.width, total))
