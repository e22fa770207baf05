"""Run a model once and record every operator, without its arithmetic or for real.

For example, ``capture(nn.Linear(8, 4), [torch.zeros(1, 8)], {})`` returns a trace with one step, a call of
``aten.linear``.

A run is a dispatch mode below autograd. Composite operators such as ``aten.linear`` reach the mode there before torch
takes them apart into kernels, so the record says what the model asked for. If a rule of :mod:`thoplw.shapes` gives the
shape of its output, a composite operator stays whole, and :func:`expand` takes it apart later if somebody asks. Any
other composite operator is taken apart at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from thoplw.capture.abstract import Specs
from thoplw.capture.abstract_run import AbstractRun
from thoplw.capture.attempt import Attempt
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import is_composite, operator_of
from thoplw.capture.options import INFERENCE, Options
from thoplw.capture.process import turn
from thoplw.capture.run import outside
from thoplw.capture.session import Session
from thoplw.capture.torch_internals import CAN_EXCHANGE, VERSION, below_autograd, is_transformed, lacks_gradients
from thoplw.capture.training_run import GradientProbe
from thoplw.capture.weights import Weights
from thoplw.errors import InputError
from thoplw.record import Call, Trace

__all__ = ["Options", "Session", "capture", "expand"]


def capture(
    model: torch.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], options: Options = INFERENCE
) -> Trace:
    """Run ``model(*args, **kwargs)`` and record it; the model is left exactly as it was.

    Args:
        model: any module; its weights may be on the meta device.
        args: positional inputs, with tensors at any depth.
        kwargs: keyword inputs.
        options: how to run it; by default abstractly, as in inference.

    Raises:
        DataDependentError: the model decided on a value that an abstract run does not have.
        InputError: a parameter is not initialised yet, a tensor or module is split over processes, or the output
            shape of an operator cannot be told without running it.
        Exception: whatever the forward of the model raises, with a note that says in which module.
    """
    with turn(), outside():
        given = _given(args, kwargs, options.execute)
        if options.step is None and not options.iterations:
            probe = GradientProbe()
            try:
                trace = Attempt(model, *given, options, probe).record()
            except Exception as error:
                # A hook of a gradient is a question too: heat maps of pictures are made so.
                probe.asked = probe.asked or lacks_gradients(error)
                if not probe.asked:
                    raise
            if not probe.asked:
                return trace
        if not CAN_EXCHANGE:
            raise InputError(f"gradients are counted with torch 2.4 or newer, and this is torch {VERSION}")
        return Attempt(model, *given, options, None).record()


def expand(call: Call) -> tuple[Call, ...] | None:
    """Return the operators that a composite operator calls, or ``None`` for a kernel.

    The composite is run on abstract tensors made from the record, so no model is needed.
    """
    if call.parts is not None:
        return call.parts
    func = operator_of(call)
    if func is None or not is_composite(func):
        return None
    run = AbstractRun(specs=Specs(), weights=Weights(Specs()), scopes=None, device=torch.device("cpu"))
    args, kwargs = run.thaw((call.args, dict(call.kwargs)))
    with outside(), below_autograd():
        return run.take_apart(func, args, kwargs)[1]


def _given(args: Sequence[Any], kwargs: Mapping[str, Any], execute: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the inputs, with plain tensors in place of those of ``vmap`` and other function transforms."""
    given = tuple(args), dict(kwargs)
    if not any(map(is_transformed, tensors_in(given))):
        return given
    if execute:
        raise InputError(
            "execute=True needs real inputs, and one is a tensor of vmap, grad or another function transform: "
            "leave execute out, or profile the model outside of the transform"
        )
    return map_tensors(given, _shape_of)  # type: ignore[no-any-return] # it keeps the containers


def _shape_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return a meta tensor of the same shape for a tensor of a function transform, and any other as it is."""
    if not is_transformed(tensor):
        return tensor
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
