"""Quantised layers: the multiply-accumulates of the float layer.

A packed weight stands in records as a tuple: weight, bias, and of a convolution its geometry.
"""

from __future__ import annotations

import math
from functools import partial

from thoplw.formulas.common import Table, contraction, elements, per_output
from thoplw.record import Call, Work


def convolution(call: Call) -> Work:
    """``[N, C, *in]`` with ``[O, C / groups, *kernel]`` packed, ``-> [N, O, *out]``."""
    weight, bias = call.args[1][:2]
    return contraction(call, elements(call) * math.prod(weight.shape[1:]), elements(call) if bias else 0)


def transposed(call: Call) -> Work:
    """``[N, C, *in]`` with ``[C, O / groups, *kernel]`` packed, ``-> [N, O, *out]``."""
    weight, bias = call.args[1][:2]
    return contraction(call, call.args[0].numel * math.prod(weight.shape[1:]), elements(call) if bias else 0)


def linear(call: Call) -> Work:
    """``[*, K]`` with ``[M, K]`` packed, ``-> [*, M]``."""
    weight, bias = call.args[1][:2]
    return contraction(call, elements(call) * weight.shape[1], elements(call) if bias else 0)


def fake(flops: int, call: Call) -> Work:
    """``[*] -> [*]``, and a mask: to integers and back."""
    return Work(flops=flops * call.args[0].numel)


_CONVOLUTIONS = (
    "conv1d conv1d_relu conv2d conv2d_add conv2d_add_relu conv2d_relu conv3d conv3d_relu conv1d_dynamic conv2d_dynamic "
    "conv3d_dynamic"
)
_TRANSPOSED = (
    "conv_transpose1d conv_transpose2d conv_transpose3d conv_transpose1d_dynamic conv_transpose2d_dynamic "
    "conv_transpose3d_dynamic"
)
_LINEAR = (
    "linear linear_relu linear_leaky_relu linear_tanh linear_dynamic linear_relu_dynamic linear_dynamic_fp16 "
    "linear_relu_dynamic_fp16 linear_with_input_q_dq_qweight_dq_output_fp32"
)
#: Operations per output element.
_POINTWISE = {
    1: "add add_relu add_scalar add_scalar_relu mul mul_relu mul_scalar mul_scalar_relu celu elu hardswish leaky_relu "
    "relu6 sigmoid threshold prelu",
    2: "batch_norm batch_norm1d batch_norm1d_relu batch_norm2d batch_norm2d_relu batch_norm3d batch_norm3d_relu",
    5: "softmax",
    7: "layer_norm group_norm instance_norm",
}

FORMULAS: Table = {
    **{f"quantized.{name}": convolution for name in _CONVOLUTIONS.split()},
    **{f"quantized.{name}": transposed for name in _TRANSPOSED.split()},
    **{f"quantized.{name}": linear for name in _LINEAR.split()},
    **{
        f"quantized.{name}": partial(per_output, flops) for flops, names in _POINTWISE.items() for name in names.split()
    },
    # a product and an addition for each element
    "aten.quantize_per_tensor": partial(per_output, 2),
    "aten.quantize_per_tensor_dynamic": partial(per_output, 2),
    "aten.quantize_per_channel": partial(per_output, 2),
    "aten.dequantize": partial(per_output, 2),
    # the last also looks for the least and the greatest element
    "aten.fake_quantize_per_tensor_affine_cachemask": partial(fake, 4),
    "aten.fake_quantize_per_channel_affine_cachemask": partial(fake, 4),
    "aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams": partial(fake, 4),
    "aten._fake_quantize_learnable_per_tensor_affine": partial(fake, 4),
    "aten._fake_quantize_learnable_per_channel_affine": partial(fake, 4),
    "aten._fused_moving_avg_obs_fq_helper": partial(fake, 4 + 2),
    "quantized.cat": None,
    "quantized.cat_relu": partial(per_output, 1),
}
