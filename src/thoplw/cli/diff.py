"""``thoplw diff``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thoplw.cli.options import BESIDE, NAMES, Batch, Inputs, Output, Seq, known
from thoplw.cli.run import run
from thoplw.cli.terminal import say, show, told

if TYPE_CHECKING:
    from thoplw.report.profile import Profile


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=f"{NAMES}; or a file that profile --kind json wrote.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The same; what is different in B is shown.")],
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    kind: Annotated[str, typer.Option("--kind", "--format", help=f"{', '.join(BESIDE)}.")] = "text",
    fmt: Annotated[str, typer.Option(help="Figures: raw or clever (with units).")] = "raw",
    convention: Annotated[
        str | None, typer.Option(help="How to count: that of the file, or else thoplw, by default.")
    ] = None,
    output: Output = None,
) -> None:
    """Show what differs between two models, layers matched by name.

    For example:

    thoplw diff resnet18 resnet34

    thoplw profile mypackage:build --input 1,3,224,224 --kind json -o before.json

    thoplw diff before.json mypackage:build --input 1,3,224,224 --fmt clever
    """
    with told():
        from thoplw.api.diff import FORMATS, differences
        from thoplw.pricing import CONVENTIONS
        from thoplw.render import render
        from thoplw.report.document import read

        known("kind", kind, BESIDE)
        known("fmt", fmt, FORMATS)
        if convention is not None:
            known("convention", convention, CONVENTIONS)
        files = {name: read(Path(name)) for name in (before, after) if is_file(name)}
        counted = convention or next((profile.about.convention for profile in files.values()), "thoplw")

        def profile(name: str) -> Profile:
            if name in files:
                return files[name]
            return run(name, inputs, seq=seq, batch=batch, convention=counted).profile

        found = differences(profile(before), profile(after))
        show(json.dumps(found.to_dict(), indent=2) if kind == "json" else render(found.table(fmt), kind), output)
        if kind == "csv":
            for note in found.notes:
                say(f"thoplw: {note}")


def is_file(name: str) -> bool:
    """Whether this names a saved profile and not a model: no model ends so."""
    return name.endswith(".json")
