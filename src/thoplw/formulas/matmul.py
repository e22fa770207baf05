"""Matrix products: an output element takes one multiply-accumulate per element of the contracted dimension."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from thoplw.formulas.common import Table, contraction, elements
from thoplw.formulas.norm import SOFTMAX_FLOPS
from thoplw.record import Call, TensorSpec, Work


def product(call: Call) -> Work:
    """``[*, L, K] [*, K, M] -> [*, L, M]``, and every case of vectors: ``L K M`` per batch."""
    return contraction(call, multiplied(call, *call.args[:2]))


def multiplied(call: Call, left: TensorSpec, right: TensorSpec) -> int:
    """Multiply-accumulates of a product: of a sparse operand, on either side, only with the elements it stores."""
    return int(elements(call) * left.shape[-1] * stored(left) * stored(right))


def stored(spec: TensorSpec) -> Fraction | int:
    """What part of a tensor a product goes through."""
    return spec.density if spec.shape and not spec.strides else 1


def linear(call: Call) -> Work:
    """``[*, K] [M, K] -> [*, M]``, with an addition per output for the bias."""
    return contraction(call, multiplied(call, *call.args[:2]), elements(call) if call.arg(2) else 0)


def added_product(call: Call) -> Work:
    """``[L, M] [L, K] [K, M] -> [L, M]``: the product is added to the first argument."""
    return contraction(call, multiplied(call, *call.args[1:3]), elements(call))


def sampled_product(call: Call) -> Work:
    """``[L, M] [L, K] [K, M] -> [L, M]``, only where the first, sparse argument has elements; these are added."""
    out, left = call.args[:2]
    count = int(out.numel * stored(out))
    return contraction(call, count * left.shape[-1], count)


def sparse_product(call: Call) -> Work:
    """``[L, K] [K, M] -> [L, M]``, all sparse: records say how many stored elements meet, as shapes do not."""
    return contraction(call, call.kwargs["products"])


def summed_products(call: Call) -> Work:
    """``[L, M] [B, L, K] [B, K, M] -> [L, M]``: the products are summed over ``B``."""
    batch = call.args[1]
    return contraction(call, elements(call) * batch.shape[0] * batch.shape[2], elements(call))


def grouped(call: Call) -> Work:
    """Products of groups of rows with a matrix each; offsets say where groups end, and do not change the count.

    ``[T, K] [G, K, M] -> [T, M]``: ``T K M``; ``[G, L, K] [K, T] -> [L, T]``: ``L K T``; two 3-d operands are a batch.
    ``[L, T] [T, M] -> [G, L, M]`` contracts within groups of ``T``: ``L T M``.
    """
    a, b = call.args[0], call.args[1]
    if len(a.shape) == len(b.shape) == 2:
        return contraction(call, a.numel * b.shape[-1])
    return product(call)


def classified(call: Call) -> Work:
    """``[N, K] [V, K] [N]``: a linear layer, and the cross-entropy of its output: a softmax and a likelihood.

    The kernel can make the gradients of its input and its weight on the way, with a product each.
    """
    rows, classes = call.args[0].numel // (call.args[0].shape[-1] or 1), call.args[1].shape[0]
    products = 1 + sum(bool(call.arg(position, False)) for position in (12, 13))
    biases = 1 if call.arg(3) else 0
    return contraction(call, products * rows * call.args[1].numel, rows * (classes * (SOFTMAX_FLOPS + biases) + 1))


def distances(call: Call) -> Work:
    """``[*, L, K] [*, M, K] -> [*, L, M]``: a difference, and an accumulated power, for each of ``L K M``."""
    terms = elements(call) * call.args[0].shape[-1]
    return contraction(call, terms, terms + elements(call))


def positions(call: Call) -> Work:
    """``[N, d, d + 1] -> [N, *size, d]``: every position of a grid, and a 1 behind it, meets a matrix."""
    return contraction(call, elements(call) * call.args[0].shape[-1])


def packed(call: Call) -> Work:
    """``[*, K]`` with a packed weight: the output tells ``M``."""
    return contraction(call, elements(call) * call.args[0].shape[-1])


def outer(call: Call) -> Work:
    """``[L] [M] -> [L, M]``: a multiplication per output element; nothing is summed, so no MACs."""
    return Work(flops=elements(call))


def added_outer(call: Call) -> Work:
    """``[L, M] [L] [M] -> [L, M]``: a multiplication and an addition per output element."""
    return Work(flops=2 * elements(call))


def bilinear(call: Call) -> Work:
    """``[*, I] [*, J] [O, I, J] -> [*, O]``: contracted with one input, then with the other."""
    weight, bias = call.args[2], call.arg(3)
    rows = elements(call) // weight.shape[0] if weight.shape[0] else 0
    macs = rows * (math.prod(weight.shape) + weight.shape[0] * weight.shape[2])
    return contraction(call, macs, elements(call) if bias else 0)


def three_products(call: Call) -> Work:
    """``a b c``, each spread over dimensions of its own: ``a b``, summed where ``c`` is spread, and that with ``c``.

    A bilinear layer's kernel, and that of its three gradients: ``[N, I] [O, I, J] [N, J]`` is summed over I, then over
    J. A product that is summed over nothing is one operation for each element, and no multiply-accumulate.
    """
    tensors, spread, summed = call.args[:3], [set(each) for each in call.args[3:6]], set(call.args[6])
    sizes = _spread_sizes(tensors, spread)
    first, second = summed & spread[2], summed - spread[2]
    pair = math.prod(size for at, size in enumerate(sizes) if at not in spread[0] & spread[1])
    whole = math.prod(size for at, size in enumerate(sizes) if at not in first)
    products = ((pair, first), (whole, second))
    macs = sum(size for size, over in products if over)
    return contraction(call, macs, sum(size for size, over in products if not over))


def _spread_sizes(tensors: Sequence[TensorSpec], spread: Sequence[set[int]]) -> list[int]:
    """The size of every dimension, which each tensor has but for those that it is spread over."""
    rank = len(tensors[0].shape) + len(spread[0])
    sizes = [1] * rank
    for tensor, over in zip(tensors, spread, strict=True):
        for at, size in zip((at for at in range(rank) if at not in over), tensor.shape, strict=True):
            sizes[at] = size if sizes[at] == 1 else sizes[at]
    return sizes


FORMULAS: Table = {
    "aten._trilinear": three_products,
    "aten.matmul": product,
    "aten.mm": product,
    "aten.bmm": product,
    "aten.mv": product,
    "aten.dot": product,
    "aten.vdot": product,
    "aten.linear": linear,
    "aten._int_mm": product,
    "aten._scaled_mm": product,
    "aten._scaled_mm_v2": product,
    "aten._grouped_mm": grouped,
    "aten._scaled_grouped_mm": grouped,
    "transformers.grouped_mm_fallback": grouped,  # its stand-in for the operator above, where torch has none
    "aten._weight_int8pack_mm": packed,
    "aten._weight_int4pack_mm": packed,
    "aten._weight_int4pack_mm_for_cpu": packed,
    "aten._weight_int4pack_mm_with_scales_and_zeros": packed,
    "aten._dyn_quant_matmul_4bit": packed,
    "aten.cdist": distances,
    "aten._cdist_forward": distances,
    "aten._euclidean_dist": distances,
    "aten._pdist_forward": distances,
    "aten.affine_grid_generator": positions,
    "aten.kron": outer,
    "aten.addmm": added_product,
    "aten._addmm_activation": added_product,
    "aten._sparse_addmm": added_product,
    "aten._sparse_sparse_matmul": sparse_product,
    "aten._sparse_mm_reduce_impl": product,
    "aten.hspmm": product,
    "aten.sspaddmm": added_product,
    "aten.sparse_sampled_addmm": sampled_product,
    "torch_nn._linear_cross_entropy_batch_chunked": classified,
    "torch_nn._linear_cross_entropy_batch_chunked_no_reduction": classified,
    "aten.addmv": added_product,
    "aten.baddbmm": added_product,
    "aten.addbmm": summed_products,
    "aten.addr": added_outer,
    "aten.outer": outer,
    "aten.ger": outer,
    "aten.bilinear": bilinear,
}
