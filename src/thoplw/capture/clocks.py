"""Clocks of devices: stamps, and the seconds between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from thoplw.errors import InputError


class Processor:
    """Seconds on the wall: what runs on several cores, or waits, takes as long as it takes."""

    def __init__(self) -> None:
        self.hardware = f"a CPU with torch's {torch.get_num_threads()} threads"

    stamp = staticmethod(time.perf_counter_ns)

    def of(self, run: Callable[[], Any]) -> float:
        """The seconds that something takes."""
        before = time.perf_counter_ns()
        run()
        return (time.perf_counter_ns() - before) / 1e9

    def wait(self) -> None:
        """Wait for what was begun; nothing was."""

    def seconds(self, since: int, until: int) -> float:
        """What lies between two stamps."""
        return (until - since) / 1e9


class Cuda:
    """Events on the stream of the device: they cost it next to nothing, and what it waits for counts."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.hardware = torch.cuda.get_device_name(device)

    def stamp(self) -> Any:
        """An event that the device passes when it gets there."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # torch's own gap
        event.record(torch.cuda.current_stream(self._device))
        return event

    def of(self, run: Callable[[], Any]) -> float:
        """The seconds that something takes."""
        self.wait()
        before = self.stamp()
        run()
        after = self.stamp()
        self.wait()
        return self.seconds(before, after)

    def wait(self) -> None:
        """Wait for what was begun."""
        torch.cuda.synchronize(self._device)

    def seconds(self, since: Any, until: Any) -> float:
        """What lies between two stamps."""
        milliseconds: float = since.elapsed_time(until)
        return milliseconds / 1e3


def clock_for(device: torch.device) -> Processor | Cuda:
    """The clock of a device.

    Raises:
        InputError: there is none.
    """
    if device.type == "cuda":
        return Cuda(device)
    if device.type == "cpu":
        return Processor()
    raise InputError(f"there are clocks for cpu and cuda, and none for {device}")
