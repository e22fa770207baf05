"""Elementwise operators and reductions: floating-point operations per element, no multiply-accumulates.

Counts are of the operations in the definition of each function, by the rules in :mod:`thoplw.formulas`.
"""

from __future__ import annotations

from functools import partial

from thoplw.formulas.common import Table, per_output, stored_elements
from thoplw.record import Call, Work


def reduction(flops: int, call: Call) -> Work:
    """So many operations for each element that goes in."""
    return Work(flops=flops * stored_elements(call.inputs[0]) if call.inputs else 0)


#: Operations per output element.
_PER_OUTPUT = {
    1: (
        "abs absolute acos acosh add angle asin asinh atan atan2 atanh ceil clamp clamp_max clamp_min clip copysign "
        "cos cosh deg2rad digamma div divide eq erf erfc erfinv exp exp2 expm1 floor floor_divide fmax fmin fmod "
        "frac ge gcd greater greater_equal gt hardtanh heaviside hypot i0 isfinite isinf isnan isneginf isposinf le "
        "less less_equal lgamma log log10 log1p log2 logical_and logical_not logical_or logical_xor logit lt "
        "maximum minimum mul multiply nan_to_num ne neg negative nextafter not_equal polygamma positive pow rad2deg "
        "reciprocal relu relu6 remainder round rsqrt rsub sgn sigmoid sign signbit sin sinc sinh special_erf "
        "special_expit special_log1p special_xlogy sqrt square sub subtract tan tanh threshold true_divide trunc "
        "xlogy fix bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift "
        "__and__ __or__ __xor__ __lshift__ __rshift__ __iand__ __ior__ __ixor__ float_power ldexp special_i0 "
        "conj_physical"
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
        "nanmean nanmedian nansum prod sum logcumsumexp aminmax segment_reduce unfold_backward _sparse_sum"
    ),
    2: "dist frobenius_norm linalg_vector_norm norm",
    3: "huber_loss l1_loss mse_loss smooth_l1_loss",
    4: "logsumexp std std_mean var var_mean renorm",
    9: "binary_cross_entropy",  # -(t log x + (1 - t) log(1 - x)), and a sum
    10: "binary_cross_entropy_with_logits",  # max(x, 0) - x t + log(1 + exp(-|x|)), and a sum
}


def likelihood(call: Call) -> Work:
    """``[N, C, *] [N, *]``: an addition for each class that is looked up."""
    return Work(flops=call.args[1].numel)


def bags(call: Call) -> Work:
    """``[V, D] [indices] [bags] -> [bags, D]``: an addition for each row that is looked up."""
    return Work(flops=call.args[1].numel * call.args[0].shape[-1])


FORMULAS: Table = {
    "aten.max.other": partial(per_output, 1),
    "aten.min.other": partial(per_output, 1),
    "aten.nll_loss2d_forward": likelihood,
    "aten.nll_loss_forward": likelihood,
    **{f"aten.{name}": bags for name in ("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")},
    **{f"aten.{name}": partial(per_output, flops) for flops, names in _PER_OUTPUT.items() for name in names.split()},
    **{f"aten.{name}": partial(reduction, flops) for flops, names in _PER_INPUT.items() for name in names.split()},
}
