"""Shape rules of quantised operators: they have no meta kernels, so that the real ones say what is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from thoplw.capture.packed import geometry_of, weights_of
from thoplw.capture.torch_names import name_of
from thoplw.record import TensorSpec
from thoplw.shapes import RULES

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif("fbgemm" not in torch.backends.quantized.supported_engines, reason="needs packed weights"),
]

Q = torch.ops.quantized
OUT = (1.0, 0)  # scale and zero point of what comes out


def q(*shape: int, dtype: torch.dtype = torch.quint8) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.rand(shape), 1.0, 0, dtype)


def convolution(rank: int, *options: list[int], groups: int = 1) -> Any:
    weight = q(6, 4 // groups, *(3,) * rank, dtype=torch.qint8)
    return getattr(Q, f"conv{rank}d_prepack")(weight, None, *options, groups)


def linear() -> Any:
    return Q.linear_prepack(q(5, 4, dtype=torch.qint8), None)


#: Operator, and what it is called with.
CASES: dict[str, tuple[str, Callable[[], tuple[Any, ...]]]] = {
    "plain": ("quantized.conv2d.new", lambda: (q(2, 4, 8, 9), convolution(2, [1, 1], [0, 0], [1, 1]), *OUT)),
    "with options": (
        "quantized.conv2d_relu.new",
        lambda: (q(2, 4, 8, 9), convolution(2, [2, 1], [1, 0], [1, 2], groups=2), *OUT),
    ),
    "of three dimensions": (
        "quantized.conv3d.new",
        lambda: (q(2, 4, 5, 6, 7), convolution(3, [1] * 3, [1] * 3, [1] * 3), *OUT),
    ),
    "linear": ("quantized.linear.default", lambda: (q(2, 3, 4), linear(), *OUT)),
    "linear, dynamic": ("quantized.linear_dynamic.default", lambda: (torch.rand(2, 4), linear())),
    "sum": ("quantized.add.default", lambda: (q(2, 3), q(2, 3), *OUT)),
    "product": ("quantized.mul.default", lambda: (q(2, 3), q(2, 3), *OUT)),
    "activation": ("quantized.hardswish.default", lambda: (q(2, 3), *OUT)),
    "joined": ("quantized.cat.default", lambda: ([q(2, 3, 4), q(2, 5, 4)], 1, *OUT)),
    "joined, from behind": ("quantized.cat.default", lambda: ([q(2, 3), q(2, 5)], -1, *OUT)),
    "to integers": ("aten.quantize_per_tensor.default", lambda: (torch.rand(2, 3), 1.0, 0, torch.qint8)),
    "from integers": ("aten.dequantize.self", lambda: (q(2, 3),)),
}


def spec(tensor: torch.Tensor) -> TensorSpec:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorSpec(shape=tuple(tensor.shape), dtype=dtype, strides=tuple(tensor.stride()))


def frozen(value: Any) -> Any:
    """Arguments as rules take them."""
    if isinstance(value, torch.Tensor):
        return spec(value)
    if isinstance(value, list):
        return tuple(map(frozen, value))
    if isinstance(value, torch.ScriptObject):
        return (*map(frozen, weights_of(value)), *geometry_of(value))
    return name_of(value) if isinstance(value, torch.dtype) else value


S, Z = torch.full((3,), 0.1), torch.zeros(3, dtype=torch.int32)
LEARNT = S[:1], torch.zeros(1), 0, 255, 1.0
FAKE: dict[str, tuple[Any, ...]] = {
    "fake_quantize_per_tensor_affine_cachemask": (0.1, 0, 0, 255),
    "fake_quantize_per_channel_affine_cachemask": (S, Z, 1, 0, 255),
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams": (S[:1], Z[:1], torch.ones(1, dtype=torch.int64), 0, 9),
    "_fake_quantize_learnable_per_tensor_affine": LEARNT,
    "_fake_quantize_learnable_per_channel_affine": (S, torch.zeros(3), 1, 0, 255, 1.0),
    "_fake_quantize_learnable_per_tensor_affine_backward": LEARNT,
    "_fake_quantize_learnable_per_channel_affine_backward": (S, torch.zeros(3), 1, 0, 255, 1.0),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", FAKE)
def test_fake_quantisation_answers_as_the_kernel(name: str, layout: torch.memory_format) -> None:
    x = torch.rand(2, 3, 4, 5).to(memory_format=layout)
    arguments = (*[x] * (2 if "backward" in name else 1), *FAKE[name])
    real = getattr(torch.ops.aten, name)(*arguments)
    answer = RULES[f"aten.{name}"](*map(frozen, arguments))
    assert answer == (tuple(map(spec, real)) if isinstance(real, tuple) else spec(real))


@pytest.mark.parametrize("case", CASES)
def test_a_rule_answers_as_the_kernel(case: str) -> None:
    target, make = CASES[case]
    arguments = make()
    library, name, overload = target.split(".")
    real = getattr(getattr(getattr(torch.ops, library), name), overload)(*arguments)
    answer = RULES[f"{library}.{name}"](*map(frozen, arguments))
    assert (answer.shape, answer.dtype) == (tuple(real.shape), str(real.dtype).removeprefix("torch."))


def test_a_linear_layer_of_another_width_is_left_to_the_kernel() -> None:
    assert RULES["quantized.linear"](spec(q(2, 3)), frozen(linear())) is None
