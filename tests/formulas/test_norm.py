"""Work of norms and softmax, per element."""

from __future__ import annotations

import pytest
from checks.calls import Case, call, check, f32

X, C = f32(2, 4, 8, 9), f32(4)
SIZE = 2 * 4 * 8 * 9

CASES: dict[str, Case] = {
    "batch norm": (call("batch_norm", X, C, C, C, C, False, 0.1, 1e-5, True, out=X), 0, 4 * SIZE),
    "batch norm, not affine": (call("batch_norm", X, None, None, C, C, False, 0.1, 1e-5, True, out=X), 0, 2 * SIZE),
    "batch norm of its own statistics": (
        call("batch_norm", X, C, C, C, C, True, 0.1, 1e-5, True, out=X),
        0,
        7 * SIZE,
    ),
    "batch norm without any others": (
        call("_native_batch_norm_legit", X, None, None, True, 0.1, 1e-5, out=(X, C, C), overload="no_stats"),
        0,
        5 * SIZE,
    ),
    "layer norm": (call("layer_norm", X, (9,), f32(9), f32(9), out=X), 0, 7 * SIZE),
    "layer norm, not affine": (call("layer_norm", X, (9,), out=X), 0, 5 * SIZE),
    "group norm": (call("group_norm", X, 2, C, C, out=X), 0, 7 * SIZE),
    "group norm, not affine": (call("group_norm", X, 2, out=X), 0, 5 * SIZE),
    "group norm kernel": (
        call("native_group_norm", X, C, C, 2, 4, 72, 2, 1e-5, out=(X, f32(2, 2), f32(2, 2))),
        0,
        7 * SIZE,
    ),
    "instance norm": (call("instance_norm", X, C, C, None, None, True, 0.1, 1e-5, True, out=X), 0, 7 * SIZE),
    "rms norm": (call("rms_norm", X, (9,), f32(9), 1e-6, out=X), 0, 4 * SIZE),
    "rms norm, not affine": (call("rms_norm", X, (9,), None, 1e-6, out=X), 0, 3 * SIZE),
    "softmax": (call("softmax", X, 1, out=X), 0, 5 * SIZE),
    "log softmax": (call("log_softmax", X, 1, out=X), 0, 5 * SIZE),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
