"""Single layers and functions by the mirror of torch's flop counter, with figures as its rules give them."""

from __future__ import annotations

import pytest
import torch
from checks import peers
from checks.example_layers import calling, complex_numbers, layer
from torch import nn
from torch.nn import functional as F

from thoplw.capture import capture

attention = F.scaled_dot_product_attention
HEADS = (2, 4, 7, 8)

CASES = {  # the model and its inputs, the figure
    "matrix by vector: a kernel without formula": (calling(torch.matmul, (3, 4), (4,)), 0),
    "batch by vector": (calling(torch.matmul, (2, 3, 4), (4,)), 0),
    "vector by vector": (calling(torch.matmul, (4,), (4,)), 0),
    "vector by matrix": (calling(torch.matmul, (4,), (4, 5)), 2 * 4 * 5),
    "vector by batch": (calling(torch.matmul, (4,), (2, 4, 5)), 2 * 2 * 4 * 5),
    "batch of matrices, broadcast": (calling(torch.matmul, (3, 4), (2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "addmv": (calling(torch.addmv, (3,), (3, 4), (4,)), 0),
    "addmm: the addition is free": (calling(torch.addmm, (5,), (3, 4), (4, 5)), 2 * 3 * 4 * 5),
    "baddbmm": (calling(torch.baddbmm, (2, 3, 5), (2, 3, 4), (2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "addbmm: no formula": (calling(torch.addbmm, (3, 5), (2, 3, 4), (2, 4, 5)), 0),
    "einsum, taken apart": (calling(lambda a, b: torch.einsum("ij,kj->ik", a, b), (3, 4), (5, 4)), 2 * 3 * 4 * 5),
    "tensordot, taken apart": (calling(lambda a, b: torch.tensordot(a, b, 1), (2, 3, 4), (4, 5)), 2 * 6 * 4 * 5),
    "cdist": (calling(torch.cdist, (30, 4), (50, 4)), 0),
    "bilinear": (layer(nn.Bilinear(3, 4, 5), (2, 3), (2, 4)), 0),
    "linear: the bias is free": (layer(nn.Linear(4, 5), (2, 3, 4)), 2 * 2 * 3 * 4 * 5),
    "convolution in groups": (layer(nn.Conv2d(4, 6, 3, groups=2), (2, 4, 8, 8)), 2 * 2 * 6 * 36 * 2 * 9),
    "convolution, padding same": (layer(nn.Conv1d(4, 6, 3, padding="same"), (2, 4, 8)), 2 * 2 * 6 * 8 * 4 * 3),
    "transposed convolution: per input": (layer(nn.ConvTranspose2d(4, 6, 2), (1, 4, 5, 5)), 2 * 4 * 25 * 6 * 4),
    "causal attention, in full": (
        calling(lambda q, k, v: attention(q, k, v, is_causal=True), HEADS, HEADS, HEADS),
        2 * 2 * (2 * 4 * 7 * 7 * 8),
    ),
    "grouped queries": (
        calling(lambda q, k, v: attention(q, k, v, enable_gqa=True), HEADS, (2, 2, 9, 8), (2, 2, 9, 8)),
        2 * 2 * (2 * 4 * 7 * 9 * 8),
    ),
    "heads": (layer(nn.MultiheadAttention(8, 2, batch_first=True), *[(1, 5, 8)] * 3), 2 * (4 * 5 * 64 + 2 * 25 * 8)),
    "lstm, both ways": (layer(nn.LSTM(4, 5, bidirectional=True), (6, 2, 4)), 2 * 2 * 12 * 4 * 5 * (4 + 5)),
    "gru cell": (layer(nn.GRUCell(4, 5), (2, 4)), 2 * 2 * 3 * 5 * (4 + 5)),
    "norm": (layer(nn.BatchNorm2d(4), (2, 4, 3, 3)), 0),
    "complex product, as if real": (complex_numbers(torch.mm, (3, 4), (4, 5)), 2 * 3 * 4 * 5),
    "complex convolution: three real ones": (
        complex_numbers(F.conv2d, (2, 4, 8, 8), (6, 4, 3, 3)),
        3 * 2 * 2 * 6 * 36 * 4 * 9,
    ),
    "complex transposed convolution: three real ones": (
        complex_numbers(F.conv_transpose2d, (1, 4, 5, 5), (4, 6, 2, 2)),
        3 * 2 * 4 * 25 * 6 * 4,
    ),
    "grouped queries without samples": (
        calling(lambda q, k, v: attention(q, k, v, enable_gqa=True), (6, 4, 8), (2, 4, 8), (2, 4, 8)),
        2 * 2 * (6 * 4 * 4 * 8),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    (model, inputs), figure = CASES[case]
    assert peers.priced("torch", capture(model, inputs, {}))["figure"] == figure


@pytest.mark.parametrize("case", CASES)
def test_case_side_by_side(case: str) -> None:
    peers.require("torch")
    (model, inputs), figure = CASES[case]
    assert peers.measure("torch", model, inputs)["figure"] == figure
