"""``deepspeed``: the multiply-accumulates of its flops profiler: products, convolutions and attention by function.

Facts are from its ``profiling/flops_profiler/profiler.py``.
"""

from __future__ import annotations

import math

from thoplw.pricing.convention import Convention
from thoplw.pricing.mirrors.common import PRODUCTS_INSIDE, blind_but
from thoplw.pricing.mirrors.layers import LAYERS
from thoplw.pricing.mirrors.multihead import is_one_kernel
from thoplw.pricing.parameters import every
from thoplw.record import ZERO, Call, ModuleCall, Work


def _linear(call: Call) -> Work:
    return Work(macs=call.args[0].numel * call.args[1].shape[0])


def _convolution(call: Call) -> Work:
    """The weight at every position; it takes ``same`` padding for even, and so loses a position to an even kernel."""
    x, weight = call.args[:2]
    positions = call.outputs[0].shape[2:]
    if call.arg(4) == "same":
        dilations = _each(call.arg(5, 1), len(positions))
        sizes = zip(positions, dilations, weight.shape[2:], strict=True)
        positions = tuple(size - dilation * (kernel - 1) % 2 for size, dilation, kernel in sizes)
    return Work(macs=weight.numel * x.shape[0] * math.prod(positions))


def _transposed_convolution(call: Call) -> Work:
    x, weight = call.args[:2]
    return Work(macs=weight.numel * x.shape[0] * math.prod(x.shape[2:]))


def _product(call: Call) -> Work:
    return Work(macs=call.args[0].numel * call.args[1].shape[-1])


def _added_product(call: Call) -> Work:
    return Work(macs=call.args[1].numel * call.args[2].shape[-1])


def _attention(call: Call) -> Work:
    """Scores, and values weighted by them; causal or not."""
    query, key, value = call.args[:3]
    scores = math.prod(query.shape[:-1]) * key.shape[-2]
    return Work(macs=scores * (query.shape[-1] + value.shape[-1]))


def _multihead(seen: ModuleCall) -> Work | None:
    return ZERO if is_one_kernel(seen) else None


def _each(values: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    if isinstance(values, int):
        return (values,) * rank
    return values * rank if len(values) == 1 else values


CONVENTION = Convention(
    "deepspeed",
    blind_but(
        {
            "aten.linear": _linear,
            "aten.conv1d": _convolution,
            "aten.conv2d": _convolution,
            "aten.conv3d": _convolution,
            "aten.conv_transpose1d": _transposed_convolution,
            "aten.conv_transpose2d": _transposed_convolution,
            "aten.conv_transpose3d": _transposed_convolution,
            "aten.matmul": _product,
            "aten.mm": _product,
            "aten.bmm": _product,
            "aten.addmm": _added_product,
            "aten.baddbmm": _added_product,
            "aten.scaled_dot_product_attention": _attention,
            LAYERS["MultiheadAttention"]: _multihead,
            **dict.fromkeys(PRODUCTS_INSIDE),
        }
    ),
    unit="MAC",
    parameters=every,
    mirrors="deepspeed 0.19.8",
    whole_only=True,
    subclasses=False,
)
