"""Fused attention: what its parts cost written out (Vaswani et al., "Attention is all you need", 2017, eq. 1).

Causal attention is counted in full: kernels differ in how much of the masked half they skip. The convention
``macs-causal`` counts only what the mask leaves.
"""

from __future__ import annotations

import math
from itertools import zip_longest

from thoplw.formulas.common import Table, contraction
from thoplw.formulas.norm import SOFTMAX_FLOPS
from thoplw.record import Call, TensorSpec, Work


def scores(call: Call) -> int:
    """Number of attention scores: one per query position, key position, head and sample."""
    query, key = call.args[:2]
    return _heads(query, key) * int(query.shape[-2] * key.shape[-2])


def _heads(*tensors: TensorSpec) -> int:
    """Heads of all samples: in each dimension as many as the tensor with most has, as the others are shared."""
    return math.prod(map(max, zip_longest(*(tensor.shape[-3::-1] for tensor in tensors), fillvalue=1)))


def attention(call: Call) -> Work:
    """``[*, L, E] [*, S, E] [*, S, V] -> [*, L, V]``: ``L S E`` for the scores, ``L S V`` for the weighted values.

    Fewer heads in key and value than in the query (grouped queries) change nothing: every query head is multiplied.
    Nor do samples that share a query, a key or a value: every one is multiplied with what it shares.
    """
    query, key, value = call.args[:3]
    mask, count = call.arg(3), scores(call)
    weights = _heads(query, key, value) * query.shape[-2] * key.shape[-2]
    per_score = 1 + SOFTMAX_FLOPS + (1 if isinstance(mask, TensorSpec) else 0)
    return contraction(count * query.shape[-1] + weights * value.shape[-1], count * per_score)


def flash_layout(call: Call) -> Work:
    """``[N, L, H, E] [N, S, H, E] [N, S, H, V] -> [N, L, H, V]``: heads come after positions in the kernels behind."""
    query, key, value = call.args[:3]
    if len(query.shape) == 3:  # packed sequences [sum of L, H, E]: what is attended to depends on where they end
        pairs = query.shape[0] * query.shape[1] * call.args[6]
    else:
        pairs = math.prod(query.shape[:3]) * key.shape[1]
    return contraction(pairs * (query.shape[-1] + value.shape[-1]), pairs * (1 + SOFTMAX_FLOPS))


def multi_head(call: Call) -> Work:
    """``query key value``: projections of the three (``3 E^2``), attention, and a projection (``E^2``) per position."""
    query, key, value, width, heads = call.args[:5]
    batch, length, source = query.shape[0], query.shape[1], key.shape[1]
    projections = width * width * batch * (2 * length + key.shape[1] + value.shape[1])
    pairs = batch * length * source
    return contraction(projections + 2 * pairs * width, pairs * heads * (1 + SOFTMAX_FLOPS))


def encoder_layer(call: Call) -> Work:
    """``[N, L, E]``: self-attention, two norms, and a feed-forward network ``E -> F -> E`` with an activation."""
    x, width, heads = call.args[:3]
    hidden = call.args[14].shape[0]
    positions = math.prod(x.shape[:-1])
    pairs = positions * x.shape[1]
    macs = positions * (4 * width * width + 2 * width * hidden) + 2 * pairs * width
    other = pairs * heads * (1 + SOFTMAX_FLOPS) + positions * (2 * 7 * width + 2 * width + 2 * hidden)
    return contraction(macs, other)


FORMULAS: Table = {
    "higher_order.flex_attention": attention,
    "aten._native_multi_head_attention": multi_head,
    "aten._transformer_encoder_layer_fwd": encoder_layer,
    "aten._flash_attention_forward": flash_layout,
    "aten._efficient_attention_forward": flash_layout,
    "aten.scaled_dot_product_attention": attention,
    "aten._scaled_dot_product_attention_math": attention,
    "aten._scaled_dot_product_flash_attention": attention,
    "aten._scaled_dot_product_flash_attention_for_cpu": attention,
    "aten._scaled_dot_product_efficient_attention": attention,
    "aten._scaled_dot_product_cudnn_attention": attention,
    "aten._scaled_dot_product_fused_attention_overrideable": attention,
}
