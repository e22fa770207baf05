"""``thoplw survey``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from thoplw.cli.options import ConventionName, known
from thoplw.cli.terminal import say, show, told
from thoplw.errors import InputError

if TYPE_CHECKING:
    from thoplw.api.survey import Entry


def survey(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORDS...", help="Names of models; or words that all have in their names, as for models."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write it there, as .parquet or .csv, not to the terminal."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw MACs against parameters, as .svg or .png.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 2,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one model may take.")] = 120,
    resume: Annotated[
        bool,
        typer.Option("--resume/--again", help="Keep what an earlier survey found, in FILE.jsonl, or do all again."),
    ] = True,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask cluster that does the work, as in tcp://host:8786.")
    ] = None,
    convention: ConventionName = "thoplw",
) -> None:
    """Profile many models, in processes: a bad one is a row with its error, and never stops the others.

    What is found is written at once to a file beside the result, FILE.jsonl: when a survey was stopped, the same
    command goes on with it, and tries again what failed.

    For example:

    thoplw survey vgg11 vgg13 vgg16 vgg19

    thoplw survey timm vit tiny -o tiny.csv --plot tiny.svg

    thoplw survey torchvision -o zoo.parquet --workers 8 --timeout 60

    thoplw survey hf: -o hf.parquet --scheduler tcp://cluster:8786
    """
    with told():
        from thoplw.api.survey import PLOTS, TABLES, check_ending, chosen, draw, lines, read, table, write
        from thoplw.api.survey import survey as entries
        from thoplw.pricing import CONVENTIONS
        from thoplw.render import render

        known("convention", convention, CONVENTIONS)
        if output is not None:
            check_ending(output, TABLES)
        if plot is not None:
            check_ending(plot, PLOTS)
        names = chosen(words)
        if not names:
            raise InputError(f"no model has {' and '.join(map(repr, words))} in its name")
        notes = None if output is None else lines(output)
        earlier = read(notes, convention) if notes is not None and resume else {}
        found = {name: entry for name, entry in earlier.items() if entry.error is None}
        todo = [name for name in names if name not in found]
        with _file(notes, found.values()) as file:
            for entry in _shown(
                entries(todo, convention=convention, workers=workers, timeout=timeout, scheduler=scheduler), len(todo)
            ):
                found[entry.name] = entry
                _note(file, entry)
        surveyed = [found[name] for name in names]
        if output is None:
            show(render(table(surveyed), "text"))
        else:
            write(surveyed, output)
        if plot is not None:
            draw(surveyed, plot)
        failed = sum(entry.error is not None for entry in surveyed)
        say(f"thoplw: {len(surveyed)} models, {failed} failed")
        if failed == len(surveyed):
            raise typer.Exit(1)


@contextmanager
def _file(path: Path | None, found: Iterable[Entry]) -> Iterator[TextIO | None]:
    """The file of what is found, with what was known before in it."""
    if path is None:
        yield None
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    with file:
        for entry in found:
            _note(file, entry)
        yield file


def _note(file: TextIO | None, entry: Entry) -> None:
    from thoplw.api.survey import line

    if file is not None:
        file.write(line(entry))
        file.flush()


def _shown(entries: Iterator[Entry], total: int) -> Iterator[Entry]:
    """The same, with a bar on stderr that shows how far it is, and what failed."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(TextColumn("{task.description:40.40}"), *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        for entry in entries:
            bar.update(task, advance=1, description=entry.name)
            if entry.error:
                bar.console.print(f"{entry.name}: {entry.error}", markup=False, highlight=False, soft_wrap=True)
            yield entry
