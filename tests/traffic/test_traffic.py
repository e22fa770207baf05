"""Bytes that operators move: a case an operator, with the algebra beside it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from checks.calls import call, f32
from checks.releases import since
from torch import nn

from thoplw.api.profile import observe
from thoplw.record import Call, TensorSpec, Traffic
from thoplw.traffic import RULES, elements, is_view, traffic

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
    # Dimensions that are broadcast count once, and windows that overlap as what they cover.
    "expanded": (call("mul", X, spec((N, K), (0, 1)), out=X), (N * K + K) * F, N * K * F),
    "windows": (call("sum", spec((8, 3), (1, 1)), out=f32(8)), 10 * F, 8 * F),
    # Views.
    "transpose": (call("transpose", X, 0, 1, out=spec((K, N), (1, K))), 0, 0),
    "reshape of a view": (call("reshape", X, (-1,), out=f32(N * K)), 0, 0),
    "reshape of a copy": (call("reshape", spec((K, N), (1, K)), (-1,), out=f32(N * K)), N * K * F, N * K * F),
    "contiguous already": (call("contiguous", X, out=X), 0, 0),
    "contiguous": (call("contiguous", spec((K, N), (1, K)), out=f32(K, N)), N * K * F, N * K * F),
    "to what it is": (call("to", X, "float32", out=X), 0, 0),
    "to a copy": (call("to", X, "float32", False, True, out=X), N * K * F, N * K * F),
    "squeeze in place": (call("squeeze_", f32(1, K), 0, out=f32(K)), 0, 0),
    "chunks": (call("chunk", X, 3, 1, out=(spec((N, 1), (K, 1)),) * 3), 0, 0),
    "dropout in inference": (call("dropout", X, 0.5, False, out=X), 0, 0),
    "dropout in training": (call("dropout", X, 0.5, True, out=X), N * K * F, N * K * F),
    # Lookups read what comes out.
    "embedding": (call("embedding", f32(100, K), ids(N), out=X), N * K * F + N * INT, N * K * F),
    "more rows than the table": (call("embedding", f32(2, K), ids(N), out=X), 2 * K * F + N * INT, N * K * F),
    "index": (call("index", f32(100, K), (ids(N),), out=X), N * K * F + N * INT, N * K * F),
    "gather": (call("gather", f32(N, 100), 1, ids(N, K), out=X), N * K * F + N * K * INT, N * K * F),
    "bags": (
        call("embedding_bag", f32(100, K), ids(7), ids(N), out=(X, ids(7), ids(N), ids(N))),
        7 * K * F + (7 + N) * INT,
        N * K * F + (7 + 2 * N) * INT,
    ),
    # Two rows meet two of the five matrices at most, seven all.
    "few rows for matrices": (
        call("_grouped_mm", f32(2, K), f32(N, K, M), ids(N), out=f32(2, M)),
        (2 * K + 2 * K * M) * F + N * INT,
        2 * M * F,
    ),
    "rows for all matrices": (
        call("_grouped_mm", f32(7, K), f32(N, K, M), ids(N), out=f32(7, M)),
        (7 * K + N * K * M) * F + N * INT,
        7 * M * F,
    ),
    "no rows for a matrix": (call("linear", f32(0, K), f32(M, K), out=f32(0, M)), 0, 0),
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


def test_a_composite_moves_what_its_parts_do() -> None:
    parts = (call("add", X, X, out=X), call("view", X, (-1,), out=f32(N * K)), call("neg", X, out=X))
    whole = Call(target="mine.composite", args=(X, X), output=X, parts=parts)
    assert traffic(whole) == Traffic(read=3 * N * K * F, written=2 * N * K * F)


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


def _schemas() -> list[Any]:
    return [each for each in torch._C._jit_get_all_schemas() if each.name.startswith("aten::")]


#: They may return what they are given, and otherwise copy: the copy counts.
_CONVERT = "_autocast_to_full_precision _autocast_to_reduced_precision _grad_sum_to_size coalesce cpu cuda pin_memory"

#: TorchScript's own.
_OF_SCRIPTS = "_ncf_unsqueeze _ncf_view as_tensor keys"

#: Of tensors with named dimensions, which old releases have, and run under no dispatch mode.
_OF_NAMES = "align_to refine_names rename"


def test_every_operator_that_returns_a_view_moves_nothing_for_it() -> None:
    """By torch's own schemas: what comes out is what went in, and nothing is written."""
    views = {
        schema.name.replace("::", ".")
        for schema in _schemas()
        if schema.returns
        and all(each.alias_info is not None and not each.alias_info.is_write for each in schema.returns)
        and all("Tensor" in str(each.type) for each in schema.returns)
    }
    assert len(views) > 60
    known = {f"aten.{name}" for name in f"{_CONVERT} {_OF_SCRIPTS} {_OF_NAMES}".split()}
    assert {name for name in views if not is_view(Call(target=name)) and name not in RULES} - known == set()


@since("2.3", "more operators are of later releases")
def test_every_rule_is_of_an_operator() -> None:
    """Rules go by names that torch has, in this release or another."""
    known = {schema.name.replace("::", ".") for schema in _schemas()}
    lacking = {name for name in RULES if name.startswith("aten.") and name not in known}
    assert len(lacking) <= 8, lacking


def test_the_same_in_a_model() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(M, K))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x @ self.weight.t()).relu_()

    calls = [call for call, _ in observe(Model(), (N, K)).steps]
    assert [traffic(each).total for each in calls] == [0, (N * K + K * M + N * M) * F, 2 * N * M * F]
