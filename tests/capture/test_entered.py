"""Inputs are laid out as given, and one tensor stays one."""

from __future__ import annotations

import pytest
import torch
from checks.calling import Calling
from checks.oracle import oracle_macs
from torch import nn
from torch.nn import functional as F

import thoplw
from thoplw.capture.inputs import copied

BASE = torch.arange(48).reshape(4, 12)


@pytest.mark.parametrize(
    "tensor",
    [
        BASE,
        BASE.t(),
        BASE[:, ::2],
        BASE[1:3, 2:5],
        BASE[:1].expand(3, 12),
        BASE[0, 0].expand(2, 2),
        BASE[:, :0],
        BASE[:, 1:1].t(),
        BASE.as_strided((3, 4), (2, 1)),
        (BASE > 7).t(),
        BASE.float().to_sparse(),
    ],
    ids=str,
)
def test_a_copy_lies_in_memory_as_the_tensor_does(tensor: torch.Tensor) -> None:
    copy = copied(tensor)
    assert torch.equal(copy.to_dense(), tensor.to_dense())
    if tensor.layout is torch.strided:
        assert copy.stride() == tensor.stride()
        assert copy.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr()


class Asking(nn.Module):
    """Goes another way where an input has gaps."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(4, 8), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        return (self.wide if asked.is_contiguous() else self.narrow)(x)


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
@pytest.mark.parametrize(("transposed", "macs"), [(False, 64), (True, 32)])
def test_a_forward_that_asks_for_the_layout_goes_the_same_way(
    execute: bool, dtype: torch.dtype, transposed: bool, macs: int
) -> None:
    asked = torch.ones(2, 4, dtype=dtype)
    inputs = torch.ones(2, 4), asked.t() if transposed else asked
    assert oracle_macs(Asking(), *inputs) == macs
    assert thoplw.profile(Asking(), inputs, verbose=False, convention="macs", execute=execute)[0] == macs


@pytest.mark.parametrize("execute", [False, True])
def test_two_inputs_that_are_one_tensor_stay_one(execute: bool) -> None:
    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.layer(x) if x is y else self.layer(x) + self.layer(y)

    x = torch.ones(2, 4)
    for inputs, macs in (((x, x), 32), ((x, x.clone()), 64)):
        assert thoplw.profile(Same(), inputs, verbose=False, convention="macs", execute=execute)[0] == macs


def test_attention_that_is_written_out_is_contiguous() -> None:
    query = torch.randn(2, 3, 4, 5, 6).transpose(1, 2)
    model = Calling(lambda q: F.scaled_dot_product_attention(q, q, q).view(2, -1))
    assert model(query).shape == (2, 360)
    assert thoplw.profile(model, query, verbose=False, convention="macs")[0] == oracle_macs(model, query)
