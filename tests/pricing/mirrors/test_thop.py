"""Single layers and functions by the mirror of thop, with figures as its rules give them."""

from __future__ import annotations

import pytest
import torch
from checks import peers
from checks.example_layers import Shared
from torch import nn

from thoplw.capture import capture


class Packed(nn.Module):
    """Two sequences, of 5 and 3 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(nn.utils.rnn.pack_padded_sequence(x, [5, 3]))[0].data


RNN, GRU, LSTM = 4 * (3 + 4 + 3), 3 * 4 * (3 + 4 + 3) + 4 * 4, 4 * 4 * (3 + 4 + 3) + 4 * 4

LAYERS = {  # what runs, the shape of its input, the figure
    "conv1d": (nn.Conv1d(4, 6, 3, groups=2), (2, 4, 9), 2 * 6 * 7 * 2 * 3),
    "conv3d": (nn.Conv3d(4, 6, 3, padding="same"), (2, 4, 5, 6, 7), 2 * 6 * 5 * 6 * 7 * 4 * 27),
    "conv2d, circular": (nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular"), (1, 3, 8, 8), 6 * 8 * 8 * 3 * 9),
    "conv2d, no batch: the height stands for the channels": (nn.Conv2d(4, 6, 3), (4, 9, 8), 6 * 7 * 6 * 9 * 9),
    "transposed: as many as a convolution": (nn.ConvTranspose2d(4, 6, 3, stride=2), (1, 4, 5, 5), 6 * 11 * 11 * 4 * 9),
    "not affine": (nn.BatchNorm2d(4, affine=False), (2, 4, 5, 5), 2 * 200),
    "group norm": (nn.GroupNorm(2, 4), (2, 4, 5, 5), 0),
    "softmax": (nn.Softmax(-1), (2, 4, 5), 8 * (3 * 5 - 1)),
    "average pooling": (nn.AvgPool1d(3), (2, 4, 9), 2 * 4 * 3),
    "adaptive": (nn.AdaptiveAvgPool3d((2, 2, 2)), (2, 4, 8, 6, 4), 64 * (24 + 1)),
    "adaptive, with a fraction": (nn.AdaptiveAvgPool2d((5, 7)), (1, 1, 11, 13), 11 * 13 + 35),
    "nearest": (nn.Upsample(scale_factor=2), (1, 3, 4, 5, 6), 3 * 8 * 10 * 12),
    "linear": (nn.Upsample(scale_factor=2, mode="linear"), (1, 3, 4), 3 * 8 * 5),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), (1, 3, 4, 5), 3 * 8 * 10 * 259),
    "trilinear": (nn.Upsample(scale_factor=2, mode="trilinear"), (1, 3, 4, 5, 6), 0),
    "rnn": (nn.RNN(3, 4), (5, 2, 3), 10 * RNN),
    "gru": (nn.GRU(3, 4, batch_first=True), (5, 2, 3), 10 * GRU),
    "lstm": (nn.LSTM(3, 4), (5, 2, 3), 10 * LSTM),
    "lstm, two layers both ways": (
        nn.LSTM(3, 4, num_layers=2, bidirectional=True, bias=False),
        (5, 2, 3),
        10 * 2 * (4 * 4 * (3 + 4 + 1) + 4 * 4 + 4 * 4 * (8 + 4 + 1) + 4 * 4),
    ),
    "packed: all as long as the longest": (Packed(), (5, 2, 3), 5 * 2 * LSTM),
    "rnn cell": (nn.RNNCell(3, 4), (2, 3), 2 * RNN),
    "gru cell": (nn.GRUCell(3, 4), (2, 3), 2 * GRU),
    "lstm cell": (nn.LSTMCell(3, 4), (2, 3), 2 * LSTM),
}


@pytest.mark.parametrize("case", LAYERS)
def test_layer(case: str) -> None:
    module, shape, figure = LAYERS[case]
    model, x = nn.Sequential(module), torch.zeros(shape)
    assert peers.priced("thop", capture(model, (x,), {}))["figure"] == figure


@pytest.mark.parametrize("case", LAYERS)
def test_layer_side_by_side(case: str) -> None:
    peers.require("thop")
    module, shape, figure = LAYERS[case]
    assert peers.measure("thop", nn.Sequential(module), (torch.zeros(shape),))["figure"] == figure


SLIPS = {  # what docs/mirrors/thop.md says of layers with two parents: the model, what thop says, what its mirror says
    "shared": (Shared(), {"figure": 4 * 2 * 2 * 16, "params": 40}, {"figure": 2 * 2 * 16, "params": 20}),
}


@pytest.mark.parametrize("case", SLIPS)
def test_slip(case: str) -> None:
    model, _, mirrored = SLIPS[case]
    assert peers.priced("thop", capture(model, (torch.zeros(2, 4),), {})) == mirrored


@pytest.mark.parametrize("case", SLIPS)
def test_slip_side_by_side(case: str) -> None:
    peers.require("thop")
    model, said, _ = SLIPS[case]
    assert peers.measure("thop", model, (torch.zeros(2, 4),)) == said


def test_parameters_of_known_layers_that_ran() -> None:
    """Not those of a group norm, for which thop has no rule, nor those of the model itself."""
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4))
    assert peers.priced("thop", capture(model, (torch.zeros(1, 4, 2, 2),), {}))["params"] == 20
    assert peers.priced("thop", capture(nn.Linear(4, 4), (torch.zeros(1, 4),), {}))["params"] == 0
