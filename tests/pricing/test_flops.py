"""All operations count: two for each multiply-accumulate, and those of norms, activations and the rest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thoplw
from thoplw.pricing import CONVENTIONS
from thoplw.pricing.flops import CONVENTION

MODEL = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4, bias=False))
OUT = 8 * 6 * 6


def test_every_operation_is_one() -> None:
    flops, _, info = thoplw.profile(MODEL.eval(), (1, 3, 8, 8), convention="flops", verbose=False)
    assert {row.name: row.macs for row in info} == {
        "0": 2 * OUT * 27 + OUT,  # a bias is an addition
        "1": 4 * OUT,  # less a mean, by a deviation, by a weight, plus a bias
        "2": OUT,
        "3": 0,
        "4": 2 * OUT * 4,
    }
    assert flops == info.total_flops == sum(row.macs for row in info)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_it_is_twice_the_products_of_another_convention_where_there_are_no_others(dtype: torch.dtype) -> None:
    class Product(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b

    given = torch.zeros(3, 4, dtype=dtype), torch.zeros(4, 5, dtype=dtype)
    flops, macs = (thoplw.profile(Product(), given, convention=name, verbose=False)[0] for name in ("flops", "macs"))
    assert flops == 2 * macs == 2 * 3 * 4 * 5 * (4 if dtype.is_complex else 1)


def test_its_unit_is_an_operation() -> None:
    assert CONVENTIONS["flops"].unit == CONVENTION.unit == "FLOP"
    assert CONVENTION.measure(thoplw.Work(macs=3, flops=7)) == 7
