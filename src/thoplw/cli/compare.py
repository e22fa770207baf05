"""``thoplw compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from thoplw.cli import options
from thoplw.cli.options import (
    BESIDE,
    COUNTING,
    Batch,
    Execute,
    FmtBeside,
    Inputs,
    KindBeside,
    Model,
    Output,
    Seq,
    kind_for,
    words,
)
from thoplw.cli.run import loaded
from thoplw.cli.terminal import draw_table, is_terminal, show, told


def compare(
    model: Model,
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    execute: Execute = False,
    kind: KindBeside = None,
    fmt: FmtBeside = None,
    output: Output = None,
    conventions: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            rich_help_panel=COUNTING,
            help="Conventions to compare, separated by commas, as in macs,fvcore,thop; all by default.",
            **words("convention", options.conventions, several=True),
        ),
    ] = None,
    explain: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            rich_help_panel=COUNTING,
            help="Explain the difference between these two conventions, term by term.",
            **words("convention", options.conventions),
        ),
    ] = None,
    by_layer: Annotated[
        bool,
        typer.Option(
            "--by-layer", metavar="", rich_help_panel=COUNTING, help="With --explain: show the terms of each layer."
        ),
    ] = False,
) -> None:
    """Show what other counters would report for a model, and why they differ.

    For example:

    thoplw compare resnet50 --fmt clever

    thoplw compare timm:deit_tiny_patch16_224 --conventions macs,fvcore,thop

    thoplw compare vit_b_16 --explain thop macs --by-layer
    """
    if conventions and explain:
        raise typer.BadParameter("--explain already names two conventions; leave --conventions out")
    if by_layer and not explain:
        raise typer.BadParameter("--by-layer needs --explain A B, as in --explain thop macs --by-layer")
    kind = kind_for(kind, output, BESIDE)
    with told():
        from thoplw.api.compare import compare
        from thoplw.pricing import CONVENTIONS

        names = list(explain or (conventions.split(",") if conventions else CONVENTIONS))
        module, tensors = loaded(model, inputs, seq=seq, batch=batch, execute=execute)
        found = compare(module, tensors, names, execute=execute)
        if kind == "text" and output is None and is_terminal():
            tables = (
                found.explanation(*explain, each, by_layer=by_layer) if explain else found.table(each)
                for each in (fmt or "clever",)
            )
            draw_table(tables)
        else:
            form = fmt or "raw"
            show(
                found.explain(*explain, kind, form, by_layer=by_layer) if explain else found.summary(kind, form),
                output,
            )
