"""Time the modules of a model as it runs for real, with nothing of ours between torch and its kernels.

Runs alternate: one is untouched, the next has timers at the calls of modules. So anything that disturbs the machine
disturbs both. A timer takes a stamp when it is entered and when it is left, so that its own time is not counted::

    model  |-- stamp   stamp --|                               |-- stamp   stamp --|
    layer                        |-- stamp [kernel] stamp --|

A module's own time is the time between its inner stamps, less the time between the outer stamps of the modules that it
calls. Torch takes some time outside of these stamps to call a hook. It is measured on modules that do nothing, and
subtracted. So the times of all modules add up to the time of the run without timers.

On a GPU, stamps are events in its stream. A run with timers begins there once Python has launched all of it, so the
times are those of the kernels, however long a launch takes with timers around it. The time that a GPU waits for Python
in a run without timers is in none of them.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass
from statistics import median
from threading import get_ident
from typing import Any

import torch

from thoplw.capture.abstract import PLAIN, AbstractTensor, Specs
from thoplw.capture.generators import exhaust
from thoplw.capture.inputs import copied, copy_inputs
from thoplw.capture.process import turn
from thoplw.capture.restore.interrupts import Interrupts
from thoplw.capture.restore.memories import Memories, sums_of
from thoplw.capture.restore.preserve import data_preserved, preserved, without_collection
from thoplw.capture.restore.random_state import random_state_kept
from thoplw.capture.restore.snapshot import Snapshot
from thoplw.capture.restore.switches import switches_kept
from thoplw.capture.run import outside, running
from thoplw.capture.timing.clocks import Cuda, Processor, clock_for
from thoplw.capture.torch_internals import is_compiled, memory_of, module_hooks, version_of
from thoplw.capture.weights import Weights
from thoplw.errors import InputError
from thoplw.record import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRuns:
    """The times of the runs of a model.

    Attributes:
        untouched: seconds of each run without timers.
        timed: the calls of each run with timers; the first is that of the model, and the last to end.
        on: ``cpu`` or ``cuda``.
        hardware: the name of the device.
    """

    untouched: tuple[float, ...]
    timed: tuple[tuple[Span, ...], ...]
    on: str
    hardware: str


def timed(
    model: torch.nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    repeat: int,
    warmup: int,
    clock: str = "wall",
) -> TimedRuns:
    """Run ``model(*args, **kwargs)`` as in inference, in turn untouched and with timers; leave the model as it was.

    Runs follow each other as in a loop: what the forward keeps is there in the next run, and is restored at the end.

    Args:
        model: with real weights, on the CPU or on one CUDA device.
        args: positional inputs; each run gets copies.
        kwargs: keyword inputs; likewise.
        repeat: how many runs there are of each kind.
        warmup: how many come before that are not counted.
        clock: of the CPU: ``wall`` or ``process``.

    Raises:
        InputError: there is nothing to run, or no clock for where it runs.
        Exception: whatever the model's forward raises.
    """
    weights = Weights(Specs())
    weights.add(model)
    inputs = tuple(args), dict(kwargs)
    snapshot = Snapshot()
    snapshot.add(inputs)
    given, inside = dict(snapshot.tensors), dict(snapshot.modules)
    _refuse_without_values(weights, given)
    _refuse_meta(weights, given)
    _refuse_compiled(weights)
    device = _device([*weights.tensors.values(), *given.values()])
    snapshot.add_modules(weights.modules, weights.tensors)
    parameters = [tensor for tensor in weights.tensors.values() if isinstance(tensor, torch.nn.Parameter)]
    keys = {*map(id, parameters)}
    memories = Memories()
    memories.save(tensor for key, tensor in snapshot.tensors.items() if key not in keys)
    versions, sums = list(map(version_of, parameters)), sums_of(parameters)
    sizes = _sizes_of(parameters)
    watch = clock_for(device, clock)
    paths = [info.path for info in weights.infos]
    timers = _Timers(weights.indices, watch)
    context = copy_context()  # keeps what the forward sets in context variables, in all runs

    def once(run: Callable[[Callable[[], Any]], Any]) -> Any:
        a, k = copy_inputs(inputs, given, inside, copied)
        with interrupts.let_through():
            return context.run(run, lambda: exhaust(model(*a, **k)))

    untouched: list[float] = []
    spans: list[tuple[Span, ...]] = []
    try:
        with turn(), outside(), Interrupts() as interrupts, ExitStack() as stack:
            stack.enter_context(switches_kept())
            stack.enter_context(random_state_kept(lambda: True))
            stack.enter_context(preserved(snapshot, one_path=False))
            stack.callback(memories.put_back)
            stack.enter_context(data_preserved(each for each in snapshot.tensors.values() if not each.is_meta))
            stack.enter_context(without_collection())
            stack.enter_context(torch.no_grad())
            timer = _cost_of_timers(watch)
            for count in range(warmup + repeat):
                seconds = once(watch.of)
                calls = once(timers.of)
                if count >= warmup:
                    untouched.append(seconds)
                    spans.append(_spans(calls, watch, paths, timer))
    except RuntimeError as error:
        if _sizes_of(parameters) != sizes:
            raise InputError(
                "the forward gave the memory of parameters another size, as untyped_storage().resize_(0) does, so "
                "the next run failed without them. Measure a forward that can be called again: their values are not "
                "put back"
            ) from error
        raise
    finally:
        for lost in snapshot.lost:
            warnings.warn(f"the forward {lost}, and this cannot be put back", RuntimeWarning, stacklevel=2)
        if list(map(version_of, parameters)) != versions or sums_of(parameters) != sums:
            warnings.warn(
                "the forward wrote to parameters in place, and this cannot be put back", RuntimeWarning, stacklevel=2
            )
    return TimedRuns(untouched=tuple(untouched), timed=tuple(spans), on=device.type, hardware=watch.hardware)


def _sizes_of(parameters: Sequence[torch.Tensor]) -> list[int]:
    """The bytes of the memory of each parameter; tensor subclasses are skipped, as by :func:`sums_of`."""
    return [each.untyped_storage().nbytes() for each in parameters if type(each) in PLAIN and memory_of(each)]


#: A call that has ended: index of the module, how deep it was, and its four stamps.
_Call = tuple[int, int, Any, Any, Any, Any]


#: How much longer than Python needs for a run a GPU waits until it begins one.
_MARGIN = 1.2


class _Timers:
    """Stamps at every call of a known module in this thread."""

    def __init__(self, indices: Mapping[int, int], clock: Processor | Cuda) -> None:
        self._indices = indices
        self._clock = clock
        self._open: list[tuple[int, Any, Any]] = []
        self._ended: list[_Call] = []
        self._thread = 0
        self._lead = 0.0  # seconds that Python needed for a run, at least
        self._in_hooks = False  # whether the model's own hooks have fired: its class may have a __call__ of its own

    def of(self, run: Callable[[], Any]) -> list[_Call]:
        """The calls that something makes, in the order in which they end; the last is that of the model."""
        stamp = self._clock.stamp
        self._open, self._ended, self._thread, self._in_hooks = [], [], get_ident(), False
        with module_hooks(self._before, self._after):
            self._clock.wait()
            begun = time.perf_counter()
            self._clock.lag(_MARGIN * self._lead)
            self._open.append((0, *(stamp(),) * 2))
            run()
            end = stamp()
            self._close(0, end)
            self._ended[-1] = (*self._ended[-1][:5], end)
            self._lead = min(self._lead or math.inf, time.perf_counter() - begun)
            self._clock.wait()
        return self._ended

    def _before(self, module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        index = self._indices.get(id(module))
        if index is None or get_ident() != self._thread:
            return
        if index == 0 and not self._in_hooks:
            self._in_hooks = True
            return
        outer = self._clock.stamp()
        self._open.append((index, outer, self._clock.stamp()))

    def _after(self, module: torch.nn.Module, *_: Any) -> None:
        index = self._indices.get(id(module))
        if index is None or get_ident() != self._thread or (index == 0 and len(self._open) == 1):
            return
        self._close(index, self._clock.stamp())

    def _close(self, index: int, left: Any) -> None:
        """End a call; those of modules in it that are open still have raised what a forward has caught."""
        while self._open:
            at, outer, inner = self._open.pop()
            self._ended.append((at, len(self._open), outer, inner, left, self._clock.stamp()))
            if at == index:
                break


class _Idle(torch.nn.Module):
    """Calls modules that do nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = [torch.nn.Identity() for _ in range(200)]

    def forward(self) -> None:
        for each in self.idle:
            each(None)


