"""``thoplw measure``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from thoplw.cli.options import (
    MODEL,
    TABLE,
    Batch,
    Inputs,
    Model,
    Output,
    Seq,
    devices,
    kind_for,
    kind_option,
    place,
    words,
)
from thoplw.cli.run import loaded
from thoplw.cli.terminal import draw_table, is_terminal, say, show, told, usage
from thoplw.render import TABLES

if TYPE_CHECKING:
    import torch


#: Columns that need ``--roof``.
OF_ROOF = ("floor", "of roof", "bound")


def _kinds() -> tuple[str, ...]:
    from thoplw.report.measurement import KINDS

    return KINDS


def _columns() -> tuple[str, ...]:
    from thoplw.report.measurement import COLUMNS

    return COLUMNS


def _numbers() -> tuple[str, ...]:
    from thoplw.report.measurement import SORTS

    return SORTS


def measure(
    model: Model,
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    device: Annotated[
        str,
        typer.Option(
            "--device",
            metavar="DEVICE",
            rich_help_panel=MODEL,
            callback=place,
            help="Where to run it: cpu, cuda, cuda:1.",
        ),
    ] = "cpu",
    roof: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=TABLE,
            help="Compare with what this device does at best; thoplw devices lists them.",
            **words("device", devices),
        ),
    ] = None,
    repeat: Annotated[
        int, typer.Option(min=1, metavar="N", help="Runs with timers, and as many without, that count.")
    ] = 5,
    warmup: Annotated[
        int, typer.Option(min=0, metavar="N", help="Runs of each kind before these, which do not count.")
    ] = 2,
    kind: Annotated[
        str | None,
        kind_option(
            _kinds,
            "text, md, csv, latex, json, html, or chrome: a trace for chrome://tracing. By default as FILE ends, or "
            "else text.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            rich_help_panel=TABLE,
            help="Columns to show, in this order: name, class, calls, latency, share, macs, flops, achieved; "
            f"with --roof {', '.join(OF_ROOF)}.",
            **words("column", _columns, several=True),
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel=TABLE,
            help="Sort rows by this column, the largest first: latency, macs, flops, achieved, floor, of roof.",
            **words("sort", _numbers),
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", rich_help_panel=TABLE, help="Show only the N slowest layers, and the sum of the others."
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Run a model with random weights, and show how long every layer takes beside what it costs.

    For example:

    thoplw measure resnet50 --batch 8

    thoplw measure resnet50 --batch 8 --device cuda --roof h100-sxm

    thoplw measure timm:vit_base_patch16_224 --top 10

    thoplw measure resnet18 --roof rtx-4090 -o resnet18.html

    thoplw measure resnet18 --kind chrome -o trace.json
    """
    kind = kind_for(kind, output, _kinds())
    view: dict[str, Any] = {"columns": columns and columns.split(","), "sort": sort, "top": top}
    if kind not in TABLES and (columns, sort, top) != (None, None, None):
        raise typer.BadParameter(f"--kind {kind} always holds everything: --columns, --sort and --top are for tables")
    for name in (*(columns or "").split(","), sort) if roof is None else ():
        if name in OF_ROOF:
            raise typer.BadParameter(f"{name} needs a device: name it with --roof, as in --roof h100-sxm")
    with told():
        from thoplw.api.measure import measure as measured
        from thoplw.capture.timing import clocks

        with usage("--device"):
            at = clocks.place(device)  # before a large model is built
        found, given = loaded(model, inputs, seq=seq, batch=batch, execute=True)
        times = measured(*_moved(found, given, at), roof, repeat, warmup=warmup)
        if kind == "text" and output is None and is_terminal():
            draw_table([times.table(**view)])
        else:
            show(times.summary(kind, **view), output)
        for note in times.notes if kind == "csv" else ():
            say(f"thoplw: {note}")


def _moved(model: torch.nn.Module, inputs: Any, device: torch.device) -> tuple[torch.nn.Module, Any]:
    """Model and inputs on a device; numbers are random, as on zeros some devices run faster."""
    import torch

    from thoplw.capture.inputs import Inputs as Given
    from thoplw.capture.inputs import arguments
    from thoplw.capture.nesting import map_tensors

    model.to(device)
    torch.manual_seed(0)
    args, kwargs = map_tensors(
        arguments(inputs, forward=model.forward, real=True),
        lambda tensor: (torch.rand_like(tensor) if tensor.is_floating_point() else tensor).to(device),
    )
    return model, Given(*args, **kwargs)
