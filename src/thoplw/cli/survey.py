"""``thoplw survey``."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from thoplw.api.files import PLOTS, TABLES
from thoplw.cli.completion import model_names
from thoplw.cli.options import ConventionName, Execute, writable
from thoplw.cli.terminal import draw_table, is_terminal, say, show, told
from thoplw.errors import InputError
from thoplw.render.words import count, visible

if TYPE_CHECKING:
    from thoplw.api.survey import Entry


#: Groups of options in the help.
RESULT, WORK = "Result", "Work"


def _address(value: str | None) -> str | None:
    """Refuse what cannot be the address of a scheduler; whether one answers there is seen later."""
    if value is not None and not re.fullmatch(r"(\w+://)?[^/]+:\d+(/.*)?", value):
        raise typer.BadParameter(
            f"{value!r} is no address of a scheduler: write it with its port, as in tcp://host:8786"
        )
    return value


def survey(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORDS",
            help="Names of models, as in vgg11 vgg13; or words that each name contains, as in timm vit tiny.",
            autocompletion=model_names,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            rich_help_panel=RESULT,
            callback=writable(*TABLES),
            help="Write the table to this file too: .parquet or .csv.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=RESULT,
            callback=writable(*PLOTS),
            help="Draw MACs against parameters to this file: .svg or .png.",
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            metavar="",
            rich_help_panel=RESULT,
            help="Profile all models again. By default, results of an earlier survey in FILE.jsonl are kept.",
        ),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", hidden=True)] = False,
    workers: Annotated[int, typer.Option(min=1, metavar="N", rich_help_panel=WORK, help="Number of processes.")] = 2,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="S", rich_help_panel=WORK, help="Most seconds for one model.")
    ] = 120,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=WORK,
            callback=_address,
            help="Use this Dask cluster, as in tcp://host:8786.",
        ),
    ] = None,
    execute: Execute = False,
    convention: ConventionName = "thoplw",
) -> None:
    """Profile many models in parallel; a model that fails becomes a row with its error.

    With -o, each result is also written at once to FILE.jsonl, beside FILE. If a survey is stopped, the same command
    continues it, and tries the failed models again.

    For example:

    thoplw survey vgg11 vgg13 vgg16 vgg19

    thoplw survey timm vit tiny -o tiny.csv --plot tiny.svg

    thoplw survey torchvision -o zoo.parquet --workers 8 --timeout 60

    thoplw survey hf: -o hf.parquet --scheduler tcp://cluster:8786
    """
    if again and resume:
        raise typer.BadParameter("--resume (the default) and --again contradict each other; leave one of them out")
    with told(), ExitStack() as stack:
        from thoplw.api.journal import alone, lines, read, written
        from thoplw.api.survey import chosen, draw, table, write
        from thoplw.api.survey import survey as entries
        from thoplw.render import render

        names = chosen(words)
        if not names:
            raise InputError(f"no model has {' and '.join(map(repr, words))} in its name")
        notes = None if output is None else lines(output)
        found: dict[str, Entry] = {}
        others: list[Entry] = []
        if notes is not None:
            stack.enter_context(alone(notes))
            earlier = {} if again else read(notes, convention)
            found = {name: entry for name, entry in earlier.items() if entry.error is None}
            # What failed is tried again, where it is asked for; what another survey found stays.
            others = [entry for name, entry in earlier.items() if name in found or name not in names]
        todo = [name for name in names if name not in found]
        coming = entries(
            todo, convention=convention, workers=workers, timeout=timeout, scheduler=scheduler, execute=execute
        )
        add = None if notes is None else stack.enter_context(written(notes, others))
        try:
            with _stoppable(), closing(coming):
                for entry in _shown(coming, len(todo)):
                    found[entry.name] = entry
                    if add is not None:
                        add(entry)
        except KeyboardInterrupt as error:
            kept = "" if notes is None else f"; {notes} keeps the results, and the same command continues from there"
            say(f"thoplw: stopped after {len(found)} of {len(names)} models{kept}")
            raise typer.Exit(130) from error
        surveyed = [found[name] for name in names]
        if output is not None:
            write(surveyed, output)
        if is_terminal():
            draw_table([table(surveyed, "grouped"), table(surveyed, "clever")])
        else:
            show(render(table(surveyed), "text"))
        if plot is not None:
            draw(surveyed, plot)
        _say_what(surveyed, [path for path in (output, plot) if path is not None])


def _say_what(surveyed: Sequence[Entry], files: Sequence[Path]) -> None:
    """Say how many models failed, and which files were written; exit with 1 if all models failed."""
    failed = sum(entry.error is not None for entry in surveyed)
    where = f"; wrote {' and '.join(map(str, files))}" if files else ""
    say(f"thoplw: {count(len(surveyed), 'model')}, {failed} failed{where}")
    if failed == len(surveyed):
        raise typer.Exit(1)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Keep the current folder off the import path of new processes, and stop them when this process gets SIGTERM."""

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    safe = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if safe is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = safe


def _shown(entries: Iterator[Entry], total: int) -> Iterator[Entry]:
    """Pass the entries on, with a progress bar on stderr and a line for each failure."""
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
    with Progress(TextColumn("{task.description:40.40}", markup=False), *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        console = bar.console
        for entry in entries:
            bar.update(task, advance=1, description=visible(entry.name))
            if entry.error:
                line = visible(f"{entry.name}: {entry.error}")
                # On a terminal the table shows the whole error later; elsewhere this line is the only place.
                cut = {"no_wrap": True, "overflow": "ellipsis"} if console.is_terminal else {"soft_wrap": True}
                console.print(line, markup=False, highlight=False, **cut)
            yield entry
