"""What operators move that have no rule: every input is read once, every output is written once."""

from __future__ import annotations

from fractions import Fraction

import pytest
from checks.calls import call, f32

from thoplw.record import Call, TensorSpec, Traffic
from thoplw.traffic import elements, traffic

#: Bytes of a number.
F, INT = 4, 8
N, K, M = 5, 3, 4


def spec(shape: tuple[int, ...], strides: tuple[int, ...] | None = None, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(shape=shape, dtype=dtype, strides=f32(*shape).strides if strides is None else strides)


def ids(*shape: int) -> TensorSpec:
    return spec(shape, dtype="int64")


def half(*shape: int) -> TensorSpec:
    return spec(shape, dtype="bfloat16")


X, Y = f32(N, K), f32(N, M)

CASES: dict[str, tuple[Call, int, int]] = {
    # Inputs and outputs, once each.
    "add": (call("add", X, X, out=X), 2 * N * K * F, N * K * F),
    "add a number": (call("add", X, 1, out=X), N * K * F, N * K * F),
    "in place": (call("add_", X, X, out=X), 2 * N * K * F, N * K * F),
    "linear": (call("linear", X, f32(M, K), f32(M), out=Y), (N * K + M * K + M) * F, N * M * F),
    "cat": (call("cat", (X, X), 1, out=f32(N, 2 * K)), 2 * N * K * F, 2 * N * K * F),
    "attention": (
        call(
            "scaled_dot_product_attention", half(2, 8, 1, 4), half(2, 2, 9, 4), half(2, 2, 9, 4), out=half(2, 8, 1, 4)
        ),
        2 * (2 * 8 * 4 + 2 * 2 * 2 * 9 * 4),
        2 * 2 * 8 * 4,
    ),
    "convert": (call("to", X, "bfloat16", out=half(N, K)), N * K * F, N * K * 2),
    "a custom operator": (Call(target="mine.op", args=(X,), output=Y), N * K * F, N * M * F),
    "two results": (call("sort", X, out=(X, ids(N, K))), N * K * F, N * K * (F + INT)),
    "lists": (
        Call(target="aten._foreach_add_", args=((X, Y), (X, Y)), output=None),
        2 * N * (K + M) * F,
        N * (K + M) * F,
    ),
    "no rows for a matrix": (call("linear", f32(0, K), f32(M, K), out=f32(0, M)), 0, 0),
    # Dimensions that are broadcast count once, and windows that overlap as what they cover.
    "expanded": (call("mul", X, spec((N, K), (0, 1)), out=X), (N * K + K) * F, N * K * F),
    "windows": (call("sum", spec((8, 3), (1, 1)), out=f32(8)), 10 * F, 8 * F),
    "an output that is given": (
        Call(target="aten.add", overload="out", args=(X, X), kwargs={"out": X}, output=X),
        2 * N * K * F,
        N * K * F,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bytes(name: str) -> None:
    done, read, written = CASES[name]
    assert traffic(done) == Traffic(read=read, written=written)


@pytest.mark.parametrize(
    ("tensor", "count"),
    [
        (spec((N, K)), N * K),
        (spec((N, K), (0, 1)), K),
        (spec((N, 1, K), (K, 0, 1)), N * K),
        (spec((8, 3), (1, 1)), 10),
        (spec((0, K)), 0),
        (spec(()), 1),
        (TensorSpec(shape=(10, 10), dtype="float32", strides=(), density=Fraction(3, 100)), 3),
    ],
)
def test_distinct_elements(tensor: TensorSpec, count: int) -> None:
    assert elements(tensor) == count
