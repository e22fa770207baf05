"""Work of elementwise operators, per output, and of reductions, per input."""

from __future__ import annotations

import pytest
from checks.calls import Case, c64, call, check, f32

X, SIZE = f32(2, 4, 9), 2 * 4 * 9

CASES: dict[str, Case] = {
    "add": (call("add", X, X, out=X), 0, SIZE),
    "mul, broadcast": (call("mul", f32(9), X, out=X), 0, SIZE),
    "relu": (call("relu", X, out=X), 0, SIZE),
    "exp": (call("exp", X, out=X), 0, SIZE),
    "addcmul": (call("addcmul", X, X, X, out=X), 0, 2 * SIZE),
    "elu": (call("elu", X, out=X), 0, 3 * SIZE),
    "silu": (call("silu", X, out=X), 0, 4 * SIZE),
    "gelu": (call("gelu", X, out=X), 0, 5 * SIZE),
    "sum": (call("sum", X, (1,), out=f32(2, 9)), 0, SIZE),
    "mean": (call("mean", X, out=f32()), 0, SIZE),
    "norm": (call("linalg_vector_norm", X, 2, out=f32()), 0, 2 * SIZE),
    "variance": (call("var", X, (1,), out=f32(2, 9)), 0, 4 * SIZE),
    "cross product": (call("linalg_cross", f32(5, 3), f32(5, 3), out=f32(5, 3)), 0, 5 * (6 + 3)),
    "likelihood": (call("nll_loss_forward", f32(8, 4), f32(8), out=(f32(), f32())), 0, 8),
    "cross entropy of two": (call("binary_cross_entropy_with_logits", X, X, out=f32()), 0, 10 * SIZE),
    # Both parts; four products and two sums; a product, the square of the length and two divisions.
    "complex sum": (call("add", c64(9), c64(9), out=c64(9)), 0, 2 * 9),
    "complex product": (call("mul", c64(9), c64(9), out=c64(9)), 0, 6 * 9),
    "complex number by a real one": (call("mul", c64(9), f32(9), out=c64(9)), 0, 2 * 9),
    "complex ratio": (call("div", c64(9), c64(9), out=c64(9)), 0, (6 + 3 + 2) * 9),
    "sum of complex numbers": (call("sum", c64(9), out=c64()), 0, 2 * 9),
    "accumulated": (call("scatter_add", f32(5), 0, f32(9), f32(9), out=f32(5)), 0, 9),
    "put": (call("index_put", X, (f32(5),), f32(5, 4, 9), out=X), 0, 0),
    "put, and added": (call("index_put", X, (f32(5),), f32(5, 4, 9), True, out=X), 0, 5 * 4 * 9),
    "dropped in training": (call("dropout", X, 0.5, True, out=X), 0, 2 * SIZE),
    "dropped with its mask": (call("native_dropout", X, 0.5, True, out=(X, X)), 0, 2 * SIZE),
    "not dropped": (call("dropout", X, 0.5, False, out=X), 0, 0),
    "dropped with probability 0": (call("dropout", X, 0.0, True, out=X), 0, 0),
    "trace": (call("trace", f32(5, 3), out=f32()), 0, 3),
    "gamma of order 3": (call("mvlgamma", X, 3, out=X), 0, 3 * 3 * SIZE),
    "soft margin": (call("soft_margin_loss", X, X, out=f32()), 0, 6 * SIZE),
    "margin": (call("multi_margin_loss", f32(8, 4), f32(8), out=f32()), 0, 4 * 8 * 4),
    "margins of labels": (call("multilabel_margin_loss_forward", f32(8, 4), f32(8, 4), 1, out=(f32(),)), 0, 4 * 8 * 16),
    "bessel": (call("special_bessel_j0", X, out=X), 0, SIZE),
    "empty": (call("relu", f32(0, 9), out=f32(0, 9)), 0, 0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
