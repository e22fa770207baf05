"""Quantised models count as the float models that they were made from."""

from __future__ import annotations

import pytest
import torch
from checks.oracle import oracle_macs
from torch import nn

import thoplw

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.skipif("fbgemm" not in torch.backends.quantized.supported_engines, reason="needs packed weights"),
]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(8, 6, 2, bidirectional=True), nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0])


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1)
        self.relu, self.pool, self.head = nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.relu(self.conv(self.quant(x))))
        return self.head(self.dequant(self.head_input(x)))

    def head_input(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(x, 1)


class Static(Convolutional):
    """Quantised up to the end."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.relu(self.conv(self.quant(x))))
        return self.dequant(self.head(self.head_input(x)))


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize("convention", ["thoplw", "macs"])
def test_dynamic(execute: bool, convention: str) -> None:
    model, x = Recurrent().eval(), torch.randn(5, 2, 8)
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear, nn.LSTM}, dtype=torch.qint8)
    expected = thoplw.profile(model, x, convention=convention)
    macs, params, info = thoplw.profile(quantised, x, convention=convention, execute=execute, strict=True)
    assert (macs, params) == expected[:2]
    assert {row.name: (row.macs, row.params) for row in info} == {
        row.name: (row.macs, row.params) for row in expected[2]
    }
    assert info.not_executed == {}


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize("convention", ["thoplw", "macs"])
def test_static(execute: bool, convention: str) -> None:
    model, x = Static().eval(), torch.randn(2, 3, 16, 16)
    expected = thoplw.profile(model, x, convention=convention)
    model.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
    prepared = torch.ao.quantization.prepare(model)
    prepared(x)
    quantised = torch.ao.quantization.convert(prepared)
    macs, params, info = thoplw.profile(quantised, x, convention=convention, execute=execute, strict=True)
    assert (macs, params) == expected[:2]
    assert info.not_executed == {}
    if convention == "macs":
        assert oracle_macs(quantised, x) == macs


def test_packed_weights_take_the_bytes_of_their_types() -> None:
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(6, 4)), {nn.Linear}, dtype=torch.qint8)
    (row,) = thoplw.profile(model, (1, 6))[2]
    assert (row.params, row.bytes) == (24 + 4, {"qint8": 24, "float32": 4 * 4})
