"""``thoplw memory``."""

from __future__ import annotations

import json
from pathlib import Path
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
    kind_for,
    kind_option,
    size,
    words,
)
from thoplw.cli.run import loaded
from thoplw.cli.terminal import draw_parts, is_terminal, say, show, told
from thoplw.cli.train import STEP, Accumulate, Autocast, Checkpoint, Device, Freeze, Lora, Optimizer, check_optimizer
from thoplw.errors import InputError

if TYPE_CHECKING:
    from thoplw.api.checkpoints import Plan
    from thoplw.estimate.memory import Memory

#: Output formats.
KINDS = ("text", "md", "html", "json")


def memory(
    model: Model,
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    train: Annotated[
        bool, typer.Option("--train", metavar="", rich_help_panel=STEP, help="Of training, also without an optimizer.")
    ] = False,
    optimizer: Optimizer = None,
    accumulate: Accumulate = 1,
    autocast: Autocast = None,
    device: Device = None,
    freeze: Freeze = None,
    lora: Lora = None,
    checkpoint: Checkpoint = False,
    fit: Annotated[
        int | None,
        typer.Option(
            metavar="AMOUNT",
            rich_help_panel=MODEL,
            parser=size,
            help="Find the largest batch that takes no more than this, as in 24GB or 24GiB; with --batch or --input, "
            "in training, which blocks to checkpoint so that it does.",
        ),
    ] = None,
    reserved: Annotated[
        bool,
        typer.Option(
            "--reserved",
            metavar="",
            rich_help_panel=MODEL,
            help="With --fit: what CUDA's caching allocator reserves is to fit, not only what is requested.",
        ),
    ] = False,
    context: Annotated[
        int,
        typer.Option(
            metavar="AMOUNT",
            rich_help_panel=MODEL,
            parser=size,
            show_default=False,
            help="With --fit: what the CUDA context and libraries take of it, outside of the allocator, as in 500MB. "
            "Nothing by default, as it depends on GPU, driver and libraries.",
        ),
    ] = 0,
    kind: Annotated[
        str | None,
        kind_option(lambda: KINDS, f"{', '.join(KINDS)}. By default as FILE ends, or else text."),
    ] = None,
    fmt: Annotated[
        str,
        typer.Option(
            metavar="FMT",
            rich_help_panel=TABLE,
            help="raw or clever bytes.",
            **words("fmt", lambda: ("raw", "clever")),
        ),
    ] = "clever",
    output: Output = None,
) -> None:
    """Show how much memory a model takes, before anything runs: in inference, or in a training loop.

    With an optimizer, or another option of a training step, it is of a training loop.

    For example:

    thoplw memory resnet50 --batch 64

    thoplw memory resnet50 --batch 64 --optimizer adamw --autocast bf16

    thoplw memory timm:vit_base_patch16_224 --optimizer adamw --fit 24GB

    thoplw memory timm:vit_base_patch16_224 --optimizer adamw --device cuda --fit 24GB --reserved --context 500MB

    thoplw memory timm:vit_base_patch16_224 --optimizer adamw --batch 64 --fit 6GB
    """
    kind = kind_for(kind, output, KINDS)
    of_training = train or optimizer is not None or any((autocast, freeze, lora, checkpoint, accumulate > 1))
    if device is not None and not of_training:
        raise typer.BadParameter(
            "--device chooses the kernels of a training step: add --train or --optimizer. The memory of inference is "
            "always that of kernels for the CPU"
        )
    fixed = batch is not None or bool(inputs)
    if fit is not None and fixed and not of_training:
        raise typer.BadParameter(
            "--fit finds a batch: leave --batch and --input out. With them it finds blocks to checkpoint, in training "
            "only: add --train or --optimizer. To compare one size with a limit, use thoplw check --max-memory"
        )
    if context and (fit is None or context >= fit):
        raise typer.BadParameter("--context is a part of what --fit allows: give --fit 24GB, and less for --context")
    if reserved and (fit is None or fixed):
        raise typer.BadParameter("--reserved says what --fit compares for a batch; give --fit 24GB, and no --batch")
    fit = None if fit is None else fit - context
    with told():
        from thoplw.api.fit import largest
        from thoplw.models.registry import of_zoo

        check_optimizer(optimizer)
        if fit is not None and not fixed and not of_zoo(model):
            raise InputError(
                f"--fit finds a batch for models of a zoo only, which have default inputs; {model} has none. Give "
                "--input, with --train or --optimizer, for blocks to checkpoint; or use thoplw check --max-memory"
            )
        options = {"optimizer": optimizer, "accumulate": accumulate, "autocast": autocast, "device": device}
        changes = {"frozen": freeze or (), "rank": lora, "checkpointed": checkpoint}

        def memory_for(count: int | None) -> Memory:
            module, tensors = loaded(model, inputs, seq=seq, batch=count)
            return _memory_of(module, tensors, of_training, options, changes)

        if fit is None:
            _show("", memory_for(batch), kind, fmt, output)
            return
        if fixed:
            plan = _plan(loaded(model, inputs, seq=seq, batch=batch), fit, options, changes)
            _show(str(plan), plan.report.memory, kind, fmt, output, checkpoint=list(plan.blocks))
            return
        tried: dict[int, Memory] = {}

        def peak(count: int) -> int:
            tried[count] = memory_for(count)
            return tried[count].cuda.reserved if reserved else tried[count].peak

        most, _ = largest(peak, fit)
        what = "reserved by CUDA's caching allocator" if reserved else "requested"
        _show(f"The largest batch that fits is {most}, by bytes {what}.", tried[most], kind, fmt, output, batch=most)


def _memory_of(
    module: Any, tensors: Any, of_training: bool, options: dict[str, Any], changes: dict[str, Any]
) -> Memory:
    from thoplw.api import fine_tuning
    from thoplw.api.profile import profile
    from thoplw.api.training import profile_training

    if not of_training:
        return profile(module, tensors, verbose=False, memory=True)[2].memory
    module = fine_tuning.changed(module, **changes)
    return profile_training(module, tensors, verbose=False, memory=True, **options).memory


def _plan(given: tuple[Any, Any], limit: int, options: dict[str, Any], changes: dict[str, Any]) -> Plan:
    """Which blocks to checkpoint, and what is taken then."""
    from thoplw.api import fine_tuning
    from thoplw.api.checkpoints import checkpoints

    module, tensors = given
    return checkpoints(fine_tuning.changed(module, **changes), tensors, limit, **options)


def _show(sentence: str, memory: Memory, kind: str, fmt: str, output: Path | None, **answer: Any) -> None:
    """Show what a run takes, below the sentence that answers ``--fit``; JSON has the answer as values."""
    if kind == "json":
        show(json.dumps({**answer, **memory.to_dict()}, indent=2), output)
    elif kind == "html":
        show(memory.summary(kind, fmt), output)
        if sentence:
            say(f"thoplw: {sentence}")
    elif kind == "text" and output is None and is_terminal():
        draw_parts((*filter(None, [sentence]), *memory.parts(fmt)))
    else:
        show("\n\n".join(filter(None, [sentence, memory.summary(kind, fmt)])), output)
