"""Elementwise operators and reductions: floating-point operations per element, no multiply-accumulates.

Counts are of the operations in the definition of each function, by the rules in :mod:`thoplw.formulas`: of real numbers
each, so that a sum of complex numbers is two.
"""

from __future__ import annotations

from functools import partial

from thoplw.formulas.common import Table, elements, is_complex, per_output, stored_elements, takes_complex
from thoplw.record import Call, Work


def reduction(flops: int, call: Call) -> Work:
    """So many operations for each element that goes in."""
    first = next(iter(call.inputs), None)
    return Work(flops=flops * stored_elements(first) * (2 if is_complex(first) else 1) if first else 0)


def elementwise(flops: int, call: Call) -> Work:
    """So many operations for each element that comes out; both parts of a complex number take as many."""
    return per_output(flops * (2 if takes_complex(call) else 1), call)


def multiplication(call: Call) -> Work:
    """One operation; of two complex numbers four products and two sums, of one with a real number two products."""
    return per_output((1, 2, 6)[sum(map(is_complex, call.args[:2]))], call)


def division(call: Call) -> Work:
    """One operation; by a complex number a product (6), the square of its length (3) and two divisions."""
    dividend, divisor = call.args[:2]
    return per_output(11 if is_complex(divisor) else 2 if is_complex(dividend) else 1, call)


#: Operations per output element.
_PER_OUTPUT = {
    1: (
        "abs absolute acos acosh add angle asin asinh atan atan2 atanh ceil clamp clamp_max clamp_min clip copysign "
        "cos cosh deg2rad digamma eq erf erfc erfinv exp exp2 expm1 floor floor_divide fmax fmin fmod "
        "frac ge gcd greater greater_equal gt hardtanh heaviside hypot i0 isfinite isinf isnan isneginf isposinf le "
        "less less_equal lgamma log log10 log1p log2 logical_and logical_not logical_or logical_xor logit lt "
        "maximum minimum nan_to_num ne neg negative nextafter not_equal polygamma positive pow rad2deg "
        "reciprocal relu relu6 remainder round rsqrt rsub sgn sigmoid sign signbit sin sinc sinh special_erf "
        "special_expit special_log1p special_xlogy sqrt square sub subtract tan tanh threshold trunc "
        "xlogy fix bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift "
        "__and__ __or__ __xor__ __lshift__ __rshift__ __iand__ __ior__ __ixor__ float_power ldexp special_i0 "
        "conj_physical _conj_physical igamma igammac lcm "
        "special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 "
        "special_chebyshev_polynomial_t special_chebyshev_polynomial_u special_chebyshev_polynomial_v "
        "special_chebyshev_polynomial_w special_entr special_erfcx special_hermite_polynomial_h "
        "special_hermite_polynomial_he special_i0e special_i1 special_i1e special_laguerre_polynomial_l "
        "special_legendre_polynomial_p special_log_ndtr special_modified_bessel_i0 special_modified_bessel_i1 "
        "special_modified_bessel_k0 special_modified_bessel_k1 special_ndtri special_scaled_modified_bessel_k0 "
        "special_scaled_modified_bessel_k1 special_shifted_chebyshev_polynomial_t "
        "special_shifted_chebyshev_polynomial_u special_shifted_chebyshev_polynomial_v "
        "special_shifted_chebyshev_polynomial_w special_spherical_bessel_j0 special_xlog1py special_zeta"
    ),
    2: (
        "addcdiv addcmul hardshrink leaky_relu lerp logaddexp logaddexp2 prelu _prelu_kernel rrelu rrelu_with_noise "
        "softshrink"
    ),
    # A cross product takes two products and a difference for each of its elements.
    3: "celu elu hardsigmoid selu softplus glu log_sigmoid log_sigmoid_forward linalg_cross",
    4: "hardswish silu",  # x * sigmoid(x), with the sigmoid's three operations written out
    5: "gelu mish",
}

#: Operations per input element.
_PER_INPUT = {
    1: (
        "all amax amin any argmax argmin count_nonzero cummax cummin cumprod cumsum max mean median min mode "
        "nanmean nanmedian nansum prod sum logcumsumexp aminmax segment_reduce unfold_backward frexp hash_tensor "
        "_sparse_sum"
    ),
    2: "dist frobenius_norm linalg_vector_norm norm",
    3: "huber_loss l1_loss mse_loss smooth_l1_loss",
    4: "logsumexp std std_mean var var_mean renorm multi_margin_loss",  # sum of max(0, margin - x_y + x)
    6: "soft_margin_loss",  # log(1 + exp(-t x)), and a sum
    9: "binary_cross_entropy",  # -(t log x + (1 - t) log(1 - x)), and a sum
    10: "binary_cross_entropy_with_logits",  # max(x, 0) - x t + log(1 + exp(-|x|)), and a sum
}


