"""The counting table of the ``thoplw`` convention, line by line, and ``macs`` beside it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.calling import Calling
from checks.calls import call, f32
from checks.releases import older
from torch import nn
from torch.nn import functional as F

import thoplw
from thoplw.pricing import find

N, C, O, H, W, K = 2, 4, 6, 8, 9, 3  # batch, channels in and out, height, width, kernel  # noqa: E741
IMAGE = torch.zeros(N, C, H, W)
ROW, CUBE = torch.zeros(N, C, W), torch.zeros(N, C, 4, H, W)
SIZE = IMAGE.numel()


def count(model: Any, *inputs: torch.Tensor) -> tuple[int, int]:
    """Under ``thoplw`` and under ``macs``; everything in it has a price."""
    module = model if isinstance(model, nn.Module) else Calling(model)
    figures = []
    for convention in ("thoplw", "macs"):
        macs, _, info = thoplw.profile(module, inputs, verbose=False, convention=convention)
        assert not info.uncounted
        figures.append(macs)
    return figures[0], figures[1]


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


CONVOLUTIONS = {  # what runs, its input, the multiply-accumulates, the bias
    "conv1d": (nn.Conv1d(C, O, K), ROW, N * O * (W - 2) * C * K, N * O),
    "conv2d": (nn.Conv2d(C, O, K), IMAGE, N * O * (H - 2) * (W - 2) * C * K * K, N * O),
    "conv3d": (nn.Conv3d(C, O, K), CUBE, N * O * 2 * (H - 2) * (W - 2) * C * K**3, N * O),
    "conv2d without bias": (nn.Conv2d(C, O, K, bias=False), IMAGE, N * O * (H - 2) * (W - 2) * C * K * K, 0),
    "grouped": (nn.Conv2d(C, O, K, groups=2), IMAGE, N * O * (H - 2) * (W - 2) * C // 2 * K * K, N * O),
    "depthwise": (nn.Conv2d(C, C, K, padding=1, groups=C), IMAGE, SIZE * K * K, N * C),
    "dilated": (nn.Conv2d(C, O, K, dilation=2), IMAGE, N * O * (H - 4) * (W - 4) * C * K * K, N * O),
    "padding same": (nn.Conv2d(C, O, K, padding="same"), IMAGE, N * O * H * W * C * K * K, N * O),
    "no batch": (nn.Conv2d(C, O, K), IMAGE[0], O * (H - 2) * (W - 2) * C * K * K, O),
    "transposed 1d": (nn.ConvTranspose1d(C, O, K), ROW, ROW.numel() * O * K, N * O),
    "transposed 2d": (nn.ConvTranspose2d(C, O, K, stride=2), IMAGE, SIZE * O * K * K, N * O),
    "transposed 3d": (nn.ConvTranspose3d(C, O, K), CUBE, CUBE.numel() * O * K**3, N * O),
    "transposed grouped": (nn.ConvTranspose2d(C, O, K, groups=2), IMAGE, SIZE * O // 2 * K * K, N * O),
}


def recurrent(gates: int, inputs: int, hidden: int) -> tuple[int, int]:
    """For each step and sequence: the two products, and their two biases."""
    return gates * hidden * (inputs + hidden), 2 * gates * hidden


LSTM, GRU, RNN = recurrent(4, C, O), recurrent(3, C, O), recurrent(1, C, O)
STEPS = zeros(5, N, C)

CONTRACTIONS = {
    "linear": (nn.Linear(W, O), IMAGE, N * C * H * W * O, N * C * H * O),
    "linear without bias": (nn.Linear(W, O, bias=False), IMAGE, N * C * H * W * O, 0),
    "linear on a vector": (nn.Linear(W, O), zeros(W), W * O, O),
    "matmul": (lambda x: x @ x.mT, IMAGE, N * C * H * W * H, 0),
    "bmm": (lambda x: torch.bmm(x, x.mT), ROW, N * C * W * C, 0),
    "addmm": (lambda x: torch.addmm(zeros(C), x, x.T), zeros(C, W), C * W * C, C * C),
    "baddbmm": (lambda x: torch.baddbmm(zeros(N, C, C), x, x.mT), ROW, N * C * W * C, N * C * C),
    "einsum": (lambda x: torch.einsum("ncw,ndw->ncd", x, x), ROW, N * C * W * C, 0),
    "lstm": (nn.LSTM(C, O), STEPS, 5 * N * LSTM[0], 5 * N * LSTM[1]),
    "lstm without bias": (nn.LSTM(C, O, bias=False), STEPS, 5 * N * LSTM[0], 0),
    "gru": (nn.GRU(C, O), STEPS, 5 * N * GRU[0], 5 * N * GRU[1]),
    "rnn": (nn.RNN(C, O), STEPS, 5 * N * RNN[0], 5 * N * RNN[1]),
    "lstm cell": (nn.LSTMCell(C, O), zeros(N, C), N * LSTM[0], N * LSTM[1]),
    "gru cell": (nn.GRUCell(C, O), zeros(N, C), N * GRU[0], N * GRU[1]),
    "rnn cell": (nn.RNNCell(C, O), zeros(N, C), N * RNN[0], N * RNN[1]),
    # Two products with the scores between them, and their softmax.
    "attention": (lambda x: F.scaled_dot_product_attention(x, x, x), IMAGE, 2 * N * C * H * H * W, N * C * H * H),
}

OTHERS = {  # free in "macs"
    "batch norm": (nn.BatchNorm2d(C), IMAGE, 4 * SIZE),
    "batch norm, not affine": (nn.BatchNorm2d(C, affine=False), IMAGE, 2 * SIZE),
    "batch norm 1d": (nn.BatchNorm1d(C), ROW, 4 * ROW.numel()),
    "batch norm 3d": (nn.BatchNorm3d(C), CUBE, 4 * CUBE.numel()),
    "layer norm": (nn.LayerNorm(W), IMAGE, 2 * SIZE),
    "group norm": (nn.GroupNorm(2, C), IMAGE, 2 * SIZE),
    "instance norm": (nn.InstanceNorm2d(C), IMAGE, 2 * SIZE),
    "instance norm, affine": (nn.InstanceNorm2d(C, affine=True), IMAGE, 2 * SIZE),
    "instance norm, running": (nn.InstanceNorm2d(C, track_running_stats=True), IMAGE, 2 * SIZE),
    "softmax": (nn.Softmax(dim=1), IMAGE, SIZE),
    "log softmax": (nn.LogSoftmax(dim=1), IMAGE, SIZE),
    "average pooling 1d": (nn.AvgPool1d(2), ROW, 1 * N * C * (W // 2)),
    "average pooling 2d": (nn.AvgPool2d(2), IMAGE, 2 * N * C * (H // 2) * (W // 2)),
    "average pooling 3d": (nn.AvgPool3d(2), CUBE, 3 * N * C * 2 * (H // 2) * (W // 2)),
    "adaptive average pooling 1d": (nn.AdaptiveAvgPool1d(3), ROW, 1 * N * C * 3),
    "adaptive average pooling 2d": (nn.AdaptiveAvgPool2d(3), IMAGE, 2 * N * C * 3 * 3),
    "adaptive average pooling 2d to one": (nn.AdaptiveAvgPool2d(1), IMAGE, 2 * N * C),
    "adaptive average pooling 3d": (nn.AdaptiveAvgPool3d(2), CUBE, 3 * N * C * 2**3),
    "upsample nearest": (nn.Upsample(scale_factor=2), IMAGE, 0),
    "upsample linear": (nn.Upsample(scale_factor=2, mode="linear"), ROW, 4 * 2 * ROW.numel()),
    "upsample bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE, 6 * 4 * SIZE),
    "upsample bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE, 20 * 4 * SIZE),
    **{
        type(module).__name__: (module, IMAGE, 0)
        for module in (
            *(nn.ReLU(), nn.ReLU(inplace=True), nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.Sigmoid(), nn.Tanh()),
            *(nn.PReLU(), nn.ELU(), nn.LeakyReLU(), nn.Mish(), nn.Softplus(), nn.GLU(dim=1), nn.LogSigmoid()),
            *(nn.Dropout(), nn.Dropout2d(), nn.AlphaDropout(), nn.Identity(), nn.Flatten(), nn.PixelShuffle(2)),
            *(nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(2), nn.ZeroPad2d(1), nn.ReflectionPad2d(1)),
            *(() if older("2.1") else (nn.CircularPad2d(1),)),
        )
    },
    "elementwise": (lambda x: (x + 1) * x - x / 2 + x.exp().sqrt(), IMAGE, 0),
    "reshaping": (lambda x: torch.cat([x.reshape(N, -1), x.transpose(1, 2).flatten(1)]), IMAGE, 0),
    "reductions": (lambda x: x.mean((2, 3)) + x.sum((2, 3)) + x.amax((2, 3)), IMAGE, 0),
}
if not older("2.4"):
    OTHERS["rms norm"] = (nn.RMSNorm(W), IMAGE, 2 * SIZE)
    OTHERS["rms norm with eps"] = (nn.RMSNorm(W, eps=1e-6), IMAGE, 2 * SIZE)


@pytest.mark.parametrize("name", [*CONVOLUTIONS, *CONTRACTIONS])
def test_contractions(name: str) -> None:
    model, x, macs, bias = {**CONVOLUTIONS, **CONTRACTIONS}[name]
    assert count(model, x) == (macs + bias, macs)


@pytest.mark.parametrize("name", OTHERS)
def test_others(name: str) -> None:
    model, x, terms = OTHERS[name]
    assert count(model, x) == (terms, 0)


class MyConv2d(nn.Conv2d):
    pass


class MyLinear(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)


class MyNorm(nn.LayerNorm):
    pass


FORMS = {
    "convolution": (IMAGE, nn.Conv2d(C, O, K), lambda x: F.conv2d(x, zeros(O, C, K, K), zeros(O)), MyConv2d(C, O, K)),
    "linear": (IMAGE, nn.Linear(W, O), lambda x: F.linear(x, zeros(O, W), zeros(O)), MyLinear(W, O)),
    "layer norm": (IMAGE, nn.LayerNorm(W), lambda x: F.layer_norm(x, (W,)), MyNorm(W)),
    "softmax": (IMAGE, nn.Softmax(-1), lambda x: x.softmax(-1), nn.Softmax2d()),
    "average": (IMAGE, nn.AvgPool2d(2), lambda x: F.avg_pool2d(x, 2), nn.Sequential(nn.AvgPool2d(2))),
    "attention": (
        IMAGE,
        Calling(lambda x: F.scaled_dot_product_attention(x, x, x)),
        lambda x: (x @ x.mT / W**0.5).softmax(-1) @ x,
        Calling(lambda x: torch.einsum("nchk,nckw->nchw", torch.einsum("nchw,nckw->nchk", x, x).softmax(-1), x)),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_one_computation_counts_the_same_however_written(name: str) -> None:
    x, module, function, subclass = FORMS[name]
    assert count(module, x) == count(function, x) == count(subclass, x) != (0, 0)


@pytest.mark.parametrize(
    "name", ["conv2d", "transposed 2d", "bmm", "attention", "batch norm", "softmax", "elementwise"]
)
def test_an_empty_batch_costs_nothing(name: str) -> None:
    model, x, *_ = {**CONVOLUTIONS, **CONTRACTIONS, **OTHERS}[name]
    assert count(model, x[:0]) == (0, 0)


def test_parameters_and_running_statistics() -> None:
    model = nn.Sequential(nn.Conv2d(C, O, K), nn.BatchNorm2d(O))
    parameters = O * C * K * K + O + 2 * O
    assert thoplw.profile(model, IMAGE, verbose=False)[1] == parameters + 2 * O
    assert thoplw.profile(model, IMAGE, verbose=False, convention="macs")[1] == parameters


# -- gradients: the same for each of input and weight; those of biases are sums ----------------------------------------

X = f32(N, C, H, W)
ROWS, CHANNELS = f32(N, C, H), f32(C)
BATCH_NORM = *[CHANNELS] * 5, True, 1e-5
KEPT = f32(N, 2, 5)

GRADIENTS = {
    "softmax": (call("_softmax_backward_data", X, X, 1, None, out=X), SIZE),
    "average": (call("avg_pool2d_backward", X, f32(N, C, 2 * H, 2 * W), (2, 2), out=()), 2 * SIZE),
    "bilinear": (call("upsample_bilinear2d_backward", X, (H, W), (N, C, 2, 2), False, out=f32(N, C, 2, 2)), 6 * SIZE),
    "batch norm": (
        call("native_batch_norm_backward", X, X, *BATCH_NORM, (True, True, True), out=(X,)),
        2 * 4 * SIZE,
    ),
    "batch norm, frozen": (
        call("native_batch_norm_backward", X, X, *BATCH_NORM, (True, False, False), out=(X,)),
        4 * SIZE,
    ),
    "batch norm, not affine": (
        call("native_batch_norm_backward", X, X, None, *BATCH_NORM[1:], (True, False, False), out=(X,)),
        2 * SIZE,
    ),
    "layer norm": (
        call("native_layer_norm_backward", X, X, (W,), ROWS, ROWS, f32(W), f32(W), (True, True, True), out=(X,)),
        2 * 2 * SIZE,
    ),
    "convolution: without its bias": (
        call("convolution_backward", X, X, f32(C, C, 1, 1), *(None,) * 4, False, None, 1, (True, True, True), out=(X,)),
        2 * SIZE * C,
    ),
    "attention: the softmax inside, twice": (
        call("_scaled_dot_product_flash_attention_for_cpu_backward", *[f32(N, 2, 5, 4)] * 5, KEPT, 0.0, False, out=()),
        N * 2 * 25 * (5 * 4 + 2),
    ),
}


@pytest.mark.parametrize(("record", "figure"), GRADIENTS.values(), ids=GRADIENTS)
def test_gradients(record: thoplw.Call, figure: int) -> None:
    assert find("thoplw").operators[record.target](record).macs == figure
