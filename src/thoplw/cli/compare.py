"""``thoplw compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from thoplw.cli.options import BESIDE, Batch, Inputs, Model, Output, Seq, known
from thoplw.cli.run import loaded
from thoplw.cli.terminal import show, told


def compare(
    model: Model,
    inputs: Inputs = None,
    conventions: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Which, with commas, as in macs,fvcore,thop; all by default.")
    ] = None,
    explain: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Show the difference of these two conventions alone, term by term."),
    ] = None,
    by_layer: Annotated[bool, typer.Option("--by-layer", help="With --explain: terms for each layer.")] = False,
    seq: Seq = None,
    batch: Batch = None,
    kind: Annotated[str, typer.Option("--kind", "--format", help=f"{', '.join(BESIDE)}.")] = "text",
    fmt: Annotated[str, typer.Option(help="Figures: raw or clever (with units).")] = "raw",
    execute: Annotated[bool, typer.Option("--execute", help="Really run the model, with random weights.")] = False,
    output: Output = None,
) -> None:
    """Show what other counters would say of a model, and why they differ.

    For example:

    thoplw compare resnet50 --fmt clever

    thoplw compare timm:deit_tiny_patch16_224 --conventions macs,fvcore,thop

    thoplw compare vit_b_16 --explain thop macs --by-layer
    """
    if conventions and explain:
        raise typer.BadParameter("--explain names its two conventions; leave --conventions out")
    if by_layer and not explain:
        raise typer.BadParameter("--by-layer is for --explain A B")
    with told():
        from thoplw.api.compare import compare
        from thoplw.pricing import CONVENTIONS

        known("kind", kind, BESIDE)
        known("fmt", fmt, ("raw", "clever"))
        names = list(explain or (conventions.split(",") if conventions else CONVENTIONS))
        for name in names:
            known("convention", name, CONVENTIONS)
        module, tensors = loaded(model, inputs, seq=seq, batch=batch, execute=execute)
        found = compare(module, tensors, names, execute=execute)
        show(
            found.explain(*explain, kind, fmt, by_layer=by_layer) if explain else found.summary(kind, fmt),
            output,
        )
