"""Run a model once and record every operator: abstractly, without its arithmetic, or for real.

A run is a dispatch mode below autograd. There composite operators such as ``aten.linear`` reach the mode before they
fall apart into kernels, so that a record says what the model asked for. A composite operator whose
output shape is known from a rule of :mod:`thoplw.shapes` stays whole, and :func:`expand` takes it apart later if
somebody asks; any other is taken apart at once.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Container, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import fields, is_dataclass
from itertools import chain, filterfalse, islice
from operator import attrgetter
from threading import get_ident
from typing import Any

import torch

from thoplw.capture.abstract import Specs
from thoplw.capture.abstract_run import AbstractRun
from thoplw.capture.backward import MarkedScopes
from thoplw.capture.criterion import LOSS_PATH
from thoplw.capture.detection import boxes_cover_pictures
from thoplw.capture.dialects import spoken
from thoplw.capture.distributed import refuse_copies, refuse_split
from thoplw.capture.higher_order import differentiated
from thoplw.capture.inputs import entered
from thoplw.capture.interrupts import Interrupts
from thoplw.capture.layer_cache import LayerCache
from thoplw.capture.ledger import Ledger
from thoplw.capture.live_run import LiveRun
from thoplw.capture.made import Made
from thoplw.capture.memory_run import MemoryRun
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import is_composite, operator_of
from thoplw.capture.preserve import data_preserved, preserved
from thoplw.capture.process import turn
from thoplw.capture.random_state import random_state_kept
from thoplw.capture.run import Run, outside
from thoplw.capture.scopes import ModuleScopes, Watch
from thoplw.capture.scripted import refuse_traced
from thoplw.capture.session import Session
from thoplw.capture.snapshot import Snapshot
from thoplw.capture.stand_ins import stood_in_for
from thoplw.capture.step import Step
from thoplw.capture.storages_run import StoragesRun
from thoplw.capture.survivors import Survivors, names_of
from thoplw.capture.switches import switches_kept
from thoplw.capture.torch_internals import (
    CAN_EXCHANGE,
    VERSION,
    backward_passes,
    below_autograd,
    handed_out,
    is_transformed,
    lacks_memory,
)
from thoplw.capture.training_run import Asked, LiveTrainingRun, TrainingRun, WithGradients, phases_of
from thoplw.capture.types_told import types_told
from thoplw.capture.unread import Unread
from thoplw.capture.weights import Weights
from thoplw.errors import DataDependentError, InputError, ThoplwError, add_note
from thoplw.record import Call, Kind, Trace

#: A generator that gives more is taken for one that does not end.
_MOST_ITEMS = 2**16

__all__ = ["Session", "capture", "expand"]


def capture(
    model: torch.nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    execute: bool = False,
    reuse_layers: bool = True,
    watch: Watch | None = None,
    priced: Container[str] = (),
    train: bool = False,
    step: Step | None = None,
    iterations: int = 0,
    graph: bool = False,
    storages: bool = False,
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
        priced: names of control-flow operators, such as ``higher_order.cond``, that have a price of their own: the
            record has a call of one as a whole.
        train: run it in training mode.
        step: run a whole training step, under autograd.
        iterations: watch the memory of so many steps, or of inference if there is no step; 0 for none. The record is of
            the kernels that torch runs then.
        graph: watch inference with gradients enabled, as of a model that asks for some itself.
        storages: have abstract tensors know in which storage they lie, for ``watch``.

    Raises:
        DataDependentError: the model decided on a value that an abstract run does not have.
        InputError: a parameter is not initialised yet, a tensor or module is split over processes, or an operator
            cannot tell its output shape without running.
        Exception: whatever the model's forward raises, with a note that says in which module.
    """
    with turn(), outside():
        given = _given(args, kwargs, execute)
        if step is None and not iterations:
            asked = Asked()
            try:
                trace = _capture(
                    model, *given, execute, reuse_layers, watch, priced, train, step, asked, storages=storages
                )
            except Exception:
                if not asked.by_somebody:
                    raise
            if not asked.by_somebody:
                return trace
        if not CAN_EXCHANGE:
            raise InputError(f"gradients are counted with torch 2.4 or newer, and this is torch {VERSION}.")
        return _capture(model, *given, execute, reuse_layers, watch, priced, train, step, None, iterations, graph)


