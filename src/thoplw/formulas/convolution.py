"""Convolutions.

Each output element takes one multiply-accumulate per weight that it sees: Dumoulin & Visin, "A guide to convolution
arithmetic for deep learning" (2016). Padding counts like any other input, as kernels multiply with it.
"""

from __future__ import annotations

import math

from thoplw.formulas.common import Table, contraction, elements
from thoplw.record import Call, Work


def direct(call: Call) -> Work:
    """``[N, C, *in] [O, C / groups, *kernel] -> [N, O, *out]``: ``N O out C kernel / groups`` MACs."""
    weight, bias, outputs = call.args[1], call.arg(2), elements(call)
    return contraction(call, outputs * math.prod(weight.shape[1:]), outputs if bias else 0)


def transposed(call: Call) -> Work:
    """``[N, C, *in] [C, O / groups, *kernel] -> [N, O, *out]``: every input takes ``O kernel / groups`` MACs."""
    x, weight, bias = call.args[0], call.args[1], call.arg(2)
    return contraction(call, x.numel * math.prod(weight.shape[1:]), elements(call) if bias else 0)


def kernel(call: Call) -> Work:
    """The kernel behind both; its seventh argument tells which of them runs."""
    return transposed(call) if call.args[6] else direct(call)


def time_first(call: Call) -> Work:
    """``[T, N, C] [kernel, C, O] -> [T', N, O]``: a 1-d convolution in another layout."""
    weight = call.args[1]
    return contraction(call, elements(call) * weight.shape[0] * weight.shape[1], elements(call))


#: A bilinear sample, and a product with its mask.
SAMPLE_FLOPS = 13


def deformable(call: Call) -> Work:
    """``x weight offset mask bias``: a convolution, on inputs interpolated bilinearly: 6 MACs for each sampled value.

    Each output position samples ``C kernel`` values (Dai et al., "Deformable Convolutional Networks", 2017); the
    interpolation counts as floating-point operations only, the modulation (v2) as one more per sample.
    """
    x, weight = call.args[0], call.args[1]
    samples = elements(call) // weight.shape[0] * x.shape[1] * math.prod(weight.shape[2:])
    return contraction(call, elements(call) * math.prod(weight.shape[1:]), samples * SAMPLE_FLOPS + elements(call))


FORMULAS: Table = {
    **{f"aten.conv{rank}d": direct for rank in (1, 2, 3)},
    **{f"aten.conv_transpose{rank}d": transposed for rank in (1, 2, 3)},
    "aten.conv_tbc": time_first,
    "aten.convolution": kernel,
    "aten._convolution": kernel,
    "aten.convolution_overrideable": kernel,
    "aten.cudnn_convolution": direct,
    "aten.mkldnn_convolution": direct,
    "aten.thnn_conv2d": direct,
    "aten._slow_conv2d_forward": direct,
    "aten.slow_conv3d": direct,
    "aten.slow_conv3d_forward": direct,
    "aten._conv_depthwise2d": direct,
    "aten.conv_depthwise3d": direct,
    "torchvision.deform_conv2d": deformable,
}
