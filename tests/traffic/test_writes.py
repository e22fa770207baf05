"""What writes to a part of a tensor moves that part; what makes a tensor reads none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from checks.calls import call, f32

from thoplw.record import Call, TensorSpec, Traffic
from thoplw.traffic import traffic

#: Bytes of a number.
F, INT = 4, 8
N, K = 5, 3


def ids(*shape: int) -> TensorSpec:
    return replace(f32(*shape), dtype="int64")


X = f32(N, K)

CASES: dict[str, tuple[Call, int, int]] = {
    # Writes in place.
    "copy": (call("copy_", X, f32(N, 1), out=X), N * F, N * K * F),
    "fill": (call("fill_", X, 0.0, out=X), 0, N * K * F),
    "index copy": (call("index_copy_", f32(100, K), 0, ids(N), X, out=f32(100, K)), N * INT + N * K * F, N * K * F),
    "index add": (call("index_add_", f32(100, K), 0, ids(N), X, out=f32(100, K)), N * INT + 2 * N * K * F, N * K * F),
    "index put": (call("index_put_", f32(100, K), (ids(N),), X, out=f32(100, K)), N * INT + N * K * F, N * K * F),
    "index put, second": (
        call("index_put_", f32(7, 100), (None, ids(N)), f32(7, N), out=f32(7, 100)),
        N * INT + 7 * N * F,
        7 * N * F,
    ),
    "index fill": (call("index_fill_", f32(100, K), 0, ids(N), 0, out=f32(100, K)), N * INT, N * K * F),
    "scatter": (call("scatter_", f32(N, 100), 1, ids(N, K), X, out=f32(N, 100)), N * K * (INT + F), N * K * F),
    "scatter a number": (call("scatter_", f32(N, 100), 1, ids(N, K), 1, out=f32(N, 100)), N * K * INT, N * K * F),
    "scatter add": (call("scatter_add_", f32(N, 9), 1, ids(N, K), X, out=f32(N, 9)), N * K * (INT + 2 * F), N * K * F),
    # New tensors.
    "empty": (call("empty", (N, K), out=X), 0, 0),
    "zeros": (call("zeros", (N, K), out=X), 0, N * K * F),
    "zeros like": (call("zeros_like", X, out=X), 0, N * K * F),
    # Parameters, both moments and a step are read with the gradient; all but the gradient are written.
    "adam": (
        Call(target="aten._fused_adam_", args=((X,), (X,), (X,), (X,), (), (f32(),)), output=None),
        4 * N * K * F + F,
        3 * N * K * F,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bytes(name: str) -> None:
    done, read, written = CASES[name]
    assert traffic(done) == Traffic(read=read, written=written)