def _capture(
    model: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    execute: bool,
    reuse_layers: bool,
    watch: Watch | None,
    priced: Container[str],
    train: bool,
    step: Step | None,
    asked: Asked | None,
    iterations: int = 0,
    graph: bool = False,
    storages: bool = False,
) -> Trace:
    """Run and record, below autograd where ``asked`` is given, to note whether the forward asks for gradients."""
    specs = Specs()
    weights = Weights(specs)
    weights.add(model)
    snapshot = Snapshot()
    inputs = args, kwargs
    snapshot.add(inputs)
    given, inside = dict(snapshot.tensors), dict(snapshot.modules)
    refuse_split("an input", map(type, given.values()))
    if execute:
        _require_values(weights, given)
    else:
        refuse_traced(weights.modules)
        refuse_copies({*map(type, weights.modules)})
    snapshot.add_modules(weights.modules, weights.tensors)
    before = len(snapshot.tensors)
    held = _held(step, weights, snapshot) if step is not None else []
    real = list(filterfalse(attrgetter("is_meta"), snapshot.tensors.values()))
    if asked is None:
        scopes: ModuleScopes = MarkedScopes(weights.indices, specs, watch)
        kind: type[Run] = MemoryRun if iterations else LiveTrainingRun if execute else TrainingRun
        device = torch.device("cpu")  # whatever autograd does on another, it does in threads of its own
        dialect = (step is not None and step.device) or _device(given, real).type
    else:
        scopes = ModuleScopes(weights.indices, specs, watch)
        kind = LiveRun if execute else StoragesRun if storages else AbstractRun
        device = _device(given, real)
    run = kind(specs=specs, weights=weights, scopes=scopes, device=device)
    run.priced = priced
    run.own(real)
    if isinstance(run, MemoryRun):
        run.gpu = dialect == "cuda"
        _hold(run.ledger, weights, [*given.values(), *islice(snapshot.tensors.values(), before, None)])
    survivors = Survivors(weights.modules, snapshot)
    if step is not None and step.whole is None:
        weights.add(step.criterion, LOSS_PATH, 0)
    made = Made(weights, scopes)
    try:
        with Interrupts() as interrupts, ExitStack() as stack:
            stack.enter_context(switches_kept())
            stack.enter_context(random_state_kept(lambda: run.drew))
            stack.enter_context(preserved(snapshot, _mode(model, train or step is not None)))
            stack.callback(run.finish)
            reshaped = stack.enter_context(data_preserved(real))
            if asked is not None:
                stack.enter_context(backward_passes(asked.note))
                stack.enter_context(below_autograd())
            else:
                stack.enter_context(torch.set_grad_enabled(step is not None or graph or not iterations))
                stack.enter_context(differentiated(lambda: scopes.belongs(get_ident())))
                if not execute:
                    stack.enter_context(stood_in_for([*weights.tensors.values(), *held], specs, run.device))
                    stack.enter_context(spoken(dialect, scopes.belongs))
            stack.enter_context(handed_out(run.save, scopes.belongs))
            if isinstance(run, AbstractRun):
                stack.enter_context(boxes_cover_pictures(run))
                stack.enter_context(types_told({*map(type, weights.modules)}))
                if reuse_layers and asked is not None:
                    stack.enter_context(LayerCache(run, scopes, weights))
            stack.enter_context(made)
            stack.enter_context(scopes)
            args, kwargs = entered(inputs, given, inside, run.enter)
            unread = Unread(model, kwargs, specs)
            stack.callback(run.end)
            stack.enter_context(run.entered())
            try:
                with interrupts.let_through():
                    # In a context of its own, so that variables of contexts are as before.
                    copy_context().run(_call, model, args, kwargs, scopes, step, run, iterations)
            except Exception as error:
                if lacks_memory(error) and not execute:
                    raise DataDependentError(
                        f"the code {run.where()} reads the memory of a tensor, as torch.tensor([x, y]) and "
                        "x.storage()[0] do, and this run computes only shapes: tensors have no memory. execute=True "
                        "counts it on real tensors."
                    ) from error
                if scopes.strangers and isinstance(error, DataDependentError):
                    raise InputError(
                        "a thread that was there before the run worked on its tensors, and thoplw cannot follow it. "
                        "It follows threads that the forward starts, and work that the forward gives to a "
                        "ThreadPoolExecutor."
                    ) from error
                _say_where(error, run)
                raise
            finally:
                del args, kwargs
            made.settle(model)
        used = weights.used(run.used, scopes.scopes)
        never_read = unread.names(run)
    finally:
        made.forget()
        left = survivors.forget(specs, run.made, watch)
    again = asked is not None and asked.by_somebody  # under autograd, and then all is told
    for lost in snapshot.lost if not again else ():
        warnings.warn(f"the forward {lost}, and this cannot be put back", RuntimeWarning, stacklevel=2)
    if run.refusals and not again:
        caught = run.refusals[0]
        raise type(caught)(
            f"{caught} The forward caught this error and went another way than on real tensors."
        ) from caught
    if names := names_of(left):
        raise InputError(
            f"the forward kept a tensor of this run in {', '.join(names[:3])}, and thoplw cannot put back what was "
            "there before: set it anew before the model runs. thoplw puts back the attributes of modules, and the "
            "variables of the file that defines the class of the model."
        )
    # Of a tensor that is no weight the values count, and what is done to it is done for real.
    reshaped = [tensor for tensor in reshaped if id(tensor) in weights.tensors]
    if reshaped and not execute:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in reshaped[:5])
        raise InputError(
            f"the forward assigned .data of another shape or dtype to tensors of the model, of shape {shapes}, and a "
            "run that computes only shapes cannot follow that. execute=True counts it on real tensors."
        )
    phases = b"" if asked is not None else phases_of(run.steps)
    return Trace(
        modules=tuple(weights.infos),
        scopes=tuple(scopes.scopes),
        steps=tuple(run.steps),
        used=used,
        assumptions=tuple(run.assumptions),
        torch=VERSION,
        phases=phases,
        unread=never_read,
        given=tuple(map(specs.of, given.values())),
        lifetimes=run.ledger.lifetimes(phases or bytes(len(run.steps))) if isinstance(run, MemoryRun) else None,
        trained=run.trained if isinstance(run, WithGradients) and step is not None else (),
    )


