"""The free list: what is on it exists, is on it once, and has no arithmetic."""

from __future__ import annotations

import pytest
import torch

from thoplw.formulas import FORMULAS
from thoplw.formulas.free import FREE

NAMES = [name for names in FREE.values() for name in names.split()]


def test_every_name_is_there_once() -> None:
    assert sorted(NAMES) == sorted(set(NAMES))


@pytest.mark.parametrize("name", ["view", "cat", "embedding", "zeros", "dropout", "topk", "item"])
def test_free_is_not_forgotten(name: str) -> None:
    assert FORMULAS[f"aten.{name}"] is None


@pytest.mark.parametrize("name", ["mm", "convolution", "add", "softmax"])
def test_arithmetic_is_not_free(name: str) -> None:
    assert FORMULAS[f"aten.{name}"] is not None


#: Known under these names in releases of torch other than the newest, or only inside the compiler.
ELSEWHERE = {"aten.cholesky"}


@pytest.mark.skipif(torch.__version__ < "2.14", reason="older torch lacks newer operators")
def test_every_priced_name_is_an_operator() -> None:
    known = {schema.name.rstrip("_") for schema in torch._C._jit_get_all_schemas()}
    names = {".".join(target.split(".")[:2]) for target in FORMULAS if target.startswith("aten.")}  # without overloads
    missing = {name for name in names if name.replace(".", "::").rstrip("_") not in known}
    assert missing - ELSEWHERE == set()
