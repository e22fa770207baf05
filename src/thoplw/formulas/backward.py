"""Backward operators: what the gradients of an operator cost.

A contraction of ``m`` multiply-accumulates has two gradients of ``m`` each: every product ``x w`` that was added to an
output is met again, once as ``g w`` for the input and once as ``g x`` for the weight. Kernels that tell by a mask which
gradients are asked for are priced by it; the others make all of theirs. The gradient of a bias is a sum.

What has no contraction counts the floating-point operations in the definition of its derivative, by the rules in
:mod:`thoplw.formulas`. Most of what runs backward has no operator of its own: the gradient of ``mm`` is two of ``mm``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from thoplw.formulas import attention, interpolation, recurrent
from thoplw.formulas.common import Formula, Table, contraction, product
from thoplw.formulas.convolution import SAMPLE_FLOPS
from thoplw.formulas.detection import sampling
from thoplw.formulas.matmul import stored
from thoplw.formulas.pointwise import bags
from thoplw.record import ZERO, Call, TensorSpec, Work

# -- contractions ------------------------------------------------------------------------------------------------------


def convolution(call: Call) -> Work:
    """``g [N, O, *out]``, ``x [N, C, *in]``, ``w [O, C / groups, *kernel]``, ..., ``transposed``, two more, ``mask``.

    ``N O out C kernel / groups`` for each gradient that the mask asks for, as in
    :mod:`thoplw.formulas.convolution`; of a transposed convolution ``N C in O kernel / groups``.
    """
    gradient, x, weight = call.args[:3]
    of_input, of_weight, of_bias = call.args[-1]
    spread = x if call.args[-4] else gradient
    macs = spread.numel * math.prod(weight.shape[1:])
    return contraction(call, macs * (of_input + of_weight), gradient.numel * of_bias)


def direct_convolution(call: Call) -> Work:
    """``g x w kernel stride padding [mask]``: the same, never transposed; all gradients if there is no mask."""
    gradient, weight = call.args[0], call.args[2]
    of_input, of_weight, of_bias = call.arg(6, (True, True, True))
    macs = gradient.numel * math.prod(weight.shape[1:])
    return contraction(call, macs * (of_input + of_weight), gradient.numel * of_bias)


def time_first_convolution(call: Call) -> Work:
    """``g [T', N, O]``, ``x [T, N, C]``, ``w [kernel, C, O]``: all three gradients of ``conv_tbc``."""
    gradient, weight = call.args[0], call.args[2]
    return contraction(call, 2 * gradient.numel * weight.shape[0] * weight.shape[1], gradient.numel)


def deformable_convolution(call: Call) -> Work:
    """``g x w offset mask bias``: all gradients, from samples that are taken anew.

    Besides the two products each sample is interpolated again, spread over its four neighbours, and met by them for
    the gradients of its two offsets: four times what :func:`thoplw.formulas.convolution.deformable` takes for one.
    """
    gradient, x, weight = call.args[:3]
    positions = gradient.numel // weight.shape[0] if weight.shape[0] else 0
    samples = positions * x.shape[1] * math.prod(weight.shape[2:])
    macs = gradient.numel * math.prod(weight.shape[1:])
    return contraction(call, 2 * macs, 4 * SAMPLE_FLOPS * samples + gradient.numel)


def matmul(call: Call) -> Work:
    """``g [*, L, M]``, ``[*, L, K]``, ``[*, K, M]``, ``mask``: ``L K M`` for each gradient that is asked for."""
    gradient, left = call.args[:2]
    return contraction(call, gradient.numel * left.shape[-1] * sum(call.args[3]))


def linear(call: Call) -> Work:
    """``x [*, K]``, ``g [*, M]``, ``w [M, K]``, ``mask``."""
    gradient, weight = call.args[1:3]
    of_input, of_weight, of_bias = call.args[3]
    return contraction(call, gradient.numel * weight.shape[-1] * (of_input + of_weight), gradient.numel * of_bias)


def linear_input(call: Call) -> Work:
    """``size``, ``g [*, M]``, ``w [M, K]``: the gradient of the input alone."""
    gradient, weight = call.args[1:3]
    return contraction(call, gradient.numel * weight.shape[-1])


def linear_weight(call: Call) -> Work:
    """``g [*, M]``, ``x [*, K]``, ``w [M, K]``, ``bias``: gradients of the weight, and of a bias if there is one."""
    gradient, x = call.args[:2]
    return contraction(call, gradient.numel * x.shape[-1], gradient.numel * bool(call.args[3]))


def sparse_product(call: Call) -> Work:
    """``[L, K]`` sparse, ``g [L, M]``, ``[K, M]``, how, which, ``mask``: products with the elements that are stored."""
    left, gradient = call.args[:2]
    return contraction(call, int(gradient.numel * left.shape[-1] * stored(left)) * sum(call.args[5]))


def distances(call: Call) -> Work:
    """``g [*, L, M]``, ``[*, L, K]``, ``[*, M, K]``: the gradient of one side.

    A difference, and a product with ``g / distance`` that is added up, for each of ``L K M``.
    """
    gradient, left = call.args[:2]
    terms = gradient.numel * left.shape[-1]
    return contraction(call, terms, terms + gradient.numel)


def own_distances(call: Call) -> Work:
    """``g [pairs]``, ``[L, K]``: as above, and what a pair gives to one row it takes from the other."""
    gradient, rows = call.args[:2]
    terms = gradient.numel * rows.shape[-1]
    return contraction(call, 2 * terms, terms + gradient.numel)


def positions(call: Call) -> Work:
    """``g [N, H, W, 2]``: every position of a grid meets the gradients of its coordinates, for a ``2 x 3`` matrix."""
    return contraction(call, call.args[0].numel * 3)


# -- attention ---------------------------------------------------------------------------------------------------------

#: Operations for each score: to have it anew (scaled, the logarithm of the sum subtracted, an exponential), and for its
#: gradient (the sum of its row subtracted, a product with the weight, scaled).
_ANEW, _GRADIENT = 3, 3

#: Kernels of dense attention -> position or name of the mask that is added to the scores.
_MASKS: dict[str, int | str] = {
    "aten._scaled_dot_product_flash_attention_backward": "",
    "aten._scaled_dot_product_flash_attention_for_cpu_backward": "attn_mask",
    "aten._scaled_dot_product_efficient_attention_backward": 4,
    "aten._scaled_dot_product_cudnn_attention_backward": 8,
    "aten._scaled_dot_product_fused_attention_overrideable_backward": 4,
}


def scores(call: Call) -> int:
    """Number of attention scores of a kernel that takes ``g query key ...``."""
    return attention.score_count(*call.args[1:3])


def repeated_attention(count: Callable[[Call], int], query: int, call: Call) -> Work:
    """``Q K'``: the scores anew, of which forward keeps the logarithms of sums alone."""
    pairs = count(call)
    where = _MASKS.get(call.target, "")
    mask = call.kwargs.get(where) if isinstance(where, str) else call.arg(where)
    masked = isinstance(mask, TensorSpec) and mask.numel > 0
    return contraction(call, pairs * call.args[query].shape[-1], pairs * (_ANEW + masked))


def attention_gradients(count: Callable[[Call], int], query: int, call: Call) -> Work:
    """``g [*, L, V]``, ``Q [*, L, E]``, ``K [*, S, E]``, ``V [*, S, V]``: five products where forward takes two.

    Dao et al., "FlashAttention" (2022), algorithm 4: ``S = Q K'`` anew; ``dV = P' g`` and ``dP = g V'``, ``L S V``
    each; ``dQ = dS K`` and ``dK = dS' Q``, ``L S E`` each; and the sum of ``g`` times the output for each row. Every
    kernel makes all three gradients, whatever is asked for.
    """
    pairs, width, values = count(call), call.args[query].shape[-1], call.args[query + 2]
    rows = 2 * call.args[query].numel // width * values.shape[-1] if width else 0
    gradients = contraction(call, pairs * 2 * (width + values.shape[-1]), pairs * _GRADIENT + rows)
    return repeated_attention(count, query, call) + gradients


_PACKED = ("aten._flash_attention_backward aten._efficient_attention_backward torch_attn._varlen_attn_backward").split()

#: Kernel -> how its scores are counted, and where its query stands.
_ATTENTION: dict[str, tuple[Callable[[Call], int], int]] = {
    **dict.fromkeys(_MASKS, (scores, 1)),
    **dict.fromkeys(_PACKED, (attention.packed_scores, 1)),
    "higher_order.flex_attention_backward": (attention.scores, 0),
}

#: Operator -> the part of its work that repeats work of the forward, whose result was not kept.
REPEATED: Mapping[str, Formula] = MappingProxyType(
    {target: partial(repeated_attention, *where) for target, where in _ATTENTION.items()}
)


def repeated(call: Call, work: Work) -> Work:
    """The part of a backward operator's work that repeats the forward, such as attention scores, computed again.

    Args:
        call: the operator.
        work: what it costs in some convention. The answer is as large a part of it as of the work by
            :data:`FORMULAS`: where keys and values have the same width, a fifth of the multiply-accumulates.
    """
    part, price = REPEATED.get(call.target), FORMULAS.get(call.target)
    if part is None or price is None:
        return ZERO
    anew, full = part(call), price(call)
    return Work(
        macs=work.macs * anew.macs // full.macs if full.macs else 0,
        flops=work.flops * anew.flops // full.flops if full.flops else 0,
    )


# -- recurrent layers --------------------------------------------------------------------------------------------------


def rnn_layer(call: Call) -> Work:
    """``x w1 w2 b1 b2 ...``: one layer in one direction, both gradients of both matrices, at every step."""
    kind, products = recurrent.MODES[call.args[14]], call.args[1:3]
    steps = math.prod(call.args[0].shape[:-1])
    size = steps * recurrent.state(kind, products)
    biases = 2 * kind.gates * size if call.args[17] else 0
    macs = steps * sum(weight.numel for weight in products)
    return contraction(call, 2 * macs, size * kind.backward + biases)


def rnn(call: Call) -> Work:
    """``x weights ... mode ... mask``: all layers; gradients of the weights where the mask ends in true.

    Those of the inputs are made in any case, as the others are made of them.
    """
    kind, products = recurrent.MODES[call.args[10]], recurrent.matrices(call.args[1])
    steps, of_weights = math.prod(call.args[0].shape[:-1]), call.args[-1][3]
    biases = steps * sum(weight.numel for weight in call.args[1] if len(weight.shape) == 1)
    macs = steps * sum(weight.numel for weight in products)
    other = steps * recurrent.state(kind, products) * kind.backward
    return contraction(call, macs * (1 + of_weights), other + biases * of_weights)


def lstm_cell(call: Call) -> Work:
    """``gh gc c c' gates bias``: of each of its state's elements 23 operations, and 4 sums for the biases.

    ``tanh c'``; ``go = gh tanh(c') o (1 - o)`` (4); ``gc + gh o (1 - tanh^2 c')`` (5); ``gi = gc g i (1 - i)`` (4);
    ``gf = gc c f (1 - f)`` (4); ``gg = gc i (1 - g^2)`` (4); and ``gc f`` for the step before (1).
    """
    return Work(flops=call.args[2].numel * (23 + (4 if call.args[5] else 0)))


def gru_cell(call: Call) -> Work:
    """``g workspace bias``: of each of its state's elements 16 operations, and 6 sums for the biases.

    ``gn = g (1 - z) (1 - n^2)`` (5); ``gz = g (h - n) z (1 - z)`` (5); ``gr = gn hn r (1 - r)`` (4); ``gn r``; ``g z``.
    """
    return Work(flops=call.args[0].numel * (16 + (6 if call.args[2] else 0)))


# -- norms -------------------------------------------------------------------------------------------------------------

#: Per element, of the gradient of the input through a mean and a variance: x^ (2), the sums of g and of g x^ (3), and
#: g - mean(g) - x^ mean(g x^), scaled (4): Ioffe & Szegedy (2015), section 3.
_THROUGH_MOMENTS = 9


def batch_norm(train: int | None, mask: int | None, call: Call) -> Work:
    """``g x w ...``: with statistics of the batch, through them; else a product with what is one number a channel.

    Its sums are the gradients of weight and bias as well; with known statistics these take ``x^`` (2), a product and a
    sum, and a sum.
    """
    size = call.args[0].numel
    of_input, of_weight, of_bias = (True, True, True) if mask is None else call.args[mask]
    if of_input and (train is None or call.args[train]):
        return Work(flops=size * _THROUGH_MOMENTS)
    return Work(flops=size * (1 * of_input + 4 * of_weight + 1 * of_bias))


def moments(weight: int, mask: int, call: Call) -> Work:
    """``g x ...``: through the moments of each row; a weight has another for each element, and sums of its own."""
    size, affine = call.args[0].numel, call.args[weight] is not None
    of_input, of_weight, of_bias = call.args[mask]
    to_input = _THROUGH_MOMENTS + affine if of_input else 0
    to_weight = (2 if of_input else 4) if of_weight else 0  # x^ is there, or is not
    return Work(flops=size * (to_input + to_weight + of_bias))


def root_mean_square(call: Call) -> Work:
    """``g x shape rstd w mask``: ``x^``, ``g w``, the sum of ``g w x^`` (2), and ``g w - x^ mean(...)``, scaled (3)."""
    size, affine = call.args[0].numel, call.args[4] is not None
    of_input, of_weight = call.args[5]
    to_input = 6 + affine if of_input else 0
    to_weight = (2 if of_input else 3) if of_weight else 0
    return Work(flops=size * (to_input + to_weight))


# -- the others, by a number of operations for each element ------------------------------------------------------------


def per_gradient(flops: int, call: Call) -> Work:
    """So many operations for each element of the gradient that comes in, the first argument."""
    return Work(flops=flops * call.args[0].numel)


def per_result(flops: int, call: Call) -> Work:
    """So many operations for each element of the (first) gradient that goes out."""
    return Work(flops=flops * call.outputs[0].numel)


def per_argument(position: int, flops: int, call: Call) -> Work:
    """So many operations for each element of the argument at this position."""
    return Work(flops=flops * call.args[position].numel)


def averages(rank: int, call: Call) -> Work:
    """``g x kernel``: a division for each window, and an addition for each of its elements."""
    return Work(flops=call.args[0].numel * (product(call.args[2], rank) + 1))


def adaptive_averages(call: Call) -> Work:
    """``g x``: windows share the input among them; an addition per element, and a division per window."""
    gradient, x = call.args[:2]
    return Work(flops=max(gradient.numel, x.numel) + gradient.numel)


def bag_weights(call: Call) -> Work:
    """``g [bags, D]``, ``w [V, D]``, ``indices``: the product of a row with its bag's gradient, added up, for each."""
    return Work(flops=2 * call.args[2].numel * call.args[0].shape[-1])


def sampled(flops: int, mask: int | None, call: Call) -> Work:
    """``g x grid``: what sampling takes, for each of the gradients of input and grid that are asked for."""
    wanted = 2 if mask is None else sum(call.args[mask])
    return Work(flops=flops * call.args[0].numel * wanted)


def label_margins(call: Call) -> Work:
    """``g x labels``: as forward has it, two sums for each pair of classes that is compared."""
    x = call.args[1]
    return Work(flops=4 * x.numel * (x.shape[-1] if x.shape else 1))


def alignments(call: Call) -> Work:
    """``g log_probs ... log_alpha``: the recursion backwards (13 for each of ``alpha``), ``alpha beta``, its sums.

    Graves et al. (2006), equations 10 and 16: a sum of exponentials in logarithms (5) for each of ``alpha beta``, and
    for each probability a subtraction, an exponential, a subtraction and a product.
    """
    return Work(flops=(13 + 1 + 5) * call.args[6].numel + 4 * call.args[1].numel)


def region_samples(ratio: int, call: Call) -> Work:
    """``g [R, C, h, w]``: every sample of a region spreads its gradient as forward gathered it."""
    return Work(flops=call.args[0].numel * sampling(call.args[ratio]))


def region_averages(call: Call) -> Work:
    """``g [R, C, h, w]``: an addition per element of a window, about one per element of the input."""
    return Work(flops=max(call.args[0].numel, call.outputs[0].numel))


#: Operations for each element of the gradient that comes in.
_PER_GRADIENT = {
    # a comparison; or an addition to where it came from; or a product with a mask
    1: "threshold_backward rrelu_with_noise_backward max_pool2d_with_indices_backward max_pool3d_with_indices_backward "
    "max_pool2d_backward adaptive_max_pool2d_backward adaptive_max_pool3d_backward fractional_max_pool2d_backward "
    "fractional_max_pool3d_backward reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward "
    "replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward embedding_dense_backward "
    "upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward "
    "_upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward _upsample_nearest_exact3d_backward "
    "torchvision._roi_pool_backward mkldnn_max_pool2d_backward mkldnn_max_pool3d_backward",
    # two comparisons; a comparison and a product; two products
    2: "hardtanh_backward hardshrink_backward softshrink_backward leaky_relu_backward native_dropout_backward",
    # g y (1 - y); g (1 - y y); g / (x (1 - x)); g / (1 + exp x); two comparisons and a product; of PReLU a comparison
    # and a product for the input, and a product for the weight
    3: "sigmoid_backward tanh_backward logit_backward log_sigmoid_backward hardsigmoid_backward _prelu_kernel_backward",
    # g z / (1 + z), z = exp x; a comparison, exp and two products; y (g - sum g y); g - exp(y) sum g
    4: "softplus_backward elu_backward _softmax_backward_data _log_softmax_backward_data _masked_softmax_backward "
    "_sparse_softmax_backward_data _sparse_log_softmax_backward_data",
    5: "hardswish_backward",  # two comparisons, and g (x / 3 + 1 / 2)
    8: "silu_backward",  # g s (1 + x (1 - s)), and the sigmoid's three
    # of fake quantisation: q = to integers and back (4); g where that was in range; g (q - x) / s, summed; g s, summed
    11: "_fake_quantize_learnable_per_tensor_affine_backward _fake_quantize_learnable_per_channel_affine_backward "
    "gelu_backward",  # g (P + x p): P = (1 + erf(x / sqrt 2)) / 2, p = exp(-x x / 2) / sqrt(2 pi)
    13: "mish_backward",  # g (t + x s (1 - t t)): t = tanh(log(1 + exp x)), s the sigmoid
}

#: Operations for each element of the gradient that goes out.
_PER_RESULT = {
    2: "mse_loss_backward",  # x - t, times 2 g / N
    4: "glu_backward huber_loss_backward multi_margin_loss_backward",  # of glu: g s, and g a s (1 - s), and s
    5: "smooth_l1_loss_backward binary_cross_entropy_backward",  # g (x - t) / (x (1 - x))
    6: "soft_margin_loss_backward",  # -g t z / (1 + z), z = exp(-t x)
}

#: Interpolation, which forward counts for each element that comes out.
_INTERPOLATIONS = (
    "upsample_linear1d upsample_bilinear2d _upsample_bilinear2d_aa upsample_trilinear3d upsample_bicubic2d "
    "_upsample_bicubic2d_aa _upsample_lanczos2d_aa"
)


def _named(name: str) -> str:
    return name if "." in name else f"aten.{name}"


def _table(price: Callable[[int, Call], Work], names: dict[int, str]) -> dict[str, Formula]:
    return {_named(name): partial(price, flops) for flops, words in names.items() for name in words.split()}


FORMULAS: Table = {
    "aten.convolution_backward": convolution,
    "aten.convolution_backward_overrideable": convolution,
    "aten._slow_conv2d_backward": direct_convolution,
    "aten.conv_tbc_backward": time_first_convolution,
    "torchvision._deform_conv2d_backward": deformable_convolution,
    "aten.matmul_backward": matmul,
    "aten.linear_backward": linear,
    "aten.mkldnn_linear_backward": linear,
    "aten.mkldnn_linear_backward_input": linear_input,
    "aten.mkldnn_linear_backward_weights": linear_weight,
    "aten._sparse_mm_reduce_impl_backward": sparse_product,
    "aten._cdist_backward": distances,
    "aten._pdist_backward": own_distances,
    "aten.cudnn_affine_grid_generator_backward": positions,
    **{target: partial(attention_gradients, *where) for target, where in _ATTENTION.items()},
    "aten.mkldnn_rnn_layer_backward": rnn_layer,
    "aten._cudnn_rnn_backward": rnn,
    "aten.miopen_rnn_backward": rnn,
    "aten._thnn_fused_lstm_cell_backward": lstm_cell,
    "aten._thnn_fused_lstm_cell_backward_impl": lstm_cell,
    "aten._thnn_fused_gru_cell_backward": gru_cell,
    "aten.native_batch_norm_backward": partial(batch_norm, 7, 9),
    "aten.batch_norm_backward": partial(batch_norm, 7, 9),
    "aten.cudnn_batch_norm_backward": partial(batch_norm, None, None),
    "aten.miopen_batch_norm_backward": partial(batch_norm, None, None),
    "aten.native_layer_norm_backward": partial(moments, 5, 7),
    "aten.native_group_norm_backward": partial(moments, 4, 9),
    "aten._fused_rms_norm_backward": root_mean_square,
    # the sum of g v (2), and g - v sum(g v) / |v|^2, scaled (3), for each element of v
    "aten._weight_norm_interface_backward": partial(per_argument, 1, 5),
    "aten.avg_pool2d_backward": partial(averages, 2),
    "aten.avg_pool3d_backward": partial(averages, 3),
    "aten._adaptive_avg_pool2d_backward": adaptive_averages,
    "aten._adaptive_avg_pool3d_backward": adaptive_averages,
    "aten.adaptive_avg_pool3d_backward": adaptive_averages,
    "aten.mkldnn_adaptive_avg_pool2d_backward": adaptive_averages,
    "aten._embedding_bag_backward": bags,
    "aten._embedding_bag_dense_backward": bags,
    "aten._embedding_bag_per_sample_weights_backward": bag_weights,
    "aten.grid_sampler_2d_backward": partial(sampled, 12, 6),
    "aten._grid_sampler_2d_cpu_fallback_backward": partial(sampled, 12, None),
    "aten.grid_sampler_3d_backward": partial(sampled, 28, 6),
    "aten.cudnn_grid_sampler_backward": partial(per_argument, 2, 2 * 12),
    "aten.nll_loss_backward": partial(per_argument, 2, 1),
    "aten.nll_loss2d_backward": partial(per_argument, 2, 1),
    "aten.multilabel_margin_loss_backward": label_margins,
    "aten._ctc_loss_backward": alignments,
    "aten._segment_reduce_backward": partial(per_argument, 2, 1),
    "torchvision._roi_align_backward": partial(region_samples, 9),
    "torchvision._ps_roi_align_backward": partial(region_samples, 6),
    "torchvision._ps_roi_pool_backward": region_averages,
    **{
        f"aten.{name}_backward": partial(per_gradient, interpolation.PER_OUTPUT[name])
        for name in _INTERPOLATIONS.split()
    },
    **_table(per_gradient, _PER_GRADIENT),
    **_table(per_result, _PER_RESULT),
}
