"""``thoplw profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thoplw.cli.options import (
    TABLE,
    Batch,
    Columns,
    ConventionName,
    Depth,
    Dtype,
    Execute,
    Fmt,
    Inputs,
    Kind,
    Model,
    On,
    Output,
    Seq,
    Sort,
    Strict,
    asks_for_memory,
    check_device,
    kind_for,
)
from thoplw.cli.run import run
from thoplw.cli.terminal import draw, draw_table, is_terminal, say, show, told, usage
from thoplw.render import FORMATS
from thoplw.report.views import View, total_line

if TYPE_CHECKING:
    from thoplw.report.layer_info import LayerInfo


def profile(
    model: Model,
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    execute: Execute = False,
    kind: Kind = None,
    fmt: Fmt = None,
    columns: Columns = None,
    sort: Sort = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", rich_help_panel=TABLE, help="Show only the N largest layers, and the sum of the others."
        ),
    ] = None,
    depth: Depth = None,
    own: Annotated[bool, typer.Option("--own", hidden=True)] = False,
    cumulative: Annotated[
        bool,
        typer.Option(
            "--cumulative",
            metavar="",
            rich_help_panel=TABLE,
            help="Show a row for every module, with its submodules included in its figures.",
        ),
    ] = False,
    on: On = None,
    dtype: Dtype = None,
    output: Output = None,
    convention: ConventionName = "thoplw",
    strict: Strict = False,
) -> None:
    """Show what every layer of a model costs. No weights are loaded and nothing is computed.

    For example:

    thoplw profile resnet18

    thoplw profile timm:vit_base_patch16_224 --fmt clever

    thoplw profile resnet50 --input 8,3,320,320 --kind md -o resnet50.md

    thoplw profile hf:llama --seq 4096 --top 10 --columns name,macs,share

    thoplw profile resnet50 --batch 64 --on h100-sxm --depth 2

    thoplw profile resnet50 --kind json -o resnet50.json

    thoplw profile mypackage.models:build --input ids=1,128:int64 --input mask=1,128:bool
    """
    if own and cumulative:
        raise typer.BadParameter("--own (the default) and --cumulative contradict each other; leave one of them out")
    view: dict[str, Any] = {
        "depth": depth,
        "columns": columns and columns.split(","),
        "sort": sort,
        "top": top,
        "own": not cumulative,
    }
    kind = kind_for(kind, output, FORMATS)
    with usage():
        View(fmt=fmt or "raw", **view).check(kind)
    check_device(on, dtype, columns, sort)
    of_memory = asks_for_memory(columns, sort)
    if execute and of_memory:
        raise typer.BadParameter(
            "--execute runs on real tensors, and peak and saved need a run on abstract ones: leave one of them out"
        )
    with told():
        options: dict[str, Any] = {"convention": convention, "strict": strict, "execute": execute}
        layers = run(model, inputs, seq=seq, batch=batch, memory=of_memory, **options)
        layers = layers if on is None else layers.on(on, dtype)
        shown(layers, kind, fmt, output, view)


def shown(layers: LayerInfo, kind: str, fmt: str | None, output: Path | None, view: dict[str, Any]) -> None:
    """Write a report to the terminal or a file.

    Args:
        layers: the report.
        kind: its format.
        fmt: how to write numbers; what fits, unless said.
        output: the file.
        view: other options of :meth:`LayerInfo.summary`.
    """
    if kind == "text" and output is None and is_terminal():
        shapes = (layers.table(each, **view) for each in ((fmt,) if fmt else ("grouped", "clever")))
        draw_table(shapes, total_line(layers.profile))
    elif kind == "tree" and output is None and is_terminal():
        draw(layers.draw(fmt or "clever", depth=view["depth"], columns=view["columns"]))
    else:
        show(layers.summary(kind, fmt or "raw", **view), output)
    if kind in _WITHOUT_NOTES:
        for note in layers.notes():
            say(f"thoplw: {note}")


#: Formats without room for notes, which go to stderr instead.
_WITHOUT_NOTES = frozenset({"collapsed", "csv", "speedscope"})
