"""``thoplw formula``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thoplw.cli.inputs import filled, tensors
from thoplw.cli.options import COUNTING, MODEL, TABLE, ConventionName, Model, Output, kind_for, kind_option, writable
from thoplw.cli.terminal import draw_table, is_terminal, say, show, told, usage
from thoplw.errors import InputError

if TYPE_CHECKING:
    from thoplw.api.formula import Formula

#: Output formats.
KINDS = ("text", "md", "csv", "latex", "python", "json")


def variables(text: str) -> dict[str, range | None]:
    """Read ``batch=8,seq,R=32:1024:32``: variables, with their sizes where these are given.

    Raises:
        BadParameter: a range is not one, two or three whole numbers, or has no sizes.
    """
    found: dict[str, range | None] = {}
    for part in text.split(","):
        name, equals, sizes = (each.strip() for each in part.partition("="))
        try:
            first, *others = (int(size) for size in sizes.split(":")) if equals else (0,)
            last, *step = others or (first,)
            known = range(first, last + 1, *step) if equals else None
        except (TypeError, ValueError):
            known = range(0)
        if not name.isidentifier() or (known is not None and not known) or name in found:
            raise typer.BadParameter(
                f"{part!r} is no variable; write a name, with its first and last size and a step if you like, as in "
                "batch,seq=1:8192,resolution=32:1024:32"
            )
        found[name] = known
    return found


def formula(
    model: Model,
    # typer has no way to say that a parser makes something else than the annotated type.
    wanted: Annotated[
        Any,
        typer.Option(
            "--vars",
            metavar="A,B=1:64",
            rich_help_panel=MODEL,
            parser=variables,
            help="Variables, with first and last size, and a step, if you like. Models of a zoo have batch, and seq or "
            "resolution: all by default.",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            rich_help_panel=MODEL,
            help="Shape of one input, with variables in it: B,3,R,R or ids=B,S:int64; repeat for several. Models of a "
            "zoo have default inputs.",
        ),
    ] = None,
    module: Annotated[
        str, typer.Option(metavar="PATH", rich_help_panel=TABLE, help="Show a module of the model, with all it holds.")
    ] = "",
    depth: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", rich_help_panel=TABLE, help="Show the MACs of every module down to this depth."
        ),
    ] = None,
    kind: Annotated[
        str | None,
        kind_option(lambda: KINDS, f"{', '.join(KINDS)}."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=TABLE,
            callback=writable(".pdf", ".png", ".svg"),
            help="Draw MACs against the last variable: .svg, .png, .pdf.",
        ),
    ] = None,
    output: Output = None,
    convention: ConventionName = "thoplw",
    memory: Annotated[
        bool,
        typer.Option(
            "--memory",
            metavar="",
            rich_help_panel=COUNTING,
            help="Also find the formula of the peak of memory; it takes twice as long.",
        ),
    ] = False,
) -> None:
    """Show how the cost of a model depends on batch, length, resolution or anything else, as an exact formula.

    The model runs at some 20 sizes. The formula is fitted to a few of these runs, and exact in all others.

    For example:

    thoplw formula hf:llama --vars batch,seq

    thoplw formula resnet50 --vars batch,resolution --convention macs

    thoplw formula net.py:Net --vars B=1:64,R=32:512:32 --input B,3,R,R
    """
    if memory and depth is not None:
        raise typer.BadParameter(
            "--depth shows the MACs of modules alone; for the peak of one, give --memory with --module"
        )
    kind = kind_for(kind, output, KINDS)
    if depth is not None and kind not in ("text", "md", "csv"):
        raise typer.BadParameter(f"--depth adds rows to a table, and --kind {kind} has none: leave one of them out")
    if inputs:
        _check_inputs(wanted, inputs)
    with told():
        found = _found(model, wanted, inputs or [], convention, memory)
        if module:
            found = found[module]
        if plot is not None:
            _save(found, plot)
        if kind == "text" and output is None and is_terminal():
            draw_table([replace(found.table(depth=depth), notes=found.notes)], found.proof)
        else:
            show(found.summary(kind, depth=depth), output)
        if kind in ("csv", "latex", "python"):
            for note in (found.proof, *found.notes):
                say(f"thoplw: {note}")


def _check_inputs(wanted: dict[str, range | None] | None, typed: list[str]) -> None:
    """Refuse inputs that are mistyped, or have variables without sizes.

    Raises:
        BadParameter: there are such.
    """
    if wanted is None:
        raise typer.BadParameter("--input goes with its variables, as in --input B,3,32,32 --vars B=1:64")
    with usage("--vars"):
        for name, sizes in wanted.items():
            if sizes is None:
                raise InputError(f"{name} has no sizes: with --input, give the first and the last, as in {name}=1:64")
    with usage("--input"):
        for each in typed:
            filled(each, {name: sizes[0] for name, sizes in wanted.items() if sizes is not None})


def _found(
    model: str, wanted: dict[str, range | None] | None, typed: list[str], convention: str, memory: bool
) -> Formula:
    if not typed:
        from thoplw.api.natural import natural

        return natural(model, wanted, convention=convention, memory=memory)
    from thoplw.api.formula import formula
    from thoplw.models.registry import load

    def make_inputs(**sizes: int) -> Any:
        return tensors([filled(each, sizes) for each in typed])

    ranges: dict[str, Any] = dict(wanted or {})
    make_inputs(**{name: sizes[0] for name, sizes in ranges.items()})  # a mistyped input is not a model that cannot run
    return formula(load(model).model, make_inputs, convention=convention, memory=memory, verbose=False, **ranges)


def _save(found: Formula, path: Path) -> None:
    try:
        found.plot().savefig(str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {path}: {error}") from error
