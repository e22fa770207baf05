"""The oracle of training steps, held against convolutions and attention that are written out in plain products."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the imports below name
from checks.releases import file_since, since

file_since("2.5")

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.training_oracle import PHASES, training_macs
from torch import nn
from torch.nn import functional as F  # as everybody has it
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

X = torch.randn(2, 4, 8, 9)


def total(step: Callable[[], Any]) -> int:
    return sum(training_macs(step).values())


def unfolded(x: torch.Tensor, weight: torch.Tensor, groups: int) -> torch.Tensor:
    """A convolution without padding as products of matrices alone."""
    samples, kernel = x.shape[0], weight.shape[2:]
    columns = F.unfold(x, kernel).view(samples, groups, -1, (x.shape[2] - 2) * (x.shape[3] - 2))
    return torch.matmul(weight.view(groups, weight.shape[0] // groups, -1), columns)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("of_input", [True, False])
@pytest.mark.parametrize("of_weight", [True, False])
def test_a_convolution_is_what_it_is_written_out(groups: int, of_input: bool, of_weight: bool) -> None:
    x = X.clone().requires_grad_(of_input)
    weight = torch.randn(8, 4 // groups, 3, 3, requires_grad=of_weight)
    if not (of_input or of_weight):
        assert total(lambda: F.conv2d(x, weight, groups=groups)) == total(lambda: unfolded(x, weight, groups))
        return
    kernel = training_macs(lambda: F.conv2d(x, weight, groups=groups).sum().backward())
    products = training_macs(lambda: unfolded(x, weight, groups).sum().backward())
    assert kernel == products
    assert kernel["backward"] == (of_input + of_weight) * kernel["forward"]


def test_a_transposed_convolution_is_the_gradient_of_one() -> None:
    weight = torch.randn(4, 6, 3, 3, requires_grad=True)
    x = X.clone().requires_grad_()
    macs = training_macs(lambda: F.conv_transpose2d(x, weight).sum().backward())
    assert macs["forward"] == X.numel() * 6 * 9
    assert macs["backward"] == 2 * macs["forward"]


def lstm_written_out(layer: nn.LSTM, x: torch.Tensor) -> torch.Tensor:
    h, c = torch.zeros(x.shape[1], layer.hidden_size), torch.zeros(x.shape[1], layer.hidden_size)
    for step in x:
        gates = step @ layer.weight_ih_l0.T + h @ layer.weight_hh_l0.T
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    return h


def test_an_lstm_is_what_it_is_written_out_but_for_what_nobody_asks_for() -> None:
    """The first state is no parameter: written out its gradient is not made, and its product is."""
    layer, x = nn.LSTM(8, 6), torch.randn(5, 2, 8, requires_grad=True)
    kernel = training_macs(lambda: layer(x)[1][0].sum().backward())
    products = training_macs(lambda: lstm_written_out(layer, x).sum().backward())
    assert kernel["forward"] == products["forward"]
    assert kernel["backward"] == products["backward"] + 2 * 6 * 24


# -- what PyTorch's own tests expect, in FLOPs -------------------------------------------------------------------------


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(shape, requires_grad=True)


def expanded() -> None:
    product = torch.mm(leaf(4, 5), torch.randn(5, 6))
    torch.bmm(product.unsqueeze(0).expand(7, 4, 6), torch.randn(7, 6, 7)).sum().backward()


def twice() -> None:
    a = leaf(4, 5)
    a.mm(a.t()).sum().backward()
    a.mm(a.t()).sum().backward()


def fifty_times() -> None:
    layer, x = nn.ConvTranspose2d(4, 8, (2, 2), stride=2), torch.rand(1, 4, 30, 2)
    for _ in range(50):
        layer(x).sum().backward()


@pytest.mark.parametrize(("step", "flops"), [(expanded, 5184), (twice, 960), (fifty_times, 1_536_000)])
def test_figures_of_pytorch(step: Callable[[], None], flops: int) -> None:
    assert 2 * total(step) == flops


def test_attention_of_pytorch() -> None:
    """4 x 8 x 128 x 64, causal: with backward 3 times as much written out, 7/2 in one kernel."""
    forward = 134_217_728

    def step() -> None:
        F.scaled_dot_product_attention(*(leaf(4, 8, 128, 64) for _ in range(3)), is_causal=True).sum().backward()

    fused = training_macs(step)
    with sdpa_kernel(SDPBackend.MATH):
        plain = training_macs(step)
    assert {phase: 2 * macs for phase, macs in plain.items()} == {
        "forward": forward,
        "recomputation": 0,
        "backward": 2 * forward,
        "update": 0,
    }
    assert {phase: 2 * macs for phase, macs in fused.items()} == {
        "forward": forward,
        "recomputation": forward // 2,
        "backward": 2 * forward,
        "update": 0,
    }


# -- phases ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reentrant", "flops"), [(False, 470_745_088), (True, 537_853_952)])
def test_checkpointing_recomputes(reentrant: bool, flops: int) -> None:
    """Without reentry a recomputation stops when it has what was asked for: before the last product."""
    block, head = nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.Linear(2048, 512)), nn.Linear(512, 10)
    x = leaf(32, 512)
    macs = training_macs(lambda: head(checkpoint(block, x, use_reentrant=reentrant)).sum().backward())
    assert 2 * sum(macs.values()) == flops
    assert macs["recomputation"] == 32 * 512 * 2048 * (2 if reentrant else 1)


@since("2.9")  # which has Muon
def test_an_update_is_a_phase() -> None:
    layer = nn.Linear(8, 8, bias=False)
    optimizer = torch.optim.Muon(layer.parameters())  # it multiplies matrices

    def step() -> None:
        layer(torch.randn(5, 8)).sum().backward()
        optimizer.step()

    macs = training_macs(step)
    assert list(macs) == list(PHASES)
    assert macs["forward"] == macs["backward"] == 5 * 8 * 8  # no gradient of the input
    assert macs["update"] == 5 * 3 * 8**3  # five iterations of Newton and Schulz, with three products each


def test_second_order_is_backward() -> None:
    layer, x = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 1)), leaf(5, 8)

    def step() -> None:
        (gradient,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
        gradient.square().sum().backward()

    macs = training_macs(step, second_order=True)
    assert macs["recomputation"] == 0
    assert macs["backward"] > 2 * macs["forward"]


def test_the_oracle_refuses_a_contraction_it_does_not_know() -> None:
    with pytest.raises(NotImplementedError, match="_linalg_solve_ex"):
        training_macs(lambda: torch.linalg.solve(torch.randn(3, 3), torch.randn(3, 1)))
