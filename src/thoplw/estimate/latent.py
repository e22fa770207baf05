"""What a step costs that keeps latent attention latent.

For example, a layer of DeepSeek-V3 caches 512 numbers a position, and each step expands all positions to 128 heads of
256 before it attends: ``n * 512 * 128 * 256`` multiply-accumulates for ``n`` positions. An engine multiplies the query
by the weight of the keys instead, attends to the 512 numbers themselves, and multiplies the sum by the weight of the
values: the same result, and each weight is used once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import prod

from thoplw.record import ZERO, Call, TensorSpec, Trace, Work


def saved(trace: Trace) -> Work:
    """How much less a step costs where the weights that expand latents are absorbed; zero where there are none.

    Args:
        trace: of a step.
    """
    inside: dict[int, list[int]] = defaultdict(list)
    for index, scope in enumerate(trace.scopes):
        inside[scope.parent].append(index)
    total = ZERO
    for call, at in trace.steps:
        if "scaled_dot_product" in call.target:
            for index in inside.get(at, ()):
                less = sum(_less(call, given, returned) for given, returned in _expansions(trace, index))
                total += Work(macs=less, flops=2 * less)
    return total


def _expansions(trace: Trace, index: int) -> Iterator[tuple[TensorSpec, TensorSpec]]:
    """What a layer with a weight was given and returned, if it is one."""
    scope = trace.scopes[index]
    if trace.modules[scope.module].parameters and len(scope.inputs) == len(scope.outputs) == 1:
        yield scope.inputs[0], scope.outputs[0]


def _less(attention: Call, given: TensorSpec, returned: TensorSpec) -> int:
    """How many multiply-accumulates an attention with an expanded cache can do without.

    Heads are of ``plain + rotary`` numbers in keys, of which a latent of ``rank`` gives the first, and of ``value``
    numbers in values.
    """
    query, key, value = attention.inputs[:3]
    if any(len(each.shape) != 4 for each in (query, key, value)) or key.shape[:3] != value.shape[:3]:
        return 0
    batch, heads, positions, width = key.shape
    new, wide = query.shape[2], value.shape[3]
    rank, plain = given.shape[-1], returned.shape[-1] // heads - wide
    rows = prod(given.shape[:-1])
    fits = rows == batch * positions and returned.shape[-1] % heads == 0 and 0 < plain <= width
    if not fits or query.shape[1] != heads or positions <= new:
        return 0
    expanded = rows * rank * returned.shape[-1] + batch * heads * new * positions * (width + wide)
    latent = plain * rank + positions * (2 * rank + width - plain) + rank * wide
    return max(0, expanded - batch * heads * new * latent)
