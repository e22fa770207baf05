"""Run a model once and record every operator: abstractly, without its arithmetic, or for real.

A run is a dispatch mode below autograd. There composite operators such as ``aten.linear`` reach the mode before they
fall apart into kernels, so that a record says what the model asked for. A composite operator whose
output shape is known from a rule of :mod:`thoplw.shapes` stays whole, and :func:`expand` takes it apart later if
somebody asks; any other is taken apart at once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import chain, filterfalse
from operator import attrgetter
from typing import Any

import torch

from thoplw.capture.abstract import Specs
from thoplw.capture.abstract_run import AbstractRun
from thoplw.capture.inputs import entered
from thoplw.capture.interrupts import Interrupts
from thoplw.capture.layer_cache import LayerCache
from thoplw.capture.live_run import LiveRun
from thoplw.capture.operators import is_composite, operator_of
from thoplw.capture.preserve import data_preserved, preserved
from thoplw.capture.scopes import ModuleScopes, Watch
from thoplw.capture.session import Session
from thoplw.capture.snapshot import Snapshot
from thoplw.capture.survivors import Survivors
from thoplw.capture.torch_internals import VERSION, below_autograd, handed_out
from thoplw.capture.weights import Weights
from thoplw.errors import InputError, ThoplwError
from thoplw.record import Call, Trace

__all__ = ["Session", "capture", "expand"]


def capture(
    model: torch.nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    execute: bool = False,
    reuse_layers: bool = True,
    watch: Watch | None = None,
) -> Trace:
    """Run ``model(*args, **kwargs)`` as in inference and record it; the model is left exactly as it was.

    Args:
        model: any module; its weights may be on the meta device.
        args: positional inputs, with tensors at any depth.
        kwargs: keyword inputs.
        execute: run for real, on the tensors given.
        reuse_layers: run a layer of torch once, and repeat its record for layers that are called alike. That gives the
            record of a run of every layer, sooner.
        watch: called with scope, module, inputs and output whenever a module of the model returns.

    Raises:
        DataDependentError: the model decided on a value that an abstract run does not have.
        InputError: a parameter is not initialised yet, or an operator cannot tell its output shape without running.
        Exception: whatever the model's forward raises, with a note that says in which module (Python 3.11 or newer).
    """
    specs = Specs()
    weights = Weights(specs)
    weights.add(model)
    snapshot = Snapshot()
    inputs = tuple(args), dict(kwargs)
    snapshot.add(inputs)
    given, inside = dict(snapshot.tensors), dict(snapshot.modules)
    if execute:
        _require_values(model, given)
    snapshot.add_modules(weights.modules, weights.tensors)
    real = list(filterfalse(attrgetter("is_meta"), snapshot.tensors.values()))
    scopes = ModuleScopes(weights.indices, specs, watch)
    kind = LiveRun if execute else AbstractRun
    run = kind(specs=specs, weights=weights, scopes=scopes, device=_device(given, real))
    run.own(real)
    survivors = Survivors(weights.modules, snapshot)
    try:
        with Interrupts() as interrupts, ExitStack() as stack:
            stack.enter_context(preserved(weights.modules, snapshot))
            stack.callback(run.finish)
            reshaped = stack.enter_context(data_preserved(real))
            stack.enter_context(below_autograd())
            stack.enter_context(handed_out(run.save))
            if reuse_layers and isinstance(run, AbstractRun):
                stack.enter_context(LayerCache(run, scopes, weights))
            stack.enter_context(scopes)
            args, kwargs = entered(inputs, given, inside, run.enter)
            stack.enter_context(run)
            try:
                with interrupts.let_through():
                    model(*args, **kwargs)
            except Exception as error:
                _say_where(error, scopes, weights)
                raise
            finally:
                del args, kwargs
    finally:
        left = survivors.forget(specs, run.made, watch)
    if left:
        raise InputError(
            f"the forward left a tensor of this run in {', '.join(left[:3])}, and what was there before is not known, "
            "so that it cannot be put back: set it anew before the model runs. What a model keeps in its own "
            "attributes, or in variables of the file of its class, is put back."
        )
    # Of a tensor that is no weight the values count, and what is done to it is done for real.
    reshaped = [tensor for tensor in reshaped if id(tensor) in weights.tensors]
    if reshaped and not execute:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in reshaped[:5])
        raise InputError(
            f"the forward assigned .data of another shape or type to tensors of the model, of shape {shapes}: nothing "
            "tells of that in a run without arithmetic. execute=True counts it on real tensors."
        )
    return Trace(
        modules=tuple(weights.infos),
        scopes=tuple(scopes.scopes),
        steps=tuple(run.steps),
        used=frozenset(run.used.intersection(weights.tensors)),
        assumptions=tuple(run.assumptions),
        torch=VERSION,
    )


def expand(call: Call) -> tuple[Call, ...] | None:
    """The operators that a composite operator is made of, or ``None`` for a kernel.

    They come from running the composite on abstract tensors made from the record: no model is needed.
    """
    if call.parts is not None:
        return call.parts
    func = operator_of(call)
    if func is None or not is_composite(func):
        return None
    run = AbstractRun(specs=Specs(), weights=Weights(Specs()), scopes=None, device=torch.device("cpu"))
    args, kwargs = run.thaw((call.args, dict(call.kwargs)))
    with below_autograd():
        return run.take_apart(func, args, kwargs)[1]


def _require_values(model: torch.nn.Module, given: Mapping[int, torch.Tensor]) -> None:
    """A real run needs real tensors."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_meta:
            raise InputError(f"execute=True needs real weights, and {name!r} is on the meta device; leave execute out.")
    if any(tensor.is_meta for tensor in given.values()):
        raise InputError("execute=True needs real inputs, and one is on the meta device; leave execute out.")


def _say_where(error: Exception, scopes: ModuleScopes, weights: Weights) -> None:
    """Add to what a forward raised in which module it did: the innermost that had not returned."""
    if sys.version_info < (3, 11) or isinstance(error, ThoplwError) or scopes.current < 0:
        return
    info = weights.infos[scopes.scopes[scopes.current].module]
    error.add_note(f"raised in {f'module {info.path!r}' if info.path else 'the model itself'} ({info.class_name})")


def _device(given: Mapping[int, torch.Tensor], real: Sequence[torch.Tensor]) -> torch.device:
    """The device that the user sees: of the inputs, else of the weights, and the CPU where both have no values."""
    known = next(filterfalse(attrgetter("is_meta"), chain(given.values(), real)), None)
    return torch.device("cpu") if known is None else known.device
