"""From what was typed to a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thoplw.cli.inputs import Typed, tensors
from thoplw.errors import InputError

if TYPE_CHECKING:
    from thoplw.report import LayerInfo


def run(
    name: str,
    typed: list[Typed] | None = None,
    *,
    seq: int | None = None,
    batch: int | None = None,
    convention: str = "thoplw",
    strict: bool = False,
    execute: bool = False,
) -> LayerInfo:
    """Load a model by name and profile it.

    Args:
        name: as :func:`thoplw.loading.load` takes it.
        typed: inputs; the zoo's own when there are none.
        seq: number of text tokens.
        batch: number of samples.
        convention: how to count.
        strict: raise when an operator was not counted.
        execute: really run the model, with random weights.

    Raises:
        InputError: there is no telling what the model takes, or it is told twice.
        Exception: what loading or profiling raises comes through.
    """
    from thoplw.api import profile
    from thoplw.loading import load

    options = {option: value for option, value in (("seq", seq), ("batch", batch)) if value is not None}
    if typed and options:
        raise InputError(f"--input says what --{' and --'.join(options)} would; leave one of them out")
    inputs = tensors(typed or [], real=execute)
    loaded = load(name, execute, **options)
    if inputs is None and loaded.inputs is None:
        raise InputError(f"{name} does not tell what it takes: add --input, as in --input 1,3,224,224")
    return profile(
        loaded.model,
        loaded.inputs if inputs is None else inputs,
        verbose=False,
        convention=convention,
        strict=strict,
        execute=execute,
    )[2]
