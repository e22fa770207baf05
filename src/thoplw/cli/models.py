"""``thoplw models``."""

from __future__ import annotations

from typing import Annotated

import typer

from thoplw.cli.terminal import say, show, told
from thoplw.errors import InputError


def models(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORDS]...", help="Only names with all of these words in them.")
    ] = None,
) -> None:
    """List the models of all zoos by name, as the other commands take them.

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
