"""Another witness of memory: what torch's own profiler hears from the allocator of the CPU, workspaces included.

Nothing here comes from thoplw.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile


def profiled_peak(run: Callable[[], Any], before: int) -> int:
    """The most bytes that there are while something runs for real.

    Args:
        run: what runs.
        before: bytes that are there already: weights, buffers and inputs.
    """
    gc.collect()
    gc.disable()
    try:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            kept = run()
        del kept
    finally:
        gc.enable()
    live = peak = before
    for _, size in sorted(_allocations(profiler), key=lambda event: event[0]):
        live += size
        peak = max(peak, live)
    return peak


def _allocations(profiler: Any) -> Iterator[tuple[int, int]]:
    """When, and how many bytes; less than none where memory is let go of."""
    waiting = list(profiler.profiler.kineto_results.experimental_event_tree())
    while waiting:
        event = waiting.pop()
        waiting += event.children
        if event.tag == _EventType.Allocation:
            yield event.start_time_ns, event.extra_fields.alloc_size
