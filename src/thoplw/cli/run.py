"""From what was typed to a profile."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from thoplw.cli.inputs import Typed, tensors
from thoplw.errors import InputError

if TYPE_CHECKING:
    import torch

    from thoplw.report.layer_info import LayerInfo


def loaded(
    name: str,
    typed: list[Typed] | None = None,
    *,
    seq: int | None = None,
    batch: int | None = None,
    execute: bool = False,
) -> tuple[torch.nn.Module, Any]:
    """Load a model by name, and its inputs.

    Args:
        name: as :func:`thoplw.models.registry.load` takes it.
        typed: inputs; the zoo's own when there are none.
        seq: number of text tokens.
        batch: number of samples.
        execute: with values, random ones for weights, to be run for real.

    Raises:
        InputError: there is no telling what the model takes, or it is told twice.
        Exception: what loading raises comes through.
    """
    from thoplw.models.registry import load

    options = {option: value for option, value in (("seq", seq), ("batch", batch)) if value is not None}
    if typed and options:
        raise InputError(f"--input says what --{' and --'.join(options)} would; leave one of them out")
    inputs = tensors(typed or [], real=execute)
    found = load(name, execute, **options)
    if inputs is None and found.inputs is None:
        raise InputError(
            f"{name} does not tell what it takes: add --input for each input of its forward"
            f"{signature(found.model)}, as in --input 1,3,224,224"
        )
    return found.model, found.inputs if inputs is None else inputs


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
        name: as for :func:`loaded`.
        typed: as for :func:`loaded`.
        seq: as for :func:`loaded`.
        batch: as for :func:`loaded`.
        convention: how to count.
        strict: raise when an operator was not counted.
        execute: really run the model, with random weights.

    Raises:
        Exception: what loading or profiling raises comes through.
    """
    from thoplw.api.profile import profile

    model, inputs = loaded(name, typed, seq=seq, batch=batch, execute=execute)
    return profile(model, inputs, verbose=False, convention=convention, strict=strict, execute=execute)[2]


def signature(model: torch.nn.Module) -> str:
    """The parameters of a forward, ``(x, mask=None)``; nothing where they cannot be told."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return ""
    plain = (each.replace(annotation=inspect.Parameter.empty) for each in parameters)
    return f" ({', '.join(map(str, plain))})"
