"""Single layers and functions by the mirror of torch's flop counter, with figures as its rules give them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from checks import peers
from checks.example_layers import calling, complex_numbers, layer
from checks.releases import file_since
from torch import nn
from torch.nn import functional as F

import thoplw
from thoplw.capture import capture

file_since("2.2")  # without a registry before
from torch.utils.flop_counter import FlopCounterMode, flop_registry, register_flop_formula  # noqa: E402

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


class Scaled(nn.Module):
    """A layer, and an operator of a library of the user's."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = torch.ops.thoplw_registered.scale(self.layer(x), 3)
        return scaled


@pytest.fixture
def scaled() -> Iterator[nn.Module]:
    library = torch.library.Library("thoplw_registered", "DEF")
    library.define("scale(Tensor x, int by) -> Tensor")
    for key in ("CPU", "Meta"):
        library.impl("scale", lambda x, by: x * by, key)
    yield Scaled()
    for target in [target for target in flop_registry if "thoplw_registered" in str(target)]:
        del flop_registry[target]
    library._destroy()


def test_a_formula_that_was_registered_with_torch_counts(scaled: nn.Module) -> None:
    x = torch.ones(2, 3, 4)
    layer = 2 * 6 * 4 * 5
    assert thoplw.profile(scaled, x, convention="torch", verbose=False)[0] == layer

    def formula(shape: torch.Size, by: int, *, out_shape: torch.Size) -> int:
        return by * shape.numel() + out_shape[-1]

    register_flop_formula(torch.ops.thoplw_registered.scale)(formula)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        scaled(x)
    expected = layer + 3 * 30 + 5
    assert counter.get_total_flops() == expected
    cost, _, info = thoplw.profile(scaled, x, convention="torch", verbose=False)
    assert (cost, info.uncounted) == (expected, {})
    mine = thoplw.Convention("mine", {}, based_on="torch")
    assert thoplw.profile(scaled, x, convention=mine, verbose=False)[0] == expected
    assert "thoplw_registered.scale.default" in thoplw.profile(scaled, x, convention="macs", verbose=False)[2].uncounted


def test_a_registered_formula_that_takes_tensors_gets_their_shapes(scaled: nn.Module) -> None:
    register_flop_formula(torch.ops.thoplw_registered.scale, get_raw=True)(lambda x, by, out_val: x.shape[0] * by)
    assert thoplw.profile(scaled, (2, 3, 4), convention="torch", verbose=False)[0] == 2 * 6 * 4 * 5 + 2 * 3


@pytest.mark.parametrize("case", CASES)
def test_case_side_by_side(case: str) -> None:
    peers.require("torch")
    (model, inputs), figure = CASES[case]
    assert peers.measure("torch", model, inputs)["figure"] == figure
