"""Help shows no type of value beside ``--help``, as it takes none."""

from __future__ import annotations

import typer
from typer.main import get_command
from typer.testing import CliRunner

from thoplw.cli.commands import Command, Group

app = typer.Typer(cls=Group, rich_markup_mode=None)


@app.command(cls=Command)
def first(size: int = 3) -> None:
    """The first."""


@app.command(cls=Command)
def last() -> None:
    """The last."""


def test_an_option_without_a_value_shows_no_type() -> None:
    for arguments, shown in ((["--help"], "last"), (["first", "--help"], "--size")):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0
        assert shown in result.output
        (line,) = [line.split() for line in result.output.splitlines() if "--help" in line and "Usage" not in line]
        assert line == "--help Show this message and exit.".split()


def test_help_that_is_left_out_stays_out() -> None:
    command = get_command(app)
    command.add_help_option = False
    assert command.get_help_option(typer.Context(command)) is None
