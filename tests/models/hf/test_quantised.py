"""Packages of quantised caches, while a model runs without values."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from thoplw.capture.abstract import AbstractTensor, Specs, abstract
from thoplw.models.hf.quantised import followed


def test_hqq_does_not_search_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quantizer:
        @classmethod
        def quantize(cls, tensor: Any, optimize: bool = True) -> bool:
            return optimize

    file = ModuleType("hqq.core.quantize")
    file.Quantizer = Quantizer  # type: ignore[attr-defined] # it stands for a file
    monkeypatch.setitem(sys.modules, "hqq.core.quantize", file)
    before = vars(Quantizer)["quantize"]
    with followed("hqq"):
        assert not Quantizer.quantize(None)
    assert vars(Quantizer)["quantize"] is before
    assert Quantizer.quantize(None)


def test_quanto_packs_what_has_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    class WeightQBitsTensor:
        def __init__(self, qtype: Any, axis: int, group: int, size: Any, stride: Any, data: Any, scale: Any) -> None:
            self.data = data

    class PackedTensor:
        @staticmethod
        def pack(data: torch.Tensor, bits: int) -> tuple[str, int]:
            return "packed", bits

    names = {"optimum.quanto.tensor.weights.qbits": WeightQBitsTensor, "optimum.quanto.tensor.packed": PackedTensor}
    for name, cls in names.items():
        file = ModuleType(name)
        setattr(file, cls.__name__, cls)
        monkeypatch.setitem(sys.modules, name, file)

    class Four:
        bits = 4

    real = torch.ones(2)
    valueless: Any = abstract(Specs().of(real), torch.device("cpu"))
    assert type(valueless) is AbstractTensor
    with followed("quanto"):
        assert WeightQBitsTensor(Four, 0, 64, (), (), valueless, None).data == ("packed", 4)
        assert WeightQBitsTensor(Four, 0, 64, (), (), real, None).data is real
    assert WeightQBitsTensor(Four, 0, 64, (), (), valueless, None).data is valueless
