"""``thoplw profile``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from thoplw.cli.options import Batch, ConventionName, Inputs, Kind, Model, Output, Seq, known
from thoplw.cli.run import run
from thoplw.cli.terminal import draw, is_terminal, say, show, told
from thoplw.report.views import View, column_names, sort_names

_COLUMNS = f"Which, and in which order: {', '.join(column_names())}."

_SORT = f"Order rows by it, figures largest first: {', '.join(sort_names())}."


def profile(
    model: Model,
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    kind: Kind = "text",
    fmt: Annotated[str, typer.Option(help="Figures: raw, clever (with units) or ratio (to the total).")] = "raw",
    depth: Annotated[
        int | None, typer.Option(min=0, help="Leave out what is deeper in the tree; its figures go to what holds it.")
    ] = None,
    columns: Annotated[str | None, typer.Option(metavar="A,B,C", help=_COLUMNS)] = None,
    sort: Annotated[str | None, typer.Option(metavar="COLUMN", help=_SORT)] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Show so many of the largest layers.")] = None,
    own: Annotated[
        bool, typer.Option("--own/--cumulative", help="A layer's own figures, or those of all that it holds as well.")
    ] = True,
    convention: ConventionName = "thoplw",
    output: Output = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail when an operator could not be counted.")] = False,
    execute: Annotated[
        bool, typer.Option("--execute", help="Really run the model, with random weights: for one that needs values.")
    ] = False,
) -> None:
    """Show what every layer of a model costs. No weights are loaded and nothing is computed.

    For example:

    thoplw profile resnet18

    thoplw profile timm:vit_base_patch16_224 --fmt clever

    thoplw profile resnet50 --input 8,3,320,320 --kind md -o resnet50.md

    thoplw profile hf:llama --seq 4096 --top 10 --columns name,macs,share

    thoplw profile resnet50 --kind json -o resnet50.json

    thoplw profile mypackage.models:build --input ids=1,128:int64 --input mask=1,128:bool
    """
    with told():
        from thoplw.pricing import CONVENTIONS
        from thoplw.render import FORMATS

        known("kind", kind, FORMATS)
        known("convention", convention, CONVENTIONS)
        view: dict[str, Any] = {
            "fmt": fmt, "depth": depth, "columns": columns and columns.split(","), "sort": sort, "top": top, "own": own
        }  # fmt: skip
        View(**view)
        layers = run(model, inputs, seq=seq, batch=batch, convention=convention, strict=strict, execute=execute)
        text = layers.summary(kind, **view)  # also where it is drawn instead: it checks the options
        if kind == "tree" and output is None and is_terminal():
            draw(layers.draw(fmt, depth=depth, columns=view["columns"]))
        else:
            show(text, output)
        if kind in _WITHOUT_NOTES:
            for note in layers.notes():
                say(f"thoplw: {note}")


#: Kinds that have no room for notes.
_WITHOUT_NOTES = frozenset({"collapsed", "csv", "speedscope"})
