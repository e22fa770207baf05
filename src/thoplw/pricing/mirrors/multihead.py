"""``torch.nn.MultiheadAttention`` for tools that run a model without gradients."""

from __future__ import annotations

from typing import NamedTuple

from thoplw.record import ModuleCall


class Heads(NamedTuple):
    """Samples, heads, and positions of the query and of the key."""

    samples: int
    heads: int
    queries: int
    keys: int


def heads(seen: ModuleCall) -> Heads | None:
    """Return the parts of a call; ``None`` if there is no attention in it."""
    call = seen.call_of("aten.scaled_dot_product_attention", "aten.bmm", "aten.baddbmm")
    if call is None:
        return None
    split = call.args[1 if call.target == "aten.baddbmm" else 0]  # [samples, heads, L, E] or [samples * heads, L, E]
    query, key = seen.inputs[:2]
    if not (split.numel and query.numel):  # of no samples, or of no positions
        return None
    queries = split.shape[-2]
    samples = query.numel // (query.shape[-1] * queries)
    return Heads(
        samples=samples,
        heads=split.numel // (samples * queries * split.shape[-1]),
        queries=queries,
        keys=key.numel // (key.shape[-1] * samples),
    )


def is_one_kernel(seen: ModuleCall) -> bool:
    """Whether torch would run a call in one kernel, which leaves nothing to see for a tool that patches functions.

    torch does so without gradients for self-attention over a batch that comes first, with a bias and an even number of
    heads; thoplw has it switched off while it captures.
    """
    found = heads(seen)
    return (
        found is not None
        and found.heads % 2 == 0
        and len({*seen.inputs[:3]}) == 1
        and len(seen.inputs[0].shape) == 3
        and seen.calls[0].target == "aten.transpose"
        and {"in_proj_weight", "in_proj_bias"} <= {weight.name for weight in seen.info.parameters}
        and seen.weight("bias_k") is None
    )
