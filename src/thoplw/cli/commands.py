"""Commands whose help shows no types of values, and whose errors say what to type."""

from __future__ import annotations

import inspect
import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

#: Names of the option that shows the help.
HELP = {"help_option_names": ["--help", "-h"]}


class _Plain:
    """Show no ``<bool>`` beside an option that takes no value, nor ``<str>`` beside the name of an argument."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:
        # A paragraph is as wide as the terminal, not as the source.
        text = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(help or ""))
        super().__init__(*args, help=text, **options)  # type: ignore[call-arg] # likewise of the command

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc] # of the command beside which this stands
        if option is not None:
            option.metavar = ""
        return option

    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)  # type: ignore[misc] # likewise
        for each in params:
            if each.param_type_name == "argument":
                each.display_type_rich = _nothing
            elif each.is_flag and each.metavar is None:
                each.metavar = ""
        return params


def _nothing(ctx: Any) -> str:
    return ""


class Command(_Plain, TyperCommand):
    """A command."""


class Group(_Plain, TyperGroup):
    """All commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; who types the name of a model in its place is told what to type."""
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:  # of typer or of click, by the release of typer
            said = getattr(error, "message", "")
            if said and "Did you mean" not in said and not args[0].startswith("-"):
                error.message = f"{said} For a model write: thoplw profile {args[0]}"  # type: ignore[attr-defined] # it has
            raise
