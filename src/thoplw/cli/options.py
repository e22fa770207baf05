"""Arguments and options that several commands take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from thoplw.cli.inputs import parse
from thoplw.errors import UnknownNameError

#: How a model is named, for the help of every command that takes one.
NAMES = "resnet18 (of torchvision), timm:vit_base_patch16_224, hf:llama, or mypackage.models:build"


#: Kinds of a table that sets one thing beside another.
BESIDE = ("text", "md", "csv", "latex", "json")

#: All kinds, for the help; importing them would take longer than showing it.
KINDS = "Tables: text, csv, md, latex. Pages and pictures: tree, html. Data: json, speedscope, collapsed (stacks)."


def known(what: str, name: str, names: Iterable[str]) -> None:
    """Find a misspelt word before the work that may take a while, not after it.

    Raises:
        UnknownNameError: the name is none of these.
    """
    names = list(names)
    if name not in names:
        raise UnknownNameError(what, name, names)


def _conventions() -> list[str]:
    from thoplw.pricing import CONVENTIONS

    return list(CONVENTIONS)


def _kinds() -> list[str]:
    from thoplw.render import FORMATS

    return list(FORMATS)


Model = Annotated[str, typer.Argument(metavar="MODEL", help=f"{NAMES}.")]
Inputs = Annotated[
    # typer has no way to say that a parser makes something else than the annotated type.
    list[Any] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]SIZES[:DTYPE]",
        parser=parse,
        help="Shape of an input, once for each: 1,3,224,224 in the order of the forward, or mask=1,128:int64 by name. "
        "float32 by default; integers are zeros. A zoo knows its own inputs.",
    ),
]
Seq = Annotated[int | None, typer.Option(min=1, help="hf: models: number of text tokens, 128 by default.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Models of a zoo: number of samples, 1 by default.")]
ConventionName = Annotated[
    str,
    typer.Option(
        "--convention",
        autocompletion=_conventions,
        help="How to count: thoplw, macs, macs-causal, flops; or as another tool does: deepspeed, fvcore, ptflops, "
        "thop, torch, torchinfo.",
    ),
]
Kind = Annotated[str, typer.Option("--kind", "--format", autocompletion=_kinds, help=KINDS)]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there, not to the terminal.")
]