def _cost_of_timers(clock: Processor | Cuda) -> float:
    """Seconds that a timer adds to the call of a module besides its stamps: torch's way to a hook and back."""
    if isinstance(clock, Cuda):
        return 0.0  # the device does not wait for it, or waits for Python anyhow
    model = _Idle()
    timers = _Timers({id(each): number for number, each in enumerate((model, *model.idle))}, clock)
    found = []
    for _ in range(9):
        untouched = clock.of(model)
        with_timers = _spans(timers.of(model), clock, [""] * 201, 0.0)[0].seconds
        found.append((with_timers - untouched) / len(model.idle))
    return max(0.0, median(found))


def _spans(calls: list[_Call], clock: Processor | Cuda, paths: Sequence[str], timer: float) -> tuple[Span, ...]:
    """Calls with their seconds, in the order in which they began: the first is that of the model.

    Args:
        calls: in the order in which they ended.
        clock: of their stamps.
        paths: of modules.
        timer: seconds that each call took longer, besides its stamps.
    """
    lasting: list[tuple[float, float]] = []  # seconds of each call, with those that it made, and by itself
    # Depth -> of the calls that have ended in the one that is open there: their seconds with those of timers, without
    # these, and how many there are.
    inside: list[tuple[float, float, int]] = []
    for _, depth, outer, inner, left, ended in calls:
        inside += [(0.0, 0.0, 0)] * (depth + 2 - len(inside))
        with_timers, without, count = inside[depth + 1]
        inside[depth + 1] = 0.0, 0.0, 0
        # Every stretch of it lies between two stamps.
        own = clock.seconds(inner, left) - with_timers - clock.cost * (count + 1) - timer * count
        lasting.append((own + without, own))
        before = inside[depth]
        inside[depth] = before[0] + clock.seconds(outer, ended), before[1] + own + without, before[2] + 1
    return tuple(_placed(calls, lasting, clock, paths, timer))


