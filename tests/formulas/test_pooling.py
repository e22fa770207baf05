"""Work of pooling: an operation per element of a window, and a division per average."""

from __future__ import annotations

import pytest
from checks.calls import Case, call, check, f32

X, Y = f32(2, 4, 8, 9), f32(2, 4, 4, 3)
OUT = 2 * 4 * 4 * 3
SIZE = 2 * 4 * 8 * 9

CASES: dict[str, Case] = {
    "maximum": (call("max_pool2d", X, (2, 3), out=Y), 0, OUT * 6),
    "maximum, one number": (call("max_pool2d", X, 2, out=Y), 0, OUT * 2**2),
    "maximum, one number in a tuple": (call("max_pool2d", X, (2,), out=Y), 0, OUT * 2**2),
    "maximum with indices": (call("max_pool2d_with_indices", X, (2, 3), out=(Y, Y)), 0, OUT * 6),
    "average": (call("avg_pool2d", X, (2, 3), out=Y), 0, OUT * (6 + 1)),
    "average 1d": (call("avg_pool1d", f32(2, 4, 9), (3,), out=f32(2, 4, 3)), 0, 2 * 4 * 3 * (3 + 1)),
    "average 3d": (call("avg_pool3d", f32(4, 4, 4, 4), 2, out=f32(4, 2, 2, 2)), 0, 4 * 8 * (8 + 1)),
    "adaptive": (call("adaptive_avg_pool2d", X, (4, 3), out=Y), 0, SIZE + OUT),
    "adaptive, to more than came in": (call("adaptive_avg_pool2d", Y, (8, 9), out=X), 0, SIZE + SIZE),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