#: Operations per element in training: a mask is divided by what is kept, and multiplied; that of a channel is small.
_DROPPED = {
    "dropout": 2,
    "native_dropout": 2,
    "feature_dropout": 1,
    "alpha_dropout": 6,  # x (a m) + b, b = (m - 1) s a + s a p
    "feature_alpha_dropout": 2,
}


def likelihood(call: Call) -> Work:
    """``[N, C, *] [N, *]``: an addition for each class that is looked up."""
    return Work(flops=call.args[1].numel)


def bags(call: Call) -> Work:
    """``[V, D] [indices] [bags] -> [bags, D]``, and back: an addition for each row that is looked up."""
    return Work(flops=call.args[1].numel * call.args[0].shape[-1])


def dropped(flops: int, call: Call) -> Work:
    """``x p train``: so many operations for each element in training, and none else."""
    probability, train = call.args[1], call.arg(2)
    return Work(flops=flops * elements(call) if probability and train is not False else 0)


def put(call: Call) -> Work:
    """``x indices values accumulate``: an addition for each value that is added to what is there."""
    return Work(flops=call.args[2].numel if call.arg(3, False) else 0)


def accumulated(call: Call) -> Work:
    """``x dim index source``: an addition, a product or a comparison for each element of the source."""
    return Work(flops=call.args[3].numel)


def diagonal_sum(call: Call) -> Work:
    """``[L, M] -> []``: an addition for each element of the diagonal."""
    return Work(flops=min(call.args[0].shape))


def log_gammas(call: Call) -> Work:
    """``[*] -> [*]``: as many shifted logarithms of gamma functions as its order, and their sum, with a constant."""
    return per_output(3 * call.args[1], call)


def label_margins(call: Call) -> Work:
    """``[N, C] [N, C]``: max(0, 1 - (x_label - x_other)), and a sum, as if each class were a label of each sample."""
    x = call.args[0]
    return Work(flops=4 * x.numel * (x.shape[-1] if x.shape else 1))


def alignments(call: Call) -> Work:
    """``[T, N, C] [N, S] -> [N] [N, T, 2 S + 1]``: a logarithm of a sum of three exponentials, and an addition, each.

    Graves et al. (2006), equation 6: a maximum (2), differences (3), exponentials (3), sums (2), a logarithm, and the
    maximum and the probability added.
    """
    return Work(flops=13 * call.outputs[1].numel)


FORMULAS: Table = {
    "aten._ctc_loss": alignments,
    **{f"aten.{name}": accumulated for name in ("index_add", "index_reduce", "scatter_add", "scatter_reduce")},
    **{f"aten.{name}": multiplication for name in ("mul", "multiply")},
    **{f"aten.{name}": division for name in ("div", "divide", "true_divide")},
    **{f"aten.{name}": partial(dropped, flops) for name, flops in _DROPPED.items()},
    **{f"aten.{name}": put for name in ("index_put", "_index_put_impl", "_unsafe_index_put", "put")},
    "aten._unsafe_masked_index_put_accumulate": accumulated,
    # Derivatives in forward mode add and multiply so.
    **dict.fromkeys(("prims.add", "prims.sub"), partial(elementwise, 1)),
    "prims.mul": multiplication,
    "prims.div": division,
    "aten.trace": diagonal_sum,
    "aten.mvlgamma": log_gammas,
    "aten.multilabel_margin_loss_forward": label_margins,
    "aten.max.other": partial(per_output, 1),
    "aten.min.other": partial(per_output, 1),
    "aten.nll_loss2d_forward": likelihood,
    "aten.nll_loss_forward": likelihood,
    **{f"aten.{name}": bags for name in ("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")},
    **{f"aten.{name}": partial(elementwise, flops) for flops, names in _PER_OUTPUT.items() for name in names.split()},
    **{f"aten.{name}": partial(reduction, flops) for flops, names in _PER_INPUT.items() for name in names.split()},
}
