"""Commands whose help does not show a value type beside ``--help``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class _Plain:
    """Give ``--help`` no metavar, as it takes no value."""

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc] # of the command beside which this stands
        if option is not None:
            option.metavar = ""
        return option


class Command(_Plain, TyperCommand):
    """A command."""


class Group(_Plain, TyperGroup):
    """All commands."""
