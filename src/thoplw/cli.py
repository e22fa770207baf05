"""The command line: arguments to the library, its answers to the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from thoplw.errors import InputError, ThoplwError, UnknownNameError

main = typer.Typer(
    name="thoplw",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What every layer of a PyTorch model costs: exact, without weights, in milliseconds.",
)


def _shape(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(size) for size in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 0:
        raise typer.BadParameter(f"{text!r} is no shape; write sizes with commas, as in 1,3,224,224")
    return sizes


def _version(wanted: bool) -> None:
    if wanted:
        from thoplw import __version__

        typer.echo(f"thoplw {__version__}")
        raise typer.Exit


@main.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    # The folder where the command is called, as with python -m: a script has only its own folder there.
    sys.path.insert(0, "")


@main.command()
def profile(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="resnet18 (of torchvision), timm:vit_base_patch16_224, hf:llama, or mypackage.models:build.",
        ),
    ],
    shapes: Annotated[
        list[Any] | None,
        typer.Option(
            "--input",
            metavar="SIZES",
            parser=_shape,
            help="Shape of a float32 input, as in 1,3,224,224; once for each input. The zoo knows its own default.",
        ),
    ] = None,
    seq: Annotated[int | None, typer.Option(min=1, help="hf: models: number of text tokens, 128 by default.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="hf: models: number of samples, 1 by default.")] = None,
    kind: Annotated[str, typer.Option(help="text, csv or md.")] = "text",
    fmt: Annotated[str, typer.Option(help="Figures: raw, clever (with units) or ratio (to the total).")] = "raw",
    convention: Annotated[
        str, typer.Option(help="How to count: thoplw, or macs (contractions alone, parameters alone).")
    ] = "thoplw",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the table there, not to the terminal.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail when an operator could not be counted.")] = False,
) -> None:
    """Show what every layer of a model costs. No weights are loaded and nothing is computed.

    For example:

    thoplw profile resnet18

    thoplw profile timm:vit_base_patch16_224 --fmt clever

    thoplw profile resnet50 --input 8,3,320,320 --kind md -o resnet50.md

    thoplw profile hf:llama --seq 4096

    thoplw profile mypackage.models:build --input 1,128 --input 1,64
    """
    with _told():
        import torch

        from thoplw.api import profile
        from thoplw.loading import load

        _check(kind, fmt, convention)
        options = {name: value for name, value in (("seq", seq), ("batch", batch)) if value is not None}
        loaded = load(model, **options)
        tensors: Any = tuple(torch.empty(shape, device="meta") for shape in shapes or ()) or loaded.inputs
        if tensors is None:
            raise InputError(f"{model} does not tell what it takes: add --input, as in --input 1,3,224,224")
        # Only csv has no room for notes under the table.
        _, _, layers = profile(loaded.model, tensors, verbose=kind == "csv", convention=convention, strict=strict)
        table = layers.summary(kind, fmt)
        if output is None:
            typer.echo(table)
        else:
            _write(output, f"{table}\n")


def _check(kind: str, fmt: str, convention: str) -> None:
    """Find a misspelt word before the work that may take a while, not after it."""
    from thoplw.conventions import CONVENTIONS
    from thoplw.render import FORMATS
    from thoplw.report import FIGURES

    for what, name, known in (("kind", kind, FORMATS), ("fmt", fmt, FIGURES), ("convention", convention, CONVENTIONS)):
        if name not in known:
            raise UnknownNameError(what, name, known)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def _told() -> Iterator[None]:
    """Whatever fails, say it in plain words on stderr and exit with 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # Who reads us has had enough, as head has; typer knows what to do.
    except ThoplwError as error:
        _fail(str(error), error)
    except Exception as error:
        _fail(f"{type(error).__name__}: {error}".removesuffix(": "), error)


def _fail(message: str, error: Exception) -> None:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1) from error
