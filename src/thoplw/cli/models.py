"""``thoplw models``."""

from __future__ import annotations

from typing import Annotated

import typer

from thoplw.cli.terminal import say, show, told
from thoplw.errors import InputError


def models(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="Show only names that contain all of these words.")
    ] = None,
) -> None:
    """List the names of models that the other commands take.

    For example:

    thoplw models

    thoplw models timm vit base

    thoplw models hf: llama
    """
    with told():
        from thoplw.models.registry import available

        found, missing = available(*words or ())
        for error in missing:
            say(f"thoplw: {error}")
        if not found:
            raise InputError(f"no model has {' and '.join(map(repr, words or ()))} in its name")
        show("\n".join(found))
