"""What operators read that look rows up: no more than comes out, and no more than there is."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from checks.calls import call, f32

from thoplw.record import TensorSpec
from thoplw.traffic import Lookup, lookup_of

V, D, N = 50, 8, 3


def ids(*shape: int) -> TensorSpec:
    return replace(f32(*shape), dtype="int64")


def test_rows_that_are_looked_up() -> None:
    assert lookup_of(call("embedding", f32(V, D), ids(N), out=f32(N, D))) == Lookup(0, N * D)


def test_no_more_is_read_than_there_is() -> None:
    assert lookup_of(call("embedding", f32(2, D), ids(100), out=f32(100, D))) == Lookup(0, 2 * D)


@pytest.mark.parametrize(("rows", "groups", "read"), [(3, 8, 3), (8, 8, 8), (100, 8, 8)])
def test_as_many_matrices_as_rows_at_most(rows: int, groups: int, read: int) -> None:
    found = lookup_of(call("_grouped_mm", f32(rows, D), f32(groups, D, 5), ids(groups), out=f32(rows, 5)))
    assert found == Lookup(1, read * D * 5, routed=rows < groups)


def test_rows_of_experts_are_routed() -> None:
    spread = replace(ids(N), density=Fraction(1, 8))
    assert lookup_of(call("index", f32(V, D), (spread,), out=f32(N, D))) == Lookup(0, N * D, routed=True)


def test_other_operators_read_the_whole() -> None:
    assert lookup_of(call("mm", f32(V, D), f32(D, N), out=f32(V, N))) is None
