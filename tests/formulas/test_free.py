"""The free list: what moves data is on it, and arithmetic is not."""

from __future__ import annotations

import pytest

from thoplw.formulas import FORMULAS


@pytest.mark.parametrize("name", ["view", "cat", "embedding", "zeros", "topk", "item"])
def test_free_is_not_forgotten(name: str) -> None:
    assert FORMULAS[f"aten.{name}"] is None


@pytest.mark.parametrize("name", ["mm", "convolution", "add", "softmax"])
def test_arithmetic_is_not_free(name: str) -> None:
    assert FORMULAS[f"aten.{name}"] is not None