def _mode(model: torch.nn.Module, train: bool) -> bool | None:
    """The mode to put all modules in: evaluation, or training as ``model.train()`` does.

    ``None`` where a model is in training mode already: then some of its modules may be in evaluation mode on purpose,
    such as frozen norms.
    """
    return None if train and getattr(model, "training", True) else train


def _held(step: Step, weights: Weights, snapshot: Snapshot) -> list[torch.Tensor]:
    """The tensors that a training step holds beside the model's: they count for their shape, as weights do."""
    before = snapshot.tensors.keys() | weights.tensors.keys()
    snapshot.add([step.loss, step.targets, step.optimizer, step.whole, *step.named()])
    return [
        tensor
        for key, tensor in snapshot.tensors.items()
        if key not in before and tensor.is_floating_point() and tensor.numel() > 1 and weights.hold(tensor)
    ]


def _hold(ledger: Ledger, weights: Weights, others: Iterable[torch.Tensor]) -> None:
    """Note what is there before a run: weights, buffers, and what else the model and the step are given."""
    parameters = {weight.key for info in weights.infos for weight in info.parameters}
    buffers = {weight.key for info in weights.infos for weight in info.buffers}
    for keys, kind in ((parameters, Kind.WEIGHTS), (buffers, Kind.BUFFERS)):
        ledger.hold((tensor for key, tensor in weights.tensors.items() if key in keys), kind)
    ledger.hold(others, Kind.INPUTS)


