"""Shape rules of quantised operators, which have no meta kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes import layouts, matmul
from thoplw.shapes.common import FLOATING, QUANTISED, Shape, contiguous, laid_out

Packed = tuple[Any, ...]


def convolution(x: TensorSpec, packed: Packed, *options: Any) -> TensorSpec | None:
    """``[N, C, *in]`` with ``[O, C / groups, *kernel]`` packed, ``-> [N, O, *out]``."""
    weight, _, stride, padding, dilation, groups = packed
    plain = replace(weight, dtype=x.dtype)
    out = matmul.convolution(
        contiguous(x.shape, x.dtype), contiguous(plain.shape, x.dtype), None, stride, padding, dilation, groups
    )
    return None if out is None else contiguous(out.shape, x.dtype)


def added_convolution(x: TensorSpec, other: TensorSpec, packed: Packed, *options: Any) -> TensorSpec | None:
    """As :func:`convolution`; the second argument is added to the output."""
    return convolution(x, packed)


def linear(x: TensorSpec, packed: Packed, *options: Any) -> TensorSpec | None:
    """``[*, K]`` with ``[M, K]`` packed, ``-> [*, M]``."""
    weight = packed[0]
    return contiguous((*x.shape[:-1], weight.shape[0]), x.dtype) if x.shape[-1] == weight.shape[1] else None


def lstm(
    x: TensorSpec, state: tuple[TensorSpec, ...], packed: tuple[Packed, ...], *options: Any, **more: Any
) -> tuple[TensorSpec, ...] | None:
    """``[T, N, I] ([L, N, H] [L, N, H]) -> [T, N, H * directions] [L, N, H] [L, N, H]``."""
    if len(x.shape) != 3 or len(state) != 2 or len(options) < 5:
        return None
    width = state[0].shape[-1] * (2 if options[4] else 1)
    return contiguous((*x.shape[:2], width), x.dtype), state[0], state[1]


def quantize(x: TensorSpec, *options: Any) -> TensorSpec | None:
    """``[*] -> [*]``, quantised to the dtype that is the last argument."""
    name = options[-1].name if options else ""
    return contiguous(x.shape, name) if name in QUANTISED else None


def dequantize(x: TensorSpec) -> TensorSpec:
    """``[*] -> [*]``."""
    return contiguous(x.shape, "float32")


def fake_quantize(x: TensorSpec, *options: Any) -> TensorSpec | None:
    """``[*] -> [*]``: to integers and back."""
    return laid_out(x, layouts.preserved(x)) if x.dtype in FLOATING else None


def fake_quantize_with_mask(x: TensorSpec, *options: Any) -> tuple[TensorSpec, ...] | None:
    """``[*] -> [*] [*]``: the same, and which elements were in the range of the integers."""
    out = fake_quantize(x)
    return None if out is None else (out, replace(out, dtype="bool"))


def fake_quantize_backward(
    gradient: TensorSpec, x: TensorSpec, scale: TensorSpec, zero_point: TensorSpec, *options: Any
) -> tuple[TensorSpec, ...] | None:
    """``[*] [*] [C] [C] -> [*] [C] [C]``: the gradients of all three."""
    out = fake_quantize(x)
    return None if out is None else (out, *(contiguous(each.shape, each.dtype) for each in (scale, zero_point)))


def first(x: TensorSpec, *options: Any) -> TensorSpec:
    """``[*] ... -> [*]``."""
    return contiguous(x.shape, x.dtype)


def cat(tensors: tuple[TensorSpec, ...], dim: int, *options: Any) -> TensorSpec:
    """``[*, A, *] [*, B, *] -> [*, A + B, *]``."""
    shape: Shape = tensors[0].shape
    joined = sum(each.shape[dim] for each in tensors)
    return contiguous((*shape[:dim], joined, *shape[dim:][1:]), tensors[0].dtype)


RULES: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(
        (f"quantized.{name}" for name in "conv1d conv1d_relu conv2d conv2d_relu conv3d conv3d_relu".split()),
        convolution,
    ),
    "quantized.conv2d_add": added_convolution,
    "quantized.conv2d_add_relu": added_convolution,
    **dict.fromkeys(
        (f"quantized.{name}" for name in "linear linear_relu linear_dynamic linear_relu_dynamic".split()), linear
    ),
    **dict.fromkeys(
        (f"quantized.{name}" for name in "add add_relu add_scalar mul mul_relu mul_scalar hardswish".split()),
        first,
    ),
    "quantized.cat": cat,
    "aten.quantized_lstm": lstm,
    "aten.quantize_per_tensor": quantize,
    "aten.dequantize": dequantize,
    "aten.fake_quantize_per_tensor_affine_cachemask": fake_quantize_with_mask,
    "aten.fake_quantize_per_channel_affine_cachemask": fake_quantize_with_mask,
    "aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams": fake_quantize_with_mask,
    "aten._fake_quantize_learnable_per_tensor_affine": fake_quantize,
    "aten._fake_quantize_learnable_per_channel_affine": fake_quantize,
    "aten._fake_quantize_learnable_per_tensor_affine_backward": fake_quantize_backward,
    "aten._fake_quantize_learnable_per_channel_affine_backward": fake_quantize_backward,
}
