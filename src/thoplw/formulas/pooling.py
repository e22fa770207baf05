"""Pooling: one operation per element of every window, and a division per average."""

from __future__ import annotations

from functools import partial

from thoplw.formulas.common import Table, elements, product
from thoplw.record import Call, Work


def maximum(rank: int, call: Call) -> Work:
    """``[*, *in] -> [*, *out]``: a comparison per element of a window."""
    return Work(flops=elements(call) * product(call.args[1], rank))


def average(rank: int, call: Call) -> Work:
    """``[*, *in] -> [*, *out]``: an addition per element of a window, and a division."""
    return Work(flops=elements(call) * (product(call.args[1], rank) + 1))


def adaptive(call: Call) -> Work:
    """``[*, *in] -> [*, *size]``: windows share the input among them; an operation per element, and one per output."""
    return Work(flops=max(call.args[0].numel, elements(call)) + elements(call))


FORMULAS: Table = {
    **{f"aten.max_pool{rank}d": partial(maximum, rank) for rank in (1, 2, 3)},
    **{f"aten.max_pool{rank}d_with_indices": partial(maximum, rank) for rank in (1, 2, 3)},
    **{f"aten.mkldnn_max_pool{rank}d": partial(maximum, rank) for rank in (2, 3)},
    **{f"aten.avg_pool{rank}d": partial(average, rank) for rank in (1, 2, 3)},
    **{f"aten.adaptive_avg_pool{rank}d": adaptive for rank in (1, 2, 3)},
    **{f"aten._adaptive_avg_pool{rank}d": adaptive for rank in (2, 3)},
    **{f"aten.adaptive_max_pool{rank}d": adaptive for rank in (1, 2, 3)},
    **{f"aten.fractional_max_pool{rank}d": adaptive for rank in (2, 3)},
}