def expand(call: Call) -> tuple[Call, ...] | None:
    """Return the operators that a composite operator calls, or ``None`` for a kernel.

    They come from running the composite on abstract tensors made from the record: no model is needed.
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


def _call(
    model: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    scopes: ModuleScopes,
    step: Step | None,
    run: Run,
    iterations: int,
) -> None:
    """Call a model, and consume the generators in its output.

    Hooks do not fire for a class with a ``__call__`` of its own, and do not cover what a generator runs later.
    """
    with scopes.root(model, args, kwargs) as returned:
        if step is None:
            returned.append(model(*args, **kwargs))
        elif isinstance(run, MemoryRun):
            ledger = run.ledger
            returned.append(step.repeat(model, args, kwargs, iterations, began=ledger.begin, returned=run.returned))
        else:
            returned.append(step.run(model, args, kwargs))
        exhaust(returned[0])
        if step is None and isinstance(run, MemoryRun):
            run.returned(returned[0])


def exhaust(output: Any) -> None:
    """Consume every generator in an output, at any depth: a generator runs only while items are taken from it.

    Raises:
        InputError: it does not end, or the forward is to be awaited.
    """
    if isinstance(output, Coroutine):
        output.close()
        raise InputError(
            "the forward is asynchronous (async def), and nobody awaits it: give a module with a plain forward."
        )
    if isinstance(output, AsyncIterator):
        raise InputError(
            "the forward gives its items asynchronously (async def with yield), and nobody asks for them: give a "
            "module with a plain forward."
        )
    if isinstance(output, (tuple, list)):
        held: Iterable[Any] = output
    elif isinstance(output, Mapping):
        held = output.values()
    elif is_dataclass(output) and not isinstance(output, type):
        held = [getattr(output, field.name, None) for field in fields(output)]
    elif isinstance(output, Iterator):
        held = islice(output, _MOST_ITEMS)
    else:
        return
    for each in held:
        exhaust(each)
    if not isinstance(output, Iterator):
        return
    if next(output, output) is not output:
        raise InputError(
            f"the forward returns a generator that goes on after {_MOST_ITEMS:,} items: profile a module that takes "
            "from it as many as you need."
        )


def _given(args: Sequence[Any], kwargs: Mapping[str, Any], execute: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the inputs, with plain tensors in place of those of ``vmap`` and other function transforms."""
    given = tuple(args), dict(kwargs)
    if not any(map(is_transformed, tensors_in(given))):
        return given
    if execute:
        raise InputError(
            "execute=True needs real inputs, and one is a tensor of vmap, grad or another function transform: "
            "leave execute out, or profile the model outside of the transform."
        )
    return map_tensors(given, _shape_of)  # type: ignore[no-any-return] # it keeps the containers


def _shape_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return a meta tensor of the same shape for a tensor of a function transform, and any other as it is."""
    if not is_transformed(tensor):
        return tensor
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _require_values(weights: Weights, given: Mapping[int, torch.Tensor]) -> None:
    """Refuse weights and inputs on the meta device, as a real run needs values."""
    name = weights.on_meta()
    if name is not None:
        raise InputError(f"execute=True needs real weights, and {name!r} is on the meta device; leave execute out.")
    if any(tensor.is_meta for tensor in given.values()):
        raise InputError("execute=True needs real inputs, and one is on the meta device; leave execute out.")


def _say_where(error: Exception, run: Run) -> None:
    """Add notes to an error of the forward: the innermost module that was running, and what was assumed before."""
    if isinstance(error, ThoplwError):
        return
    if where := run.where():
        add_note(error, f"raised {where}")
    if run.refusals:
        add_note(error, f"The forward had caught this: {run.refusals[0]}")
    for assumption in dict.fromkeys((assumed.statement, assumed.target) for assumed in run.assumptions):
        add_note(
            error,
            f"Assumed before: {assumption[0]} ({assumption[1]}). If that made a shape wrong, execute=True counts the "
            "model on real tensors.",
        )


def _device(given: Mapping[int, torch.Tensor], real: Sequence[torch.Tensor]) -> torch.device:
    """Return the device of the inputs, else that of the weights; the CPU if all are on the meta device."""
    known = next(filterfalse(attrgetter("is_meta"), chain(given.values(), real)), None)
    return torch.device("cpu") if known is None else known.device
