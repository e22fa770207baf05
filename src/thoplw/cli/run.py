"""Load the model that was typed, and profile it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from thoplw.cli.inputs import Typed, tensors
from thoplw.errors import InputError

if TYPE_CHECKING:
    import torch

    from thoplw.capture.inputs import Inputs
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
        InputError: the inputs are unknown, given twice, or not those that the forward takes.
        Exception: what loading raises comes through.
    """
    from thoplw.models.registry import load

    options = {option: value for option, value in (("seq", seq), ("batch", batch)) if value is not None}
    if typed and options:
        raise InputError(
            f"--input already sets the shape that --{' and --'.join(options)} would; leave one of them out"
        )
    inputs = tensors(typed or [], real=execute)
    found = load(name, execute, **options)
    if inputs is None and found.inputs is None:
        raise InputError(
            f"{name} has no default inputs: add --input for each input of its forward"
            f"{signature(found.model)}, as in --input 1,3,224,224"
        )
    if inputs is None:
        return found.model, found.inputs
    _check(found.model, inputs)
    return found.model, inputs


def _check(model: torch.nn.Module, inputs: Inputs) -> None:
    """Refuse inputs that the forward does not take, such as one too many.

    Raises:
        InputError: the names or the number of inputs do not fit; the message has the signature.
    """
    try:
        forward = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return
    try:
        forward.bind(*inputs.args, **inputs.kwargs)
    except TypeError as error:
        raise InputError(
            f"--input: {error}; the forward of {type(model).__name__} takes{signature(model)}. Give --input once for "
            "each, by position or by name, as in --input 1,3,224,224 --input mask=1,128:int64"
        ) from error


def run(
    name: str,
    typed: list[Typed] | None = None,
    *,
    seq: int | None = None,
    batch: int | None = None,
    convention: str = "thoplw",
    strict: bool = False,
    execute: bool = False,
    memory: bool = False,
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
        memory: also tell how much memory it takes.

    Raises:
        Exception: what loading or profiling raises comes through.
    """
    from thoplw.api.profile import profile

    model, inputs = loaded(name, typed, seq=seq, batch=batch, execute=execute)
    options: dict[str, Any] = {"convention": convention, "strict": strict, "execute": execute, "memory": memory}
    return profile(model, inputs, verbose=False, **options)[2]


def signature(model: torch.nn.Module) -> str:
    """The parameters of a forward, ``(x, mask=None)``; empty if they are unknown."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return ""
    plain = (each.replace(annotation=inspect.Parameter.empty) for each in parameters)
    return f" ({', '.join(map(str, plain))})"
