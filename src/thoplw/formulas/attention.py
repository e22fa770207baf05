"""Fused attention: what its parts cost written out (Vaswani et al., "Attention is all you need", 2017, eq. 1).

Causal attention is counted in full: kernels differ in how much of the masked half they skip. The convention
``macs-causal`` counts only what the mask leaves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise, zip_longest
from operator import mul
from types import MappingProxyType
from typing import NamedTuple

from thoplw.formulas.common import Table, contraction
from thoplw.formulas.norm import SOFTMAX_FLOPS
from thoplw.record import Call, TensorSpec, Work


def scores(call: Call) -> int:
    """Number of attention scores of a kernel that takes ``query key ...``."""
    return score_count(*call.args[:2])


def score_count(query: TensorSpec, key: TensorSpec) -> int:
    """Number of attention scores: one per query position, key position, head and sample."""
    return _heads(query, key) * int(query.shape[-2] * key.shape[-2])


def _heads(*tensors: TensorSpec) -> int:
    """Heads of all samples: in each dimension as many as the tensor with most has, as the others are shared.

    A dimension of no elements stays one: what is broadcast to nothing is nothing.
    """
    sizes = zip_longest(*(tensor.shape[-3::-1] for tensor in tensors), fillvalue=1)
    return math.prod(max(each) if min(each) else 0 for each in sizes)


def attention(call: Call) -> Work:
    """``[*, L, E] [*, S, E] [*, S, V] -> [*, L, V]``: ``L S E`` for the scores, ``L S V`` for the weighted values.

    Fewer heads in key and value than in the query (grouped queries) change nothing: every query head is multiplied.
    Nor do samples that share a query, a key or a value: every one is multiplied with what it shares.
    """
    query, key, value = call.args[:3]
    mask, count = call.arg(3), scores(call)
    weights = _heads(query, key, value) * query.shape[-2] * key.shape[-2]
    per_score = 1 + SOFTMAX_FLOPS + (1 if isinstance(mask, TensorSpec) else 0)
    return contraction(call, count * query.shape[-1] + weights * value.shape[-1], count * per_score)


#: How long each of some sequences is; a fraction where that is not known.
Lengths = Sequence[int | Fraction]


class Packed(NamedTuple):
    """Where the arguments of a kernel say how long sequences are that lie behind one another.

    Attributes:
        query: position of the query; key and value follow.
        ends: position of where the sequences of the query begin and end, ``[N + 1]``; those of the keys follow.
        longest: position of the length of the longest one; that of the keys follows.
        used: position or name of how many keys each sequence uses, ``[N]``; empty where it uses all.
    """

    query: int
    ends: int
    longest: int
    used: int | str = ""


#: Kernels that take packed sequences, forward and backward.
PACKED: Mapping[str, Packed] = MappingProxyType(
    {
        "aten._flash_attention_forward": Packed(0, 3, 5, "seqused_k"),
        "aten._flash_attention_forward_no_dropout_inplace": Packed(1, 4, 6, "seqused_k"),
        "aten._efficient_attention_forward": Packed(0, 4, 6, "seqlen_k"),
        "torch_attn._varlen_attn": Packed(0, 3, 5, 11),
        "torch_attn._varlen_attn_out": Packed(1, 4, 6, 12),
        "aten._flash_attention_backward": Packed(1, 6, 8),
        "aten._efficient_attention_backward": Packed(1, 6, 8),
        "torch_attn._varlen_attn_backward": Packed(1, 6, 8),
    }
)


def packed(call: Call) -> Work:
    """``[N, L, H, E] [N, S, H, E] [N, S, H, V] -> [N, L, H, V]``: heads come after positions.

    Or ``[sum of L, H, E]``, with the ends of sequences: each attends to itself only. Ends that are not known are taken
    to be spread evenly, which a run lists as an assumption.
    """
    where = PACKED[call.target]
    query, _, value = call.args[where.query : where.query + 3]
    pairs = packed_scores(call)
    return contraction(call, pairs * (query.shape[-1] + value.shape[-1]), pairs * (1 + SOFTMAX_FLOPS))


def packed_scores(call: Call) -> int:
    """Number of attention scores between packed sequences."""
    queries, keys = packed_lengths(call)
    return int(sum(map(mul, queries, keys))) * int(call.args[PACKED[call.target].query].shape[-2])


def packed_lengths(call: Call) -> tuple[Lengths, Lengths]:
    """How many queries each of some packed sequences has, and how many keys."""
    where = PACKED[call.target]
    query, key = call.args[where.query : where.query + 2]
    queries = _lengths(call.arg(where.ends), query)
    keys = _lengths(call.arg(where.ends + 1), key)
    used = call.kwargs.get(where.used) if isinstance(where.used, str) else call.arg(where.used)
    if used is not None:
        keys = used.values or [call.args[where.longest + 1]] * used.shape[0]
    return queries, keys


def _lengths(ends: TensorSpec | None, tokens: TensorSpec) -> Lengths:
    """How long each sequence is."""
    if ends is None:
        return [tokens.shape[-3]] * math.prod(tokens.shape[:-3])
    if ends.values is not None:
        return [end - start for start, end in pairwise(ends.values)]
    count = ends.numel - 1
    return [Fraction(tokens.shape[-3], count)] * count


def multi_head(call: Call) -> Work:
    """``query key value``: projections of the three (``3 E^2``), attention, and a projection (``E^2``) per position."""
    query, key, value, width, heads = call.args[:5]
    batch, length, source = query.shape[0], query.shape[1], key.shape[1]
    projections = width * width * batch * (2 * length + key.shape[1] + value.shape[1])
    pairs = batch * length * source
    return contraction(call, projections + 2 * pairs * width, pairs * heads * (1 + SOFTMAX_FLOPS))


def encoder_layer(call: Call) -> Work:
    """``[N, L, E]``: self-attention, two norms, and a feed-forward network ``E -> F -> E`` with an activation."""
    x, width, heads = call.args[:3]
    hidden = call.args[14].shape[0]
    positions = math.prod(x.shape[:-1])
    pairs = positions * x.shape[1]
    macs = positions * (4 * width * width + 2 * width * hidden) + 2 * pairs * width
    other = pairs * heads * (1 + SOFTMAX_FLOPS) + positions * (2 * 7 * width + 2 * width + 2 * hidden)
    return contraction(call, macs, other)


FORMULAS: Table = {
    "higher_order.flex_attention": attention,
    "aten._native_multi_head_attention": multi_head,
    "aten._transformer_encoder_layer_fwd": encoder_layer,
    "aten._flash_attention_forward": packed,
    "aten._flash_attention_forward_no_dropout_inplace": packed,
    "aten._efficient_attention_forward": packed,
    "torch_attn._varlen_attn": packed,
    "torch_attn._varlen_attn_out": packed,
    "aten.scaled_dot_product_attention": attention,
    "aten._scaled_dot_product_attention_math": attention,
    "aten._scaled_dot_product_flash_attention": attention,
    "aten._scaled_dot_product_flash_attention_for_cpu": attention,
    "aten._scaled_dot_product_efficient_attention": attention,
    "aten._scaled_dot_product_cudnn_attention": attention,
    "aten._scaled_dot_product_fused_attention_overrideable": attention,
}
