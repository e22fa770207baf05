"""``macs-causal``: as ``macs``, but of causal attention only what the mask leaves: about half.

It holds for attention that torch is told to be causal (``is_causal=True``), and for flex attention with a block mask,
of which the blocks count that are computed. A mask given as a tensor counts in full, as what it hides is not in its
shape; so does a block mask that is not known without running the model.
"""

from __future__ import annotations

from collections.abc import Callable

from thoplw.formulas import FORMULAS
from thoplw.pricing.convention import Convention
from thoplw.record import Call, Work

#: Operator -> position of its argument ``is_causal``.
_IS_CAUSAL = {
    "aten.scaled_dot_product_attention": 5,
    "aten._scaled_dot_product_attention_math": 5,
    "aten._scaled_dot_product_flash_attention": 4,
    "aten._scaled_dot_product_flash_attention_for_cpu": 4,
    "aten._scaled_dot_product_efficient_attention": 6,
    "aten._scaled_dot_product_cudnn_attention": 6,
    "aten._scaled_dot_product_fused_attention_overrideable": 5,
    "aten._scaled_dot_product_flash_attention_backward": 11,
    "aten._scaled_dot_product_flash_attention_for_cpu_backward": 7,
    "aten._scaled_dot_product_efficient_attention_backward": 11,
    "aten._scaled_dot_product_cudnn_attention_backward": 14,
    "aten._scaled_dot_product_fused_attention_overrideable_backward": 13,
}

#: Operator -> position of its block mask.
_BLOCK_MASK = {"higher_order.flex_attention": 4, "higher_order.flex_attention_backward": 9}


def _unmasked(target: str, position: int) -> Callable[[Call], Work]:
    """``[*, L, E] [*, S, E]``: the scores at and below the diagonal, ``L (L + 1) / 2`` of ``L S`` where ``L <= S``."""
    full = FORMULAS[target]
    assert full is not None  # of every kind of attention

    def price(call: Call) -> Work:
        work = full(call)
        if not call.arg(position, False):
            return work
        first = 1 if target.endswith("_backward") else 0  # behind the gradient
        queries, keys = (each.shape[-2] for each in call.args[first : first + 2])
        short = min(queries, keys)
        kept, all_ = short * (short + 1) // 2 + (queries - short) * keys, queries * keys
        return Work(macs=work.macs * kept // all_, flops=work.flops * kept // all_) if all_ else work

    return price


def _of_blocks(target: str, position: int) -> Callable[[Call], Work]:
    """``[B, H, L, E] [B, H, S, E] [B, H, S, V]``: the scores in blocks that the mask leaves, in part or in full."""
    full = FORMULAS[target]
    assert full is not None  # of every kind of attention

    def price(call: Call) -> Work:
        work, mask = full(call), call.arg(position)
        if not mask:
            return work
        part = mask[2].density
        return Work(macs=int(work.macs * part), flops=int(work.flops * part))

    return price


CONVENTION = Convention(
    "macs-causal",
    {
        **FORMULAS,
        **{target: _unmasked(target, position) for target, position in _IS_CAUSAL.items()},
        **{target: _of_blocks(target, position) for target, position in _BLOCK_MASK.items()},
    },
    unit="MAC",
)
