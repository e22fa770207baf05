"""``thoplw.profile_training``: what a training step costs, by layer and phase."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from thoplw.api.profile import observe, say_lacking
from thoplw.capture import expand
from thoplw.capture.answers.device_kernels import DEVICE_KERNELS
from thoplw.capture.criterion import Loss
from thoplw.capture.options import Options
from thoplw.capture.restore.preserve import without_collection
from thoplw.capture.training_step import TrainingStep, find_optimizer, is_scaled
from thoplw.errors import DataDependentError, InputError, UnknownNameError
from thoplw.estimate.memory import Memory
from thoplw.pricing import Convention, find
from thoplw.pricing.custom import CustomOps
from thoplw.report.layer_info import LayerInfo

#: Name -> the type that autocast computes in.
_TYPES = {"bf16": torch.bfloat16, "bfloat16": torch.bfloat16, "fp16": torch.float16, "float16": torch.float16}


#: The first, in which an optimizer has no states and no output is kept, and one as all later ones are.
ITERATIONS = 2


def profile_training(
    model: torch.nn.Module,
    inputs: Any,
    *,
    loss: Loss | str | None = None,
    targets: Any = (),
    optimizer: Any = None,
    accumulate: int = 1,
    autocast: torch.dtype | str | None = None,
    clip: float | None = None,
    scaler: torch.amp.GradScaler | bool | None = None,
    device: str | None = None,
    step: Callable[..., Any] | None = None,
    memory: bool = False,
    set_to_none: bool = True,
    convention: str | Convention = "macs",
    custom_ops: Mapping[Any, Callable[..., Any]] | None = None,
    strict: bool = False,
    verbose: bool = True,
) -> LayerInfo:
    """Tell what every layer costs in a training step: forward, backward and update.

    The step runs once, under torch's own autograd, on tensors that have shapes but no values. Weights, gradients, the
    optimizer and random numbers are as before, whatever happens. The model is put in training mode if it is in
    evaluation mode; otherwise its modules stay as they are, as some may be kept in evaluation mode on purpose.

    For example::

        report = thoplw.profile_training(model, (8, 3, 224, 224), optimizer="adamw")
        report.by_phase()  # {"forward": ..., "recomputation": ..., "backward": ..., "update": ...}

    Args:
        model: any module. Its weights may be on the meta device. What requires no gradient is frozen.
        inputs: what the model takes, as in :func:`thoplw.profile`.
        loss: a function of what the model returns, and of the targets; ``"sum"`` for the sum of all that it returns;
            by default the loss that the model returns itself (``output.loss``, a dict of losses, a number), else the
            sum.
        targets: given to the loss after the output: a tensor, or a tuple.
        optimizer: one of the model's parameters, its class, a function that makes it from a list of parameters, or a
            name such as ``"adamw"``; by default there is no update.
        accumulate: how many forwards and backwards there are, each on ``inputs``, before an update.
        autocast: the type to compute forward and loss in: ``"bf16"``, ``"fp16"`` or a dtype.
        clip: the norm that gradients are clipped to before the update.
        scaler: ``True`` or a gradient scaler, as half precision needs: it makes the loss larger; before clipping and
            update, gradients are made as much smaller, and looked through for what is infinite. It stays as it was.
        device: whose kernels run, ``"cpu"`` or ``"cuda"``, wherever the model is, which is the default: attention with
            dropout is one kernel on CUDA, say, that computes its scores anew in the backward.
        step: a function of model and inputs that does all this in its own way, in place of the arguments above.
        memory: also tell how much memory a training loop takes, in ``layers.memory``, in its first iteration and in a
            later one; it takes a run of two iterations more.
        set_to_none: whether the loop lets go of gradients before each iteration, as ``optimizer.zero_grad()`` does, or
            sets them to zero. No cost depends on it.
        convention: how to count, as in :func:`thoplw.profile`; its unit is that of the figures.
        custom_ops: the user's own prices, as in :func:`thoplw.profile`.
        strict: raise when an operator was not counted.
        verbose: say on stderr what was not counted, and which submodules never ran.

    Returns:
        The report: as that of :func:`thoplw.profile`, with a figure ``phases``. Operators of the backward pass belong
        to the module whose forward they are of, those of the update to the module that owns the weight; the loss
        has a row ``(loss)``.

    Raises:
        InputError: the model is not a module, or an argument cannot be used.
        UnknownNameError: the convention or the optimizer is unknown.
        DataDependentError: the step depends on a value, ``loss.item()`` say.
        UncountedError: ``strict``, and an operator has no price.
        Exception: what model, loss and optimizer raise comes through unchanged.
    """
    if step is not None and not callable(step):
        raise InputError(f"step={step!r}: give a function of model and inputs that runs the whole training step")
    if step is not None and any(each is not None for each in (loss, optimizer, autocast, clip, scaler)):
        raise InputError("step= is the whole training step: leave loss, optimizer, autocast, clip and scaler out")
    if type(accumulate) is not int or accumulate < 1:
        raise InputError(f"accumulate={accumulate!r}: give 1 or more forwards and backwards before an update")
    if isinstance(loss, str) and loss != "sum":
        raise InputError(f'loss={loss!r}: give a function of what the model returns and of targets=, or "sum"')
    if loss is None and not (isinstance(targets, tuple) and not targets):
        raise InputError("targets= are for a loss: give loss=, a function of what the model returns and of targets")
    if callable(loss):
        _require_takes(loss, 1 + (len(targets) if isinstance(targets, tuple) else 1))
    if clip is not None and not (isinstance(clip, (int, float)) and 0 < clip < math.inf):
        raise InputError(f"clip={clip}: give a norm above 0")
    if optimizer is None and is_scaled(scaler):
        raise InputError("scaler= unscales gradients for an optimizer, and there is none: give optimizer=")
    if device is not None and device not in DEVICE_KERNELS:
        raise UnknownNameError("device", device, DEVICE_KERNELS)
    with without_collection():
        custom = CustomOps(custom_ops, find(convention))
        training_step = TrainingStep(
            loss=loss,
            targets=targets if isinstance(targets, tuple) else (targets,),
            optimizer=find_optimizer(optimizer),
            accumulate=accumulate,
            autocast=_type(autocast),
            clip=clip,
            scaled=is_scaled(scaler),
            function=step,
            set_to_none=set_to_none,
            device=device,
        )
        try:
            trace = observe(model, inputs, Options(on_return=custom.on_return, step=training_step))
            again = Options(step=training_step, iterations=ITERATIONS)
            recorded = Memory(observe(model, inputs, again)) if memory else None
        except DataDependentError as error:
            raise DataDependentError(str(error).replace(*_INSTEAD)) from error
        info = LayerInfo(custom.price(trace, expand), recorded)
        say_lacking(info, strict=strict, verbose=verbose)
        return info


#: A training step has no execute=True.
_INSTEAD = "execute=True counts it on real tensors", "thoplw.count() around a real step counts it"


def _require_takes(loss: Callable[..., Any], count: int) -> None:
    """Refuse a loss that lacks targets, or has too many."""
    try:
        signature = inspect.signature(loss.forward if isinstance(loss, torch.nn.Module) else loss)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return
    try:
        signature.bind(*range(count))
    except TypeError as error:
        name = type(loss).__name__ if isinstance(loss, torch.nn.Module) else getattr(loss, "__name__", repr(loss))
        given = "what the model returns" + (f" and {count - 1} of targets=" if count > 1 else " alone")
        raise InputError(
            f"loss={name} takes {signature}, and is called with {given} ({error}): give targets="
        ) from None


def _type(autocast: torch.dtype | str | None) -> torch.dtype | None:
    if isinstance(autocast, str):
        if autocast not in _TYPES:
            raise UnknownNameError("type for autocast", autocast, _TYPES)
        return _TYPES[autocast]
    return autocast
