"""Measure what the machine that this runs on reaches: products, convolutions, and passes over memory."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch

from thoplw.capture.timing.clocks import Cuda, Processor, clock_for, place

#: Dtypes of products, by the names of torch.
_DTYPES = ("float64", "float32", "float16", "bfloat16")

#: Convolutions of a CPU, whose kernels reach more than those of products do: samples, channels, pixels, window.
_CONVOLUTIONS = ((4, 256, 28, 3), (4, 512, 14, 5))

#: Seconds to spend on one kind of product, and on one of passes over memory.
_BUDGET = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was measured.

    Attributes:
        title: the name of the device.
        products: dtype -> FLOP/s of the fastest product or convolution; ``tf32`` where float32 was rounded for it.
        bandwidth: bytes per second of the fastest pass over memory.
        memory: its bytes; 0 if that is not known.
        cache: bytes of all caches from the second level on; 0 if that is not known.
        how: what was run, in words.
    """

    title: str
    products: dict[str, float]
    bandwidth: float
    memory: int
    cache: int
    how: str


def measured(on: str, by: str = "wall") -> Machine:
    """Run products, convolutions and passes on ``"cpu"``, ``"cuda"`` or ``"cuda:1"``, some seconds in all.

    Args:
        on: where.
        by: the clock of a CPU: ``wall`` or ``process``.

    Raises:
        InputError: there is no such device here, or it has no such clock.
        UnknownNameError: there is no such clock.
    """
    device = place(on)
    clock = clock_for(device, by)
    memory, cache, title = _of_cuda(device) if device.type == "cuda" else _of_processor()
    # Four times what caches hold, so that hardly anything of one pass is left there for the next.
    size = min(max(4 * cache, 2**28), memory // 8 or 2**28)
    largest = 8192 if device.type == "cuda" else 2048
    with torch.no_grad():
        products = dict(_products(device, clock, largest))
        bandwidth = _bandwidth(device, clock, size)
    passes = f"passes over {size / 2**20:.0f} MiB"
    others = "" if device.type == "cuda" else ", convolutions"
    how = f"products of matrices of up to {largest} x {largest}{others} and {passes} on {clock.hardware}"
    return Machine(title=title, products=products, bandwidth=bandwidth, memory=memory, cache=cache, how=how)


def _products(device: torch.device, clock: Processor | Cuda, largest: int) -> Iterator[tuple[str, float]]:
    for name in _DTYPES:
        dtype = getattr(torch, name)
        rate = _product(dtype, device, clock, largest)
        if rate:
            yield name, max(rate, _convolution(dtype, clock) if device.type == "cpu" else 0.0)
    if device.type == "cuda":
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = True
        try:
            yield "tf32", _product(torch.float32, device, clock, largest)
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before


def _product(dtype: torch.dtype, device: torch.device, clock: Processor | Cuda, largest: int) -> float:
    """FLOP/s of the fastest product of square matrices; 0 where torch has none of this type."""
    best, spent, size = 0.0, 0.0, 256
    while size <= largest and spent < _BUDGET:
        try:
            one = torch.rand(size, size, device=device).to(dtype)
            other, out = one.clone(), torch.empty_like(one)
            seconds = _fastest(lambda a=one, b=other, c=out: torch.mm(a, b, out=c), clock, _BUDGET / 4)  # type: ignore[misc] # mypy takes no defaults
        except RuntimeError:
            return best
        best = max(best, 2 * size**3 / seconds)
        spent += seconds
        size *= 2
    return best


def _convolution(dtype: torch.dtype, clock: Processor | Cuda) -> float:
    """FLOP/s of the fastest convolution; 0 where torch has none of this type."""
    best = 0.0
    for samples, channels, pixels, window in _CONVOLUTIONS:
        x = torch.rand(samples, channels, pixels, pixels).to(dtype)
        weight = torch.rand(channels, channels, window, window).to(dtype)
        try:
            seconds = _fastest(lambda a=x, b=weight: torch.conv2d(a, b, padding="same"), clock, _BUDGET / 2)  # type: ignore[misc] # as above
        except RuntimeError:
            return best
        best = max(best, 2 * x.numel() * channels * window**2 / seconds)
    return best


def _bandwidth(device: torch.device, clock: Processor | Cuda, size: int) -> float:
    """Bytes per second of the fastest pass: a sum, which reads, a copy, or a pass in place.

    A CPU reads from memory what a copy is about to write over; one in place reads what it needs anyhow, and is the
    fastest.
    """
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    passes = (1, lambda: source.sum()), (2, lambda: target.copy_(source)), (2, lambda: source.add_(1))
    return max(times * size / _fastest(run, clock, _BUDGET) for times, run in passes)


def _fastest(run: Callable[[], Any], clock: Processor | Cuda, budget: float) -> float:
    """The seconds of the fastest of some runs: a peak is what nothing disturbed."""
    run()
    best, spent = float("inf"), 0.0
    for number in count(1):
        seconds = clock.of(run)
        best, spent = min(best, seconds), spent + seconds
        if spent > budget or number == 100:
            break
    return best


def free_memory(system: Path = Path("/")) -> int | None:
    """Bytes of memory that a process may still take, as Linux tells it; None where nothing does.

    A control group, such as that of a container, may allow for less than the machine has.

    Args:
        system: the root of the file system.
    """
    lines = _lines(system / "proc/meminfo")
    free = [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    for folder, most, now in _GROUPS:
        found = [*_lines(system / folder / most), *_lines(system / folder / now)]
        if len(found) == 2 and all(map(str.isdigit, found)):
            # What it has read from files it may let go of.
            kept = [line.split()[1] for line in _lines(system / folder / "memory.stat") if _FILES.match(line)]
            free.append(max(0, int(found[0]) - int(found[1]) + sum(map(int, kept))))
    return min(free, default=None)


#: Control groups of both kinds: the folder, and the files with the most that they may take, and what they take.
_GROUPS = (
    ("sys/fs/cgroup", "memory.max", "memory.current"),
    ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)

_FILES = re.compile("inactive_file ")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _of_cuda(device: torch.device) -> tuple[int, int, str]:
    properties = torch.cuda.get_device_properties(device)
    return properties.total_memory, getattr(properties, "L2_cache_size", 0), properties.name


def _of_processor() -> tuple[int, int, str]:
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        memory = 0
    return memory, _caches(Path("/sys/devices/system/cpu")), _name_of_processor(Path("/proc/cpuinfo"))


def _name_of_processor(info: Path) -> str:
    names = (line.partition(":")[2].strip() for line in _lines(info) if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _caches(folder: Path) -> int:
    """Bytes of all caches from the second level on, each once, as Linux lists them."""
    found: dict[tuple[str, str], int] = {}
    for cache in folder.glob("cpu[0-9]*/cache/index*"):
        try:
            level, size, shared = ((cache / name).read_text().strip() for name in ("level", "size", "shared_cpu_list"))
        except OSError:
            continue
        if int(level) > 1 and size.endswith("K"):
            found[level, shared] = 1024 * int(size[:-1])
    return sum(found.values())
