"""Another witness of memory: what torch's own profiler hears from the allocator of the CPU, workspaces included.

Nothing here comes from thoplw.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile


def profiled_peak(run: Callable[[], Any], before: int) -> int:
    """The most bytes that there are while something runs for real.

    Args:
        run: what runs.
        before: bytes that are there already: weights, buffers and inputs.
    """
    return profiled_peaks(run, before, ())[0]


def profiled_peaks(run: Callable[[], Any], before: int, kernels: Collection[str]) -> tuple[int, int]:
    """The same; and the most without workspaces: what one call of a kernel takes, and gives back before it ends.

    Args:
        run: what runs.
        before: bytes that are there already.
        kernels: names of operators that a dispatch mode does not see the inside of, ``aten.convolution``, say.
    """
    gc.collect()
    gc.disable()
    try:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            kept = run()
        del kept
    finally:
        gc.enable()
    events = sorted(_allocations(profiler, {name.replace(".", "::") for name in kernels}), key=lambda event: event.time)
    workspaces = set(_workspaces(events))
    everything = accumulate((event.size for event in events), initial=before)
    lasting = (event.size for place, event in enumerate(events) if place not in workspaces)
    return max(everything), max(accumulate(lasting, initial=before))


class _Event(NamedTuple):
    """Memory that is taken, or let go of: less than no bytes; and during which call of a kernel."""

    time: int
    size: int
    address: int
    call: Any


def _allocations(profiler: Any, kernels: Collection[str]) -> Iterator[_Event]:
    waiting = [(event, None) for event in profiler.profiler.kineto_results.experimental_event_tree()]
    while waiting:
        event, call = waiting.pop()
        if event.tag == _EventType.Allocation:
            yield _Event(event.start_time_ns, event.extra_fields.alloc_size, event.extra_fields.ptr, call)
        elif call is None and event.name in kernels:
            call = event.id, event.start_time_ns
        waiting += [(child, call) for child in event.children]


def _workspaces(events: Iterable[_Event]) -> Iterator[int]:
    """The places of the events of what was taken and let go of during one call of a kernel."""
    taken: dict[int, tuple[int, Any]] = {}
    for place, event in enumerate(events):
        if event.size > 0:
            taken[event.address] = place, event.call
            continue
        begun, call = taken.pop(event.address, (0, None))
        if call is not None and call == event.call:
            yield from (begun, place)
