"""Single layers and functions by the mirror of ptflops, with figures as its rules give them."""

from __future__ import annotations

import pytest
import torch
from checks import peers
from checks.example_layers import Attends, Calls
from torch import nn
from torch.nn import functional

from thoplw.capture import capture


class Deformed(nn.Module):
    """A convolution at places that the input says."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = pytest.importorskip("torchvision").ops.DeformConv2d(4, 6, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x, x.new_zeros(1, 18, *x.shape[2:]), x.new_ones(1, 9, *x.shape[2:]))


def multihead(samples: int, queries: int, keys: int) -> int:
    projections = queries * 16 * 16 + 2 * keys * 16 * 16 + (queries + 2 * keys) * 16
    scores = 2 * queries * keys * (8 + 1 + 8)
    return samples * (queries * 16 + projections + scores + queries * 16 * 17)


CASES: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {  # what runs, the shape of its input, the figure
    "linear": (nn.Linear(4, 6), (2, 3, 4), 2 * 3 * (4 * 6 + 6)),
    "linear by function": (Calls(lambda x: functional.linear(x, x[0])), (2, 3, 4), 0),
    "conv1d in groups": (nn.Conv1d(4, 6, 3, groups=2), (2, 4, 9), 2 * 6 * 7 * (2 * 3 + 1)),
    "transposed in groups": (nn.ConvTranspose2d(4, 6, 3, 2, groups=2), (1, 4, 5, 5), 4 * 3 * 9 * 25 + 6 * 11 * 11),
    "deformable": (Deformed(), (1, 4, 5, 5), 25 * (9 * (4 * 6 + 24 + 1) + 6)),
    "relu, as a layer and a function": (nn.ReLU(), (2, 3), 2 * 6),
    "relu by function": (Calls(lambda x: functional.relu(x)), (2, 3), 6),
    "relu6 is made of hardtanh": (nn.ReLU6(), (2, 3), 6),
    "leaky relu": (nn.LeakyReLU(), (2, 3), 6),
    "silu": (nn.SiLU(), (2, 3), 6),
    "sigmoid": (nn.Sigmoid(), (2, 3), 0),
    "softmax": (nn.Softmax(-1), (2, 3), 6),
    "softmax by method": (Calls(lambda x: x.softmax(-1)), (2, 3), 0),
    "max pooling": (nn.MaxPool2d(2), (1, 2, 4, 4), 2 * 32),
    "adaptive pooling": (nn.AdaptiveMaxPool1d(2), (1, 2, 6), 2 * 12),
    "batch norm": (nn.BatchNorm1d(3), (2, 3), 2 * 6),
    "batch norm, not affine": (nn.BatchNorm1d(3, affine=False), (2, 3), 6),
    "layer norm": (nn.LayerNorm(3), (2, 3), 6),
    "upsampling": (nn.Upsample(scale_factor=2), (2, 3, 4), 3 * 8 + 2 * 3 * 8),
    "upsampling to a size": (nn.Upsample(size=7, mode="linear"), (2, 3, 4), 3 * 7 + 2 * 3 * 7),
    "by a fraction": (Calls(lambda x: functional.interpolate(x, scale_factor=1.5)), (1, 1, 5, 5), 56),
    "an operator": (Calls(lambda x: x @ x.mT), (2, 3, 4), 0),
    "baddbmm": (Calls(lambda x: torch.baddbmm(x, x, x)), (2, 3, 3), 2 * 27 + 18),
    "einsum": (Calls(lambda x: torch.einsum("bij,bkj->bik", x, x)), (2, 3, 4), 0),
    "rnn": (nn.RNN(3, 4, bias=False), (5, 2, 3), 10 * (4 * (3 + 4) + 4)),
    "gru, two layers both ways": (
        nn.GRU(3, 4, num_layers=2, bidirectional=True),
        (5, 2, 3),
        10 * 2 * (12 * (3 + 4 + 2) + 28 + 12 * (8 + 4 + 2) + 28),
    ),
    "lstm with a projection": (nn.LSTM(3, 4, proj_size=2), (5, 2, 3), 10 * (16 * (3 + 2 + 2) + 40)),
    "lstm cell": (nn.LSTMCell(3, 4), (2, 3), 2 * (16 * (3 + 4 + 2) + 40)),
    "multihead, in one kernel": (Attends(batch_first=True), (3, 5, 16), multihead(3, 5, 5)),
    "multihead, with weights": (
        Attends(weights=True),
        (5, 3, 16),
        multihead(3, 5, 5) + 3 * 2 * 5 * 5 * (8 + 1 + 8),
    ),
    "multihead, to other keys": (Attends(to=2, batch_first=True), (3, 5, 16), multihead(3, 5, 2)),
}


@pytest.mark.parametrize("case", CASES)
def test_layer(case: str) -> None:
    module, shape, figure = CASES[case]
    model = nn.Sequential(module).eval()
    assert peers.priced("ptflops", capture(model, (torch.zeros(shape),), {}))["figure"] == figure


@pytest.mark.parametrize("case", CASES)
def test_layer_side_by_side(case: str) -> None:
    peers.require("ptflops")
    module, shape, figure = CASES[case]
    assert peers.measure("ptflops", nn.Sequential(module).eval(), (torch.zeros(shape),))["figure"] == figure


class Shared(nn.Module):
    """A layer of two modules, called in both."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.Linear(4, 4, bias=False)
        self.first, self.second = nn.Sequential(layer), nn.Sequential(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


#: What docs/mirrors/ptflops.md says: a model, the shape of its input, what ptflops says, what its mirror says.
SLIPS = {
    "an operator by its function": (Calls(lambda x: torch.matmul(x, x.mT)), (2, 3, 4), 2 * 36, 0),
    "a sum by its function": (Calls(lambda x: torch.add(x, x)), (2, 3, 4), 24, 0),
    "an activation kept from before": (Calls(functional.relu), (2, 3), 0, 6),
    "shared": (Shared(), (2, 4), 2 * 2 * 2 * 16, 2 * 2 * 16),
}


@pytest.mark.parametrize("case", SLIPS)
def test_slip(case: str) -> None:
    model, shape, _, mirrored = SLIPS[case]
    assert peers.priced("ptflops", capture(model, (torch.zeros(shape),), {}))["figure"] == mirrored


@pytest.mark.parametrize("case", SLIPS)
def test_slip_side_by_side(case: str) -> None:
    peers.require("ptflops")
    model, shape, said, _ = SLIPS[case]
    assert peers.measure("ptflops", model, (torch.zeros(shape),))["figure"] == said


def test_parameters_are_those_that_are_trained_used_or_not() -> None:
    model = nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 4))
    model[1].add_module("unused", nn.Linear(3, 3))
    assert peers.priced("ptflops", capture(model, (torch.zeros(1, 4),), {}))["params"] == 20 + 12
