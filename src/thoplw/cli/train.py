"""``thoplw train``."""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path
from typing import Annotated, Any

import typer

from thoplw.cli.options import (
    Batch,
    Columns,
    ConventionName,
    Depth,
    Dtype,
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
    positive,
    words,
)
from thoplw.cli.profile import shown
from thoplw.cli.run import loaded
from thoplw.cli.terminal import told, usage
from thoplw.errors import UnknownNameError
from thoplw.render import FORMATS
from thoplw.report.views import View

#: Group of options in the help.
STEP = "Step"

#: What ``--autocast`` takes.
TYPES = ("bf16", "fp16")

#: What ``--device`` takes.
DEVICES = ("cpu", "cuda")


def _optimizers() -> list[str]:
    """Names of torch's optimizers by those of its files, without importing torch; none, where they are not found."""
    torch = PathFinder.find_spec("torch")
    files = Path(torch.origin or "").parent.glob("optim/*.py") if torch else ()
    return sorted({path.stem.strip("_") for path in files} - _NO_OPTIMIZERS)


#: Files of torch's optimizers that have none, or one that trains no model by itself.
_NO_OPTIMIZERS = frozenset("functional init lbfgs lr_scheduler optimizer sparse_adam stateless swa_utils".split())


def _optimizer(name: str | None) -> str | None:
    """Refuse an optimizer that torch has no file of; whether it has the class is seen later."""
    known = _optimizers()
    if name is not None and known and name.lower() not in known:
        raise typer.BadParameter(str(UnknownNameError("optimizer", name, known)))
    return name


Optimizer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=STEP,
        help="An optimizer of torch, such as sgd or adamw. By default there is no update.",
        callback=_optimizer,
        autocompletion=lambda incomplete: [name for name in _optimizers() if name.startswith(incomplete.lower())],
    ),
]
Accumulate = Annotated[
    int,
    typer.Option(min=1, metavar="N", rich_help_panel=STEP, help="Forwards and backwards before an update."),
]
Autocast = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE",
        rich_help_panel=STEP,
        help=f"Compute in {' or '.join(TYPES)}.",
        **words("type", lambda: TYPES),
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=STEP,
        help=f"Whose kernels run: {' or '.join(DEVICES)}.",
        **words("device", lambda: DEVICES),
    ),
]
Freeze = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        rich_help_panel=STEP,
        help="Train no parameter whose name matches, as in 'layer[1-3].*'; may be repeated.",
    ),
]
Lora = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="RANK",
        rich_help_panel=STEP,
        help="Train LoRA adapters of this rank on all linear layers but the last, and nothing else; needs peft.",
    ),
]
Checkpoint = Annotated[
    bool,
    typer.Option(
        "--checkpoint",
        metavar="",
        rich_help_panel=STEP,
        help="Repeat the forward of blocks instead of keeping their activations (timm and hf: models).",
    ),
]


def check_optimizer(name: str | None) -> None:
    """Refuse an optimizer that torch does not have, before a large model is built.

    Raises:
        BadParameter: it does not.
    """
    from thoplw.capture.training_step import find_optimizer

    with usage("--optimizer"):
        find_optimizer(name)


def train(
    model: Model,
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    optimizer: Optimizer = None,
    accumulate: Accumulate = 1,
    autocast: Autocast = None,
    clip: Annotated[
        float | None,
        typer.Option(
            metavar="NORM",
            rich_help_panel=STEP,
            callback=positive,
            help="Clip gradients to this norm before the update.",
        ),
    ] = None,
    scaler: Annotated[
        bool,
        typer.Option("--scaler", metavar="", rich_help_panel=STEP, help="Scale the loss, as fp16 needs, and unscale."),
    ] = False,
    device: Device = None,
    freeze: Freeze = None,
    lora: Lora = None,
    checkpoint: Checkpoint = False,
    kind: Kind = None,
    fmt: Fmt = None,
    columns: Columns = None,
    sort: Sort = None,
    depth: Depth = None,
    on: On = None,
    dtype: Dtype = None,
    output: Output = None,
    convention: ConventionName = "macs",
    strict: Strict = False,
) -> None:
    """Show what every layer of a model costs in a training step: forward, backward and update.

    The loss is the model's own, if it returns one, or else the sum of all that it returns.

    For example:

    thoplw train resnet50 --batch 8 --optimizer adamw

    thoplw train resnet50 --freeze 'layer[1-3].*' --fmt clever

    thoplw train hf:llama --seq 4096 --checkpoint --autocast bf16 --kind tree

    thoplw train resnet50 --batch 64 --optimizer adamw --on h100-sxm
    """
    view: dict[str, Any] = {"depth": depth, "columns": columns and columns.split(","), "sort": sort}
    kind = kind_for(kind, output, FORMATS)
    with usage():
        View(fmt=fmt or "raw", **view).check(kind)
    check_device(on, dtype, columns, sort)
    if scaler and optimizer is None:
        raise typer.BadParameter("--scaler unscales gradients for an optimizer, and there is none: add --optimizer")
    with told():
        from thoplw.api import fine_tuning
        from thoplw.api.training import profile_training

        check_optimizer(optimizer)
        module, tensors = loaded(model, inputs, seq=seq, batch=batch)
        module = fine_tuning.changed(module, rank=lora, frozen=freeze or (), checkpointed=checkpoint)
        report = profile_training(
            module,
            tensors,
            optimizer=optimizer,
            accumulate=accumulate,
            autocast=autocast,
            clip=clip,
            scaler=scaler,
            device=device,
            convention=convention,
            strict=strict,
            verbose=False,
            memory=asks_for_memory(columns, sort),
        )
        shown(report if on is None else report.on(on, dtype), kind, fmt, output, view)
