"""Work of convolutions: batch 2, 4 channels in and 6 out, 8 x 9 in and 6 x 7 out."""

from __future__ import annotations

import pytest
from checks.calls import Case, c64, call, check, f32

N, C, O, OUT = 2, 4, 6, 6 * 7  # noqa: E741
X, W, B, Y = f32(N, C, 8, 9), f32(O, C, 3, 3), f32(O), f32(N, O, 6, 7)
MACS = N * O * OUT * C * 9
BIAS = N * O * OUT
SPREAD = N * C * 8 * 9 * O * 9  # every input meets every filter
WIDE = f32(N, O, 10, 11)

CASES: dict[str, Case] = {
    "plain": (call("conv2d", X, W, out=Y), MACS, 2 * MACS),
    "bias": (call("conv2d", X, W, B, out=Y), MACS, 2 * MACS + BIAS),
    "no bias": (call("conv2d", X, W, None, (1, 1), out=Y), MACS, 2 * MACS),
    "grouped": (call("conv2d", X, f32(O, C // 2, 3, 3), None, 1, 0, 1, 2, out=Y), MACS // 2, MACS),
    "depthwise": (
        call("conv2d", X, f32(C, 1, 3, 3), None, 1, 0, 1, C, out=f32(N, C, 6, 7)),
        N * C * OUT * 9,
        2 * N * C * OUT * 9,
    ),
    "no batch": (call("conv2d", f32(C, 8, 9), W, out=f32(O, 6, 7)), MACS // N, 2 * MACS // N),
    "1d": (call("conv1d", f32(N, C, 9), f32(O, C, 3), out=f32(N, O, 7)), N * O * 7 * C * 3, 2 * N * O * 7 * C * 3),
    "3d": (
        call("conv3d", f32(N, C, 3, 3, 3), f32(O, C, 2, 2, 2), out=f32(N, O, 2, 2, 2)),
        N * O * 8 * C * 8,
        2 * N * O * 8 * C * 8,
    ),
    "transposed": (call("conv_transpose2d", X, f32(C, O, 3, 3), out=WIDE), SPREAD, 2 * SPREAD),
    "transposed, grouped": (call("conv_transpose2d", X, f32(C, O // 2, 3, 3), out=WIDE), SPREAD // 2, SPREAD),
    "transposed, bias": (
        call("conv_transpose2d", X, f32(C, O, 3, 3), B, out=WIDE),
        SPREAD,
        2 * SPREAD + N * O * 10 * 11,
    ),
    # As matrix products: four real multiply-accumulates for a complex one, two real additions for a complex bias.
    "complex": (
        call("conv2d", c64(N, C, 8, 9), c64(O, C, 3, 3), c64(O), out=c64(N, O, 6, 7)),
        4 * MACS,
        8 * MACS + 2 * BIAS,
    ),
    "complex, transposed": (
        call("conv_transpose2d", c64(N, C, 8, 9), c64(C, O, 3, 3), out=c64(N, O, 10, 11)),
        4 * SPREAD,
        8 * SPREAD,
    ),
    "kernel": (call("convolution", X, W, B, (1, 1), (0, 0), (1, 1), False, (0, 0), 1, out=Y), MACS, 2 * MACS + BIAS),
    "kernel, transposed": (
        call("convolution", X, f32(C, O, 3, 3), None, (1, 1), (0, 0), (1, 1), True, (0, 0), 1, out=WIDE),
        SPREAD,
        2 * SPREAD,
    ),
    "empty batch": (call("conv2d", f32(0, C, 8, 9), W, B, out=f32(0, O, 6, 7)), 0, 0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
