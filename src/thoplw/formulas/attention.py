"""Fused attention: what its parts cost written out (Vaswani et al., "Attention is all you need", 2017, eq. 1).

Causal attention is counted in full: kernels differ in how much of the masked half they skip.
"""

from __future__ import annotations

import math

from thoplw.formulas.common import Table, contraction
from thoplw.formulas.norm import SOFTMAX_FLOPS
from thoplw.records import Call, TensorSpec
from thoplw.work import Work


def scores(call: Call) -> int:
    """Number of attention scores: one per query position, key position, head and sample."""
    query, key = call.args[0], call.args[1]
    return int(math.prod(query.shape[:-1]) * key.shape[-2])


def attention(call: Call) -> Work:
    """``[*, L, E] [*, S, E] [*, S, V] -> [*, L, V]``: ``L S E`` for the scores, ``L S V`` for the weighted values.

    Fewer heads in key and value than in the query (grouped queries) change nothing: every query head is multiplied.
    """
    query, value = call.args[0], call.args[2]
    mask = call.arg(3)
    per_score = 1 + SOFTMAX_FLOPS + (1 if isinstance(mask, TensorSpec) else 0)
    return contraction(scores(call) * (query.shape[-1] + value.shape[-1]), scores(call) * per_score)


FORMULAS: Table = {
    "aten.scaled_dot_product_attention": attention,
    "aten._scaled_dot_product_attention_math": attention,
    "aten._scaled_dot_product_flash_attention": attention,
    "aten._scaled_dot_product_flash_attention_for_cpu": attention,
    "aten._scaled_dot_product_efficient_attention": attention,
    "aten._scaled_dot_product_cudnn_attention": attention,
    "aten._scaled_dot_product_fused_attention_overrideable": attention,
}
