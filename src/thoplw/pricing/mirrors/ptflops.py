"""``ptflops``: layers by exact class, and functions too, so that a layer that calls such a function counts twice.

Facts are from its ``pytorch_ops.py`` and ``pytorch_engine.py`` (backend ``pytorch``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from thoplw.pricing.convention import Convention, ModulePrice, Price
from thoplw.pricing.mirrors.common import PRODUCTS_INSIDE, blind_but
from thoplw.pricing.mirrors.layers import LAYERS, layers
from thoplw.pricing.mirrors.multihead import heads, is_one_kernel
from thoplw.pricing.parameters import trainable
from thoplw.pricing.price import find_price
from thoplw.record import ZERO, Call, ModuleCall, TensorSpec, Work

Rule = Callable[[ModuleCall], int]

# -- functions that it replaces ----------------------------------------------------------------------------------------


def _per_input(call: Call) -> Work:
    return Work(macs=call.args[0].numel)


def _interpolation(call: Call) -> Work:
    """Per output element: of the size asked for, or of the input times the factors, which may come out broken."""
    factors = call.args[-1] if call.overload == "vec" else None
    if factors:
        return Work(macs=int(call.args[0].numel * math.prod(factors)))
    return Work(macs=call.outputs[0].numel)


def _product(call: Call) -> Work:
    return Work(macs=call.args[0].numel * call.args[1].shape[-1])


def _added_product(call: Call) -> Work:
    added, left, right = call.args[:3]
    return Work(macs=left.numel * right.shape[-1] + (added.numel if call.kwargs.get("beta", 1) else 0))


_FUNCTIONS = {
    **{
        f"aten.{name}": _per_input
        for name in (
            "relu prelu elu relu6 gelu silu avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d "
            "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
            "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
        ).split()
    },
    **{
        f"aten.{name}": _interpolation
        for name in (
            "upsample_nearest1d upsample_nearest2d upsample_nearest3d "
            "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d "
            "upsample_linear1d upsample_bilinear2d _upsample_bilinear2d_aa upsample_trilinear3d "
            "upsample_bicubic2d _upsample_bicubic2d_aa"
        ).split()
    },
    "aten.mm": _product,
    "aten.bmm": _product,
    "aten.addmm": _added_product,
    "aten.baddbmm": _added_product,
}

#: Seen as functions, unseen as an operator (``@``) or a method (``x.softmax``), which models write more often.
_SEEN_AS_FUNCTIONS = {"aten.matmul": _product, "aten.softmax": _per_input}

# -- layers that it hooks ----------------------------------------------------------------------------------------------


def _layer(rule: Rule) -> ModulePrice:
    """A layer, and the functions that are called in it."""
    return lambda seen: Work(macs=rule(seen)) + _functions(seen)


def _functions(seen: ModuleCall, prices: Mapping[str, Price] = _FUNCTIONS) -> Work:
    found = (find_price(call, prices) for call in seen.calls)
    return sum((price(call) for price, call in zip(found, seen.calls, strict=True) if callable(price)), start=ZERO)


def _all_functions(seen: ModuleCall) -> Work:
    """In classes that are known to call functions."""
    return _functions(seen, {**_FUNCTIONS, **_SEEN_AS_FUNCTIONS})


def _input(seen: ModuleCall) -> int:
    return seen.inputs[0].numel


def _output(seen: ModuleCall) -> int:
    return seen.outputs[0].numel


def _norm(seen: ModuleCall) -> int:
    """An affine batch, instance or group norm twice; a layer norm calls it by another name."""
    return seen.inputs[0].numel * (2 if seen.weight("weight") else 1)


def _linear(seen: ModuleCall) -> int:
    x, bias = seen.inputs[0], seen.weight("bias")
    width = seen.outputs[0].shape[-1]
    return (x.shape[-1] * width + (width if bias else 0)) * math.prod(x.shape[:-1])


def _convolution(seen: ModuleCall) -> int:
    return _window(seen, seen.outputs[0].shape[2:])


def _transposed_convolution(seen: ModuleCall) -> int:
    return _window(seen, seen.inputs[0].shape[2:])


def _window(seen: ModuleCall, positions: tuple[int, ...]) -> int:
    """The weight at every position, and the bias."""
    call = next(call for call in seen.calls if call.target.startswith("aten.conv"))
    weight: TensorSpec = call.args[1]
    bias = seen.outputs[0].numel if isinstance(call.arg(2), TensorSpec) else 0
    return weight.numel * seen.inputs[0].shape[0] * math.prod(positions) + bias


def _deformable_convolution(seen: ModuleCall) -> int:
    """At every place of the kernel, 24 for the interpolation, and 1 for a mask."""
    (out, channels, *kernel), x = seen.info.parameters[0].spec.shape, seen.inputs[0]
    extra = 24 + (len(seen.inputs) == 3)
    bias = seen.outputs[0].numel if seen.weight("bias") else 0
    places = math.prod(kernel) * x.shape[0] * math.prod(seen.outputs[0].shape[2:])
    return places * (out * channels + extra) + bias


def _upsampling(seen: ModuleCall) -> int:
    """The work of the first sample."""
    return math.prod(seen.outputs[0].shape[1:])


def _recurrent(gates: int, extra: int) -> ModulePrice:
    """At every step the forward weights and biases, and some operations more; twice if bidirectional."""

    def rule(seen: ModuleCall) -> int:
        specs = {weight.name: weight.spec for weight in seen.info.parameters}
        both = any(name.endswith("_reverse") for name in specs)
        ahead = {name: spec for name, spec in specs.items() if not name.endswith("_reverse")}
        layers = max(sum(name.startswith("weight_hh") for name in ahead), 1)
        hidden = next(spec.shape[0] for name, spec in ahead.items() if name.startswith("weight_hh")) // gates
        steps = math.prod(seen.inputs[0].shape[: 1 if "weight_hh" in specs else 2])
        counted = sum(spec.numel for name, spec in ahead.items() if not name.startswith("weight_hr"))
        return (counted + layers * extra * hidden) * steps * (2 if both else 1)

    return _layer(rule)


def _multihead(seen: ModuleCall) -> Work | None:
    """Projections, scores with a scale and a softmax, weighted values; patched functions that run count again."""
    found = heads(seen)
    if found is None:
        return None
    samples, many, queries, keys = found
    width, key_width, value_width = (spec.shape[-1] for spec in seen.inputs[:3])
    flops = queries * width * (1 + width) + keys * (key_width**2 + value_width**2)
    if seen.weight("in_proj_bias"):
        flops += (queries + 2 * keys) * width
    flops += queries * keys * many * (width // many + 1 + value_width // many)
    flops += queries * value_width * (value_width + 1)
    return Work(macs=samples * flops) + (ZERO if is_one_kernel(seen) else _all_functions(seen))


def _free(seen: ModuleCall) -> Work:
    return ZERO


def _timm_attention(seen: ModuleCall) -> Work | None:
    """Attention alone: its own rule replaces those of the linear layers inside."""
    call = seen.call_of("aten.scaled_dot_product_attention", "aten.matmul")
    if call is None:
        return None
    query = call.args[0]
    _, many, positions, _ = query.shape
    samples = query.shape[0]
    flops = query.numel + samples * many * positions**2 * (2 * query.shape[-1] + 1)
    return Work(macs=flops) + _functions(seen)


CONVENTION = Convention(
    "ptflops",
    blind_but(
        {
            **dict.fromkeys(PRODUCTS_INSIDE),
            **_FUNCTIONS,
            **dict.fromkeys(_SEEN_AS_FUNCTIONS),
            **dict.fromkeys(layers("Conv1d Conv2d Conv3d"), _layer(_convolution)),
            **dict.fromkeys(layers("ConvTranspose1d ConvTranspose2d ConvTranspose3d"), _layer(_transposed_convolution)),
            **dict.fromkeys(layers("ReLU PReLU ELU LeakyReLU ReLU6 GELU"), _layer(_output)),
            **dict.fromkeys(layers("MaxPool1d MaxPool2d MaxPool3d"), _layer(_input)),
            **dict.fromkeys(layers("AvgPool1d AvgPool2d AvgPool3d"), _layer(_input)),
            **dict.fromkeys(layers("AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d"), _layer(_input)),
            **dict.fromkeys(layers("AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d"), _layer(_input)),
            **dict.fromkeys(layers("BatchNorm1d BatchNorm2d BatchNorm3d GroupNorm"), _layer(_norm)),
            **dict.fromkeys(layers("InstanceNorm1d InstanceNorm2d InstanceNorm3d"), _layer(_norm)),
            LAYERS["LayerNorm"]: _layer(_input),
            LAYERS["Linear"]: _layer(_linear),
            LAYERS["Upsample"]: _layer(_upsampling),
            **dict.fromkeys(layers("RNN RNNCell"), _recurrent(gates=1, extra=1)),
            **dict.fromkeys(layers("GRU GRUCell"), _recurrent(gates=3, extra=7)),
            **dict.fromkeys(layers("LSTM LSTMCell"), _recurrent(gates=4, extra=10)),
            LAYERS["MultiheadAttention"]: _multihead,
            **dict.fromkeys(layers("Softmax Softmax2d"), _all_functions),
            "torchvision.models.swin_transformer:ShiftedWindowAttention": _all_functions,
            # keeps the function that it was made with, which is not the replaced one
            "transformers.activations:GELUActivation": _free,
            "torchvision.ops.deform_conv:DeformConv2d": _layer(_deformable_convolution),
            "timm.layers.attention:Attention": _timm_attention,
        }
    ),
    unit="MAC",
    parameters=trainable,
    mirrors="ptflops 0.7.5",
    whole_only=True,
    subclasses=False,
)
