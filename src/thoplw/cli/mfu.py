"""``thoplw mfu``."""

from __future__ import annotations

from typing import Annotated

import typer

from thoplw.cli.options import (
    Batch,
    ConventionName,
    Dtype,
    Inputs,
    Model,
    Output,
    Seq,
    check_device,
    devices,
    kind_for,
    kind_option,
    positive,
    words,
)
from thoplw.cli.run import loaded, run
from thoplw.cli.terminal import show, told

#: What the answer can be written as.
KINDS = ("text", "json")


def mfu(
    model: Model,
    seconds: Annotated[float, typer.Option(metavar="S", callback=positive, help="How long the run took, in seconds.")],
    device: Annotated[
        str,
        typer.Option(
            "--device",
            "--on",  # as the other commands name a device of the catalogue
            metavar="NAME",
            help="What it ran on; thoplw devices lists all names.",
            **words("device", devices),
        ),
    ],
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    training: Annotated[
        bool, typer.Option("--training", metavar="", help="It was a training step: forward and backward.")
    ] = False,
    dtype: Dtype = None,
    kind: Annotated[
        str | None,
        kind_option(lambda: KINDS, f"{', '.join(KINDS)}. By default as FILE ends, or else text."),
    ] = None,
    output: Output = None,
    convention: ConventionName = "macs",
) -> None:
    """Say what part of a device's peak a run reached, and what was divided by what.

    For example:

    thoplw mfu resnet50 --batch 64 --seconds 0.012 --device h100-sxm --dtype bfloat16

    thoplw mfu hf:llama --seq 4096 --training --seconds 1.9 --device h100-sxm --convention palm
    """
    kind = kind_for(kind, output, KINDS)
    check_device(device, dtype)
    with told():
        if training:
            from thoplw.api.training import profile_training

            module, tensors = loaded(model, inputs, seq=seq, batch=batch)
            layers = profile_training(module, tensors, convention=convention, verbose=False)
        else:
            layers = run(model, inputs, seq=seq, batch=batch, convention=convention)
        found = layers.mfu(seconds, device, dtype)
        if kind == "json":
            import json

            show(json.dumps(found.to_dict(), indent=1), output)
        else:
            show(str(found), output)
