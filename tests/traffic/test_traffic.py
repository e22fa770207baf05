"""Bytes that operators move: a case an operator, with the algebra beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from checks.calls import call, f32
from checks.releases import since
from torch import nn

from thoplw.api.profile import observe
from thoplw.record import Call, TensorSpec, Traffic
from thoplw.traffic import RULES, traffic

#: Bytes of a number.
F, INT = 4, 8
N, K, M = 5, 3, 4


def ids(*shape: int) -> TensorSpec:
    return replace(f32(*shape), dtype="int64")


X = f32(N, K)

CASES: dict[str, tuple[Call, int, int]] = {
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
}


@pytest.mark.parametrize("name", CASES)
def test_bytes(name: str) -> None:
    done, read, written = CASES[name]
    assert traffic(done) == Traffic(read=read, written=written)


def test_a_composite_moves_what_its_parts_do() -> None:
    parts = (call("add", X, X, out=X), call("view", X, (-1,), out=f32(N * K)), call("neg", X, out=X))
    whole = Call(target="mine.composite", args=(X, X), output=X, parts=parts)
    assert traffic(whole) == Traffic(read=3 * N * K * F, written=2 * N * K * F)


def _schemas() -> list[Any]:
    return [each for each in torch._C._jit_get_all_schemas() if each.name.startswith("aten::")]


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
