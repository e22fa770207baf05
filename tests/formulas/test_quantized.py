"""Work of quantised operators: that of the float layer, whose weight stands packed among the arguments.

``tests/capture/test_packed.py`` holds whole quantised models against the float models that they were made from.
"""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from checks.calls import Case, call, check, f32

from thoplw.formulas import FORMULAS

N, C, O = 2, 4, 6  # noqa: E741


def packed_operators() -> list[tuple[str, Any]]:
    """Every operator with a formula that takes a packed weight, and its schema."""
    return [
        (target, schema)
        for schema in torch._C._jit_get_all_schemas()
        if (target := schema.name.replace("::", ".")).startswith("quantized.") and FORMULAS.get(target)
        if any("PackedParams" in str(argument.type) for argument in schema.arguments)
    ]


#: The formulas look for the packed weight in the second place only.
ELSEWHERE = {
    "quantized.conv2d_add",
    "quantized.conv2d_add_relu",
    "quantized.linear_with_input_q_dq_qweight_dq_output_fp32",
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("name", "schema"),
    [
        pytest.param(
            name,
            schema,
            id=f"{name}.{schema.overload_name}",
            marks=pytest.mark.xfail(raises=TypeError, strict=True, reason="no packed weight in second place")
            if name in ELSEWHERE
            else (),
        )
        for name, schema in packed_operators()
    ],
)
def test_a_packed_weight_is_multiplied_wherever_it_stands(name: str, schema: Any, bias: bool) -> None:
    if "linear" in name:
        x, weight, out = f32(N, 5, C), f32(O, C), f32(N, 5, O)
        macs = N * 5 * C * O
    else:  # packed weights of one dimension have two
        rank = int(next(digit for digit in name if digit.isdigit()))
        kernel, spread = (3,) * max(rank, 2), "transpose" in name
        image, larger = (5, 6, 7)[:rank], (7, 8, 9)[:rank]
        smaller, wider = f32(N, C, *image), f32(N, O, *larger)
        x, out = (smaller, wider) if spread else (f32(N, C, *larger), f32(N, O, *image))
        weight = f32(C, O, *kernel) if spread else f32(O, C, *kernel)
        macs = N * C * O * prod(image) * prod(kernel)
    packed = (weight, f32(O) if bias else None, (1, 1), (0, 0), (1, 1), 1)
    arguments = [
        packed if "PackedParams" in str(each.type) else x if str(each.type) == "Tensor" else 1
        for each in schema.arguments
    ]
    check((call(name, *arguments, out=out), macs, 2 * macs + (out.numel if bias else 0)))


X = f32(N, C, 8, 9)
ELEMENTS = N * C * 8 * 9

CASES: dict[str, Case] = {
    "grouped convolution": (
        call("quantized.conv2d", X, (f32(O, C // 2, 3, 3), None, 1, 0, 1, 2), 1.0, 0, out=f32(N, O, 6, 7)),
        N * O * 6 * 7 * (C // 2) * 9,
        2 * N * O * 6 * 7 * (C // 2) * 9,
    ),
    "grouped transposed convolution": (
        call("quantized.conv_transpose2d", X, (f32(C, O // 2, 3, 3), None, 1, 0, 1, 2), 1.0, 0, out=f32(N, O, 10, 11)),
        ELEMENTS * (O // 2) * 9,
        2 * ELEMENTS * (O // 2) * 9,
    ),
    "sum": (call("quantized.add", X, X, 1.0, 0, out=X), 0, ELEMENTS),
    "sum with a number": (call("quantized.add_scalar", X, 2, out=X), 0, ELEMENTS),
    "product": (call("quantized.mul", X, X, 1.0, 0, out=X), 0, ELEMENTS),
    # A factor and an offset for each channel: Jacob et al., "Quantization and Training" (2018), section 3.2.
    "batch norm, folded": (call("quantized.batch_norm2d", X, *[f32(C)] * 4, 1e-5, 1.0, 0, out=X), 0, 2 * ELEMENTS),
    # Maximum, difference, exponential, sum, quotient.
    "softmax": (call("quantized.softmax", X, 1, 1.0, 0, out=X), 0, 5 * ELEMENTS),
    # Mean, difference, variance (2), quotient; scale and shift: Ba et al., "Layer Normalization" (2016), equation 3.
    "layer norm": (call("quantized.layer_norm", X, (9,), f32(9), f32(9), 1e-5, 1.0, 0, out=X), 0, 7 * ELEMENTS),
    # q = x / scale + zero_point, and back: Jacob et al., equation 1.
    "to integers": (call("quantize_per_tensor", X, 1.0, 0, "torch.qint8", out=X), 0, 2 * ELEMENTS),
    "from integers": (call("dequantize", X, out=X), 0, 2 * ELEMENTS),
    # Both, one after the other; the observer compares twice.
    "to integers and back": (
        call("fake_quantize_per_tensor_affine_cachemask", X, 1.0, 0, 0, 255, out=(X, X)),
        0,
        4 * ELEMENTS,
    ),
    "observed, to integers and back": (
        call("_fused_moving_avg_obs_fq_helper", X, *[f32(1)] * 6, 0.01, 0, 255, -1, out=(X, X)),
        0,
        6 * ELEMENTS,
    ),
    "joined": (call("quantized.cat_relu", (X, X), 1, 1.0, 0, out=f32(N, 2 * C, 8, 9)), 0, 2 * ELEMENTS),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
