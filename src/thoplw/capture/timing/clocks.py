"""Clocks of devices: stamps, and the seconds between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from statistics import median
from types import MappingProxyType
from typing import Any

import torch

from thoplw.capture.torch_internals import keep_busy
from thoplw.errors import InputError, UnknownNameError
from thoplw.render.words import count

#: Name of a clock -> a function that reads it, in nanoseconds.
CLOCKS: Mapping[str, Callable[[], int]] = MappingProxyType(
    {"wall": time.perf_counter_ns, "process": time.process_time_ns}
)


#: Cycles that a GPU does in a second, or more.
_CYCLES = 2e9


class Processor:
    """A clock of the CPU: of the wall, or of what the process has computed, which other programs do not disturb.

    Attributes:
        hardware: the CPU, in words.
        cost: seconds that a stamp takes, by which the time between two stamps is too long.
    """

    def __init__(self, clock: str = "wall") -> None:
        self.stamp = CLOCKS[clock]
        self.hardware = f"a CPU with {count(torch.get_num_threads(), 'thread')} of torch"
        stamps = [self.stamp() for _ in range(1001)]
        self.cost = median(self.seconds(*pair) for pair in pairwise(stamps))

    def of(self, run: Callable[[], Any]) -> float:
        """Return the seconds that ``run`` takes."""
        before = self.stamp()
        run()
        return self.seconds(before, self.stamp()) - self.cost

    def wait(self) -> None:
        """Do nothing: a CPU has done all that was begun."""

    def lag(self, seconds: float) -> None:
        """Do nothing: Python runs on the CPU itself."""

    def seconds(self, since: int, until: int) -> float:
        """Return the seconds between two stamps."""
        return (until - since) / 1e9


class Cuda:
    """Events on the stream of a GPU, which cost it next to nothing. The time that the GPU waits counts."""

    cost = 0.0

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.hardware = torch.cuda.get_device_name(device)

    def stamp(self) -> Any:
        """Return an event, whose time is when the GPU gets to it."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # torch's own gap
        event.record(torch.cuda.current_stream(self._device))
        return event

    def of(self, run: Callable[[], Any]) -> float:
        """Return the seconds that ``run`` takes."""
        self.wait()
        before = self.stamp()
        run()
        after = self.stamp()
        self.wait()
        return self.seconds(before, after)

    def wait(self) -> None:
        """Wait until the GPU has done all that was begun."""
        torch.cuda.synchronize(self._device)

    def lag(self, seconds: float) -> None:
        """Keep the GPU busy for some seconds, so that Python is ahead and the GPU never waits for a launch."""
        with torch.cuda.device(self._device):
            keep_busy(int(seconds * _CYCLES))

    def seconds(self, since: Any, until: Any) -> float:
        """Return the seconds between two stamps."""
        milliseconds: float = since.elapsed_time(until)
        return milliseconds / 1e3


def place(name: str) -> torch.device:
    """Return a device that has a clock, by its name: ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        InputError: the device has no clock, or this machine has no such device.
    """
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise InputError(f"runs are timed on cpu, cuda or cuda:1, and not on {name!r}")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise InputError(f"there is no device {name!r} on this machine: {reason}") from error
    return device


def clock_for(device: torch.device, clock: str = "wall") -> Processor | Cuda:
    """Return a clock for a device.

    Raises:
        UnknownNameError: there is no such clock.
        InputError: the device does not have that clock.
    """
    if clock not in CLOCKS:
        raise UnknownNameError("clock", clock, CLOCKS)
    if device.type == "cuda" and clock == "wall":
        return Cuda(device)
    if device.type == "cpu":
        return Processor(clock)
    if device.type == "cuda":
        raise InputError(f"clock={clock!r} is a clock of the CPU, and the model is on {device}: leave clock= out")
    raise InputError(f"there are clocks for cpu and cuda, and none for {device}")
