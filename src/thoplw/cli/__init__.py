"""The command line: arguments to the library, its answers to the terminal. One command a file."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from thoplw.cli.check import check
from thoplw.cli.commands import HELP, Command, Group
from thoplw.cli.compare import compare
from thoplw.cli.devices import devices
from thoplw.cli.diff import diff
from thoplw.cli.formula import formula
from thoplw.cli.generate import generate
from thoplw.cli.measure import measure
from thoplw.cli.memory import memory
from thoplw.cli.mfu import mfu
from thoplw.cli.models import models
from thoplw.cli.profile import profile
from thoplw.cli.survey import survey
from thoplw.cli.train import train

main = typer.Typer(
    name="thoplw",
    cls=Group,
    context_settings=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What every layer of a PyTorch model costs: exact, without weights, in milliseconds.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from thoplw import __version__

        typer.echo(f"thoplw {__version__}")
        raise typer.Exit


@main.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    # Transformers says on stderr that kernels are missing, of which none would run.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


for _command in (
    profile,
    train,
    memory,
    generate,
    measure,
    mfu,
    compare,
    diff,
    check,
    formula,
    models,
    devices,
    survey,
):
    main.command(cls=Command, context_settings=HELP)(_command)
