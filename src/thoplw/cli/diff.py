"""``thoplw diff``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thoplw.cli.completion import model_names
from thoplw.cli.options import (
    BESIDE,
    NAMES,
    Batch,
    ConventionOfFile,
    Execute,
    FmtBeside,
    Inputs,
    KindBeside,
    Output,
    Seq,
    kind_for,
)
from thoplw.cli.run import run
from thoplw.cli.terminal import draw_table, is_terminal, say, show, told

if TYPE_CHECKING:
    from thoplw.report.profile import Profile


def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help=f"The model before: {NAMES}; or a saved profile (profile --kind json -o FILE.json).",
            autocompletion=model_names,
        ),
    ],
    after: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="The model after, or a saved profile.",
            autocompletion=model_names,
        ),
    ],
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    execute: Execute = False,
    kind: KindBeside = None,
    fmt: FmtBeside = None,
    output: Output = None,
    convention: ConventionOfFile = None,
) -> None:
    """Show which layers of two models differ; layers are matched by name.

    For example:

    thoplw diff resnet18 resnet34

    thoplw profile mypackage:build --input 1,3,224,224 --kind json -o before.json

    thoplw diff before.json mypackage:build --input 1,3,224,224 --fmt clever
    """
    kind = kind_for(kind, output, BESIDE)
    with told():
        from thoplw.api.diff import differences
        from thoplw.render import render
        from thoplw.report.document import read

        files = {name: read(Path(name)) for name in (before, after) if is_file(name)}
        counted = convention or next((profile.about.convention for profile in files.values()), "thoplw")

        def profile(name: str) -> Profile:
            if name in files:
                return files[name]
            return run(name, inputs, seq=seq, batch=batch, convention=counted, execute=execute).profile

        found = differences(profile(before), profile(after))
        if kind == "text" and output is None and is_terminal():
            draw_table(found.table(fmt or "clever", narrow=narrow) for narrow in (False, True))
        elif kind == "json":
            show(json.dumps(found.to_dict(), indent=2), output)
        else:
            show(render(found.table(fmt or "raw"), kind), output)
        if kind == "csv":
            for note in found.notes:
                say(f"thoplw: {note}")


def is_file(name: str) -> bool:
    """Whether this names a saved profile, not a model: no model's name ends in ``.json``."""
    return name.endswith(".json")
