"""Work of interpolation: per output element, twice the taps."""

from __future__ import annotations

import pytest
from checks.calls import Case, call, check, f32

X, Y = f32(2, 4, 8, 9), f32(2, 4, 16, 18)
OUT = 2 * 4 * 16 * 18

CASES: dict[str, Case] = {
    "nearest": (call("upsample_nearest2d", X, (16, 18), out=Y), 0, 0),
    "linear": (call("upsample_linear1d", f32(2, 4, 9), (18,), False, out=f32(2, 4, 18)), 0, 2 * 4 * 18 * 2 * 2),
    "bilinear": (call("upsample_bilinear2d", X, (16, 18), False, out=Y), 0, OUT * 2 * (4 + 2)),
    "bicubic": (call("upsample_bicubic2d", X, (16, 18), False, out=Y), 0, OUT * 2 * (16 + 4)),
    "trilinear": (
        call("upsample_trilinear3d", f32(1, 1, 2, 2, 2), (4, 4, 4), False, out=f32(1, 1, 4, 4, 4)),
        0,
        4**3 * 2 * (8 + 4 + 2),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