def _placed(
    calls: list[_Call],
    lasting: list[tuple[float, float]],
    clock: Processor | Cuda,
    paths: Sequence[str],
    timer: float,
) -> Iterator[Span]:
    """Calls in the order in which they began, on a clock that stands still in timers.

    So those that a call has made lie within it, as they do in a run without timers.
    """
    begin = calls[-1][3]
    ordered = sorted(zip(calls, lasting, strict=True), key=lambda each: (clock.seconds(begin, each[0][2]), each[0][1]))
    # Depth -> of the call that is open there: the last stamp in it, when that was, and its own seconds that are left.
    open_: list[tuple[Any, float, float]] = []
    for (index, depth, outer, inner, _, ended), (seconds, own) in ordered:
        start = 0.0
        if depth:
            stamp, since, rest = open_[depth - 1]
            between = min(rest, max(0.0, clock.seconds(stamp, outer) - clock.cost - timer))
            start = since + between
            open_[depth - 1] = ended, start + max(0.0, seconds), rest - between
        open_[depth:] = [(inner, start, max(0.0, own))]
        yield Span(module=paths[index], start=start, seconds=seconds, own=own)


def _refuse_without_values(weights: Weights, given: Mapping[int, torch.Tensor]) -> None:
    """Refuse what belongs to a run that computes only shapes, and is not over."""
    known = any(not run.executes and not run.weights.indices.keys().isdisjoint(weights.indices) for run in running())
    if known or any(type(tensor) is AbstractTensor for tensor in given.values()):
        raise InputError(
            "measure was called in a forward that thoplw runs on tensors without values, on a part of that model or on "
            "such a tensor, and there is nothing to time: call it before the forward or after it"
        )


def _refuse_meta(weights: Weights, given: Mapping[int, torch.Tensor]) -> None:
    name = weights.on_meta()
    if name is not None:
        raise InputError(
            f"measure runs the model for real, and its weight {name!r} is on the meta device: build it without "
            "torch.device('meta') and load its weights, or give it arbitrary ones with model.to_empty(device='cpu')"
        )
    if any(tensor.is_meta for tensor in given.values()):
        raise InputError("measure runs the model for real, and an input is on the meta device: give real tensors")


def _refuse_compiled(weights: Weights) -> None:
    for module, info in zip(weights.modules, weights.infos, strict=True):
        if is_compiled(module):
            where = f"module {info.path!r}" if info.path else "the model"
            raise InputError(
                f"{where} is compiled, which makes kernels that belong to no layer: measure it as it was before "
                "torch.compile"
            )


def _device(tensors: Sequence[torch.Tensor]) -> torch.device:
    """Where the model runs; numbers on the CPU do not count beside a device.

    Raises:
        InputError: on several devices, or on one without a clock.
    """
    found = dict.fromkeys(tensor.device for tensor in tensors)
    devices = [device for device in found if device.type != "cpu"]
    if len(devices) > 1:
        names = ", ".join(map(str, devices))
        raise InputError(f"measure follows one device, and this model is on {names}: put it on one")
    device = devices[0] if devices else torch.device("cpu")
    misplaced = [tensor for tensor in tensors if tensor.device != device and tensor.dim()]
    if misplaced:
        shape = tuple(misplaced[0].shape)
        raise InputError(
            f"the model is on {device}, and a tensor of shape {shape} on {misplaced[0].device}: move it to {device}"
        )
    return device
