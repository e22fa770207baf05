"""Single layers and functions by the mirror of fvcore, with figures as its rules give them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks import peers
from checks.example_layers import calling, complex_numbers, layer
from checks.releases import older
from torch import nn
from torch.nn import functional as F

from thoplw.capture import capture


def einsum(equation: str, *shapes: tuple[int, ...]) -> peers.Built:
    return calling(lambda *operands: torch.einsum(equation, *operands), *shapes)


class SelfAttention(nn.Module):
    def __init__(self, heads: int, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(12, heads, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x)[0]


IMAGE = (2, 4, 6, 6)
SIZE = 2 * 4 * 6 * 6

CASES = {  # the model and its inputs, the figure
    "matmul: a batch of the second operand alone is not seen": (calling(torch.matmul, (3, 4), (2, 4, 5)), 3 * 4 * 5),
    "linalg.matmul": (calling(torch.linalg.matmul, (3, 4), (4, 5)), 3 * 4 * 5),
    "matrix by vector": (calling(torch.mv, (3, 4), (4,)), 0),
    "addmm": (calling(torch.addmm, (5,), (3, 4), (4, 5)), 3 * 4 * 5),
    "addmm in place: another operator": (calling(lambda x, a, b: x.addmm_(a, b), (3, 5), (3, 4), (4, 5)), 0),
    "baddbmm: no handle": (calling(torch.baddbmm, (2, 3, 5), (2, 3, 4), (2, 4, 5)), 0),
    "tensordot: no handle, nor is it taken apart": (calling(lambda a, b: torch.tensordot(a, b, 1), (3, 4), (4, 5)), 0),
    "linear": (layer(nn.Linear(4, 5), (2, 3, 4)), 2 * 3 * 4 * 5),
    "linear, of one feature: the weight is a vector": (calling(F.linear, (3, 4), (4,)), 3 * 4 * 4),
    "bilinear": (layer(nn.Bilinear(3, 4, 5), (2, 3), (2, 4)), 0),
    "convolution in groups": (layer(nn.Conv2d(4, 6, 3, groups=2), IMAGE), 2 * 6 * 16 * 2 * 9),
    "convolution, padding same: another operator": (layer(nn.Conv2d(4, 6, 3, padding="same"), IMAGE), 0),
    "transposed convolution": (layer(nn.ConvTranspose2d(4, 6, 2, groups=2), IMAGE), SIZE * 3 * 4),
    "attention": (calling(F.scaled_dot_product_attention, IMAGE, IMAGE, IMAGE), 0),
    "self-attention, in one kernel": (layer(SelfAttention(4, batch_first=True), (2, 5, 12)), 0),
    "self-attention, heads odd": (
        layer(SelfAttention(3, batch_first=True), (2, 5, 12)),
        10 * 4 * 12 * 12 + 2 * (2 * 5 * 5 * 12),
    ),
    "self-attention, time first: the scores add to a mean, by another operator": (
        layer(SelfAttention(4, bias=False), (5, 2, 12)),
        10 * 4 * 12 * 12 + 2 * (2 * 5 * 5 * 12),
    ),
    "lstm": (layer(nn.LSTM(4, 5), (6, 2, 4)), 0),
    "lstm cell": (layer(nn.LSTMCell(4, 5), (2, 4)), 2 * 4 * 5 * (4 + 5)),
    "batch norm": (layer(nn.BatchNorm2d(4), IMAGE), 2 * SIZE),
    "batch norm, not affine": (layer(nn.BatchNorm2d(4, affine=False), IMAGE), SIZE),
    "batch norm, of the batch": (layer(nn.BatchNorm2d(4, track_running_stats=False), IMAGE), 5 * SIZE),
    "layer norm": (layer(nn.LayerNorm(6), IMAGE), 5 * SIZE),
    "group norm, not affine": (layer(nn.GroupNorm(2, 4, affine=False), IMAGE), 4 * SIZE),
    "instance norm": (layer(nn.InstanceNorm2d(4, affine=True), IMAGE), 5 * SIZE),
    "instance norm, not affine": (layer(nn.InstanceNorm2d(4), IMAGE), 4 * SIZE),
    **({} if older("2.4") else {"RMS norm": (layer(nn.RMSNorm(6), IMAGE), 0)}),
    "adaptive average: per input": (layer(nn.AdaptiveAvgPool2d((3, 2)), IMAGE), SIZE),
    "average": (layer(nn.AvgPool2d(2), IMAGE), 0),
    "nearest": (layer(nn.Upsample(scale_factor=2), IMAGE), 4 * SIZE),
    "bilinear upsampling": (layer(nn.UpsamplingBilinear2d(scale_factor=2), IMAGE), 4 * 4 * SIZE),
    "bicubic": (layer(nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE), 0),
    "grid": (calling(lambda x, g: F.grid_sample(x, g, align_corners=False), IMAGE, (2, 5, 7, 2)), 4 * 2 * 4 * 5 * 7),
    "einsum": (einsum("ij,jk->ik", (3, 4), (4, 5)), 3 * 4 * 5),
    "einsum: 64883, rounded to four digits": (einsum("bij,bjk->bik", (7, 23, 31), (7, 31, 13)), 64900),
    "einsum, one of two that are exact": (einsum("xyz,xwz -> xwy", (7, 33, 44), (7, 55, 44)), 7 * 33 * 44 * 55),
    "einsum, nothing summed: (105 + 1) / 2": (einsum("ab,ac->abc", (3, 5), (3, 7)), 53),
    "einsum, ellipsis broadcast": (einsum("...ij,jk->...ik", (2, 3, 4), (4, 5)), 2 * 3 * 4 * 5),
    "einsum, output left out": (einsum("ij,jk", (3, 4), (4, 5)), 3 * 4 * 5),
    "einsum, best order: the last two first": (einsum("ab,bc,cd->ad", (3, 5), (5, 7), (7, 2)), 5 * 7 * 2 + 3 * 5 * 2),
    "einsum, no sum over three": (einsum("i,j,k->ijk", (3,), (4,), (5,)), 3 * 4 * 5),
}


CASES |= {
    "complex product, as if real": (complex_numbers(torch.mm, (3, 4), (4, 5)), 3 * 4 * 5),
    "complex convolution: three real ones": (
        complex_numbers(F.conv2d, IMAGE, (6, 4, 3, 3)),
        3 * 2 * 6 * 16 * 4 * 9,
    ),
}

#: At these fvcore raises an IndexError: the mirror counts each product once.
VECTORS = {
    "matrix by vector": (calling(torch.matmul, (20, 10), (10,)), 20 * 10),
    "vector by vector": (calling(torch.matmul, (10,), (10,)), 10),
}


@pytest.mark.parametrize("case", VECTORS)
def test_a_vector_counts_once(case: str) -> None:
    (model, inputs), figure = VECTORS[case]
    assert peers.priced("fvcore", capture(model, inputs, {}))["figure"] == figure


@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    (model, inputs), figure = CASES[case]
    assert peers.priced("fvcore", capture(model, inputs, {}))["figure"] == figure


@pytest.mark.parametrize("case", CASES)
def test_case_side_by_side(case: str) -> None:
    peers.require("fvcore")
    (model, inputs), figure = CASES[case]
    assert peers.measure("fvcore", model, inputs)["figure"] == figure


class Square(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        return x @ x


def test_slip_functions_with_a_gradient_of_their_own() -> None:
    """What runs inside is in no graph: the mirror sees it, fvcore does not."""
    model, inputs = calling(Square.apply, (4, 4))
    assert peers.priced("fvcore", capture(model, inputs, {}))["figure"] == 4 * 4 * 4
    peers.require("fvcore")
    assert peers.measure("fvcore", model, inputs)["figure"] == 0


def test_every_parameter_counts() -> None:
    model = nn.ModuleDict({"used": nn.Linear(4, 5), "unused": nn.Linear(5, 6)})
    model.forward = lambda x: model["used"](x)  # type: ignore[method-assign] # a model in one line
    assert peers.priced("fvcore", capture(model, (torch.zeros(1, 4),), {}))["params"] == 25 + 36
