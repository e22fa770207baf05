"""``thoplw.measure``: the real times of layers beside their counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch

from thoplw.api.profile import module_of, observe, say_if_positional
from thoplw.capture import expand
from thoplw.capture.inputs import Inputs, arguments
from thoplw.capture.options import Options
from thoplw.capture.timing import stopwatch
from thoplw.errors import DataDependentError, InputError
from thoplw.estimate.devices import Device
from thoplw.estimate.devices import device as find_device
from thoplw.pricing import Convention, find, price
from thoplw.report.layer_info import LayerInfo
from thoplw.report.measurement import Measurement


def measure(
    model: torch.nn.Module,
    inputs: Any,
    device: str | Device | None = None,
    repeat: int = 5,
    *,
    warmup: int = 2,
    clock: Literal["wall", "process"] = "wall",
    convention: str | Convention = "thoplw",
) -> Measurement:
    """Run a model for real, as in inference, and tell how long every layer takes beside what it costs.

    It runs where its weights are, on the CPU or on a CUDA device. Runs alternate: one is untouched, the next has timers
    at the calls of modules. The untouched ones give the time of the whole, the others those of layers, and of what lies
    between layers. Model and inputs are left as they were, whatever happens.

    For example::

        times = thoplw.measure(model, (8, 3, 224, 224), device="rtx-4090")
        print(times)
        times.latency  # seconds

    Args:
        model: any module with real weights.
        inputs: what the model takes, as in :func:`thoplw.profile`. A shape stands for random numbers on its device.
        device: the device to compare with, by name (``thoplw.devices()`` lists them) or your own. It does not say where
            the model runs.
        repeat: how many runs there are of each kind. The time of the whole is the median of the untouched ones; those
            of layers are means of the middle half of the others.
        warmup: how many runs of each kind come before that are not counted.
        clock: of the CPU. ``"process"`` has what the threads of this process compute, all together: with one thread
            that is the time without the pauses in which other programs run.
        convention: how to count, as in :func:`thoplw.profile`.

    Returns:
        The times, by layer.

    Raises:
        InputError: weights are missing or on the meta device, the model is on several devices or on one without a
            clock, or an argument cannot be used.
        UnknownNameError: the device, the clock or the convention is unknown.
        Exception: what the forward of the model raises comes through unchanged.
    """
    for name, value, least in (("repeat", repeat, 1), ("warmup", warmup, 0)):
        if type(value) is not int or value < least:
            raise InputError(f"{name}={value!r}: give {least} or more runs")
    if isinstance(device, str) and device.partition(":")[0] in ("cpu", "cuda", "mps", "xpu"):
        raise InputError(
            f"device= names a device to compare with, such as 'h100-sxm', and {device!r} is where a model runs: move "
            f"the model with model.to({device!r}), and leave device= out"
        )
    roof = None if device is None else find_device(device)
    table = find(convention)
    if not isinstance(model, torch.nn.Module):
        module_of(model)  # says what to give instead
    while isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        model = model.module  # as profile does: rows go by the paths inside
    forward = None if isinstance(model, torch.jit.ScriptModule) else model.forward
    args, kwargs = arguments(inputs, forward=forward, real=True)
    if isinstance(inputs, (tuple, list)) and not kwargs and args and args[0] is not inputs and _is_shape(inputs):
        args = (_random(model, args[0]),)
    try:
        times = stopwatch.timed(model, args, kwargs, repeat=repeat, warmup=warmup, clock=clock)
    except TypeError as error:
        if isinstance(inputs, Mapping):
            say_if_positional(model, inputs, error)
        raise
    layers = _counted(model, Inputs(*args, **kwargs), table)
    profile = (layers if roof is None else layers.on(roof)).profile
    return Measurement(
        profile=profile,
        untouched=times.untouched,
        timed=times.timed,
        on=times.on,
        hardware=times.hardware,
        roof="" if roof is None else roof.name,
        peaks={} if roof is None else _peaks(roof),
        bandwidth=0 if roof is None else roof.bandwidth,
    )


def _is_shape(inputs: Any) -> bool:
    return bool(inputs) and all(type(size) is int for size in inputs)


def _random(model: torch.nn.Module, zeros: torch.Tensor) -> torch.Tensor:
    """Numbers where the model is: on zeros some devices run faster."""
    like = next((each for each in model.parameters() if each.is_floating_point()), zeros)
    generator = torch.Generator().manual_seed(0)
    numbers = torch.rand(zeros.shape, generator=generator)
    return numbers.to(device="cpu" if like.is_meta else like.device, dtype=like.dtype)


def _counted(model: torch.nn.Module, inputs: Inputs, table: Convention) -> LayerInfo:
    """The counts of a model, from a real run where its way depends on values."""
    try:
        trace = observe(model, inputs)
    except DataDependentError:
        trace = observe(model, inputs, Options(execute=True))
    return LayerInfo(price(trace, table, expand=expand))


def _peaks(device: Device) -> Mapping[str, float]:
    """Type of data of torch -> the most that a device does in it, on whichever unit is the fastest."""
    peaks = {
        dtype: max(device.matrix.get(dtype, 0), device.vector.get(dtype, 0))
        for dtype in (*device.matrix, *device.vector)
    }
    # Torch has float32 rounded to tf32 for convolutions unless told otherwise.
    if "tf32" in peaks:
        peaks["float32"] = max(peaks.pop("tf32"), peaks.get("float32", 0))
    return peaks
