"""Single layers and functions by the mirror of DeepSpeed's flops profiler, with figures as its rules give them."""

from __future__ import annotations

import pytest
import torch
from checks import peers
from checks.example_layers import Attends, Calls
from torch import nn
from torch.nn import functional

import thoplw
from thoplw.capture import capture

CASES: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {  # what runs, the shape of its input, the figure
    "linear, no bias counted": (nn.Linear(4, 6), (2, 3, 4), 2 * 3 * 4 * 6),
    "conv1d in groups": (nn.Conv1d(4, 6, 3, groups=2), (2, 4, 9), 2 * 6 * 7 * 2 * 3),
    "same padding": (nn.Conv1d(4, 6, 3, padding="same"), (2, 4, 9), 2 * 6 * 9 * 4 * 3),
    "same padding, even kernel: a position less": (nn.Conv1d(4, 6, 4, padding="same"), (2, 4, 9), 2 * 6 * 8 * 4 * 4),
    "transposed in groups": (nn.ConvTranspose2d(4, 6, 3, 2, groups=2), (1, 4, 5, 5), 4 * 3 * 9 * 25),
    "matmul": (Calls(lambda x: x @ x.mT), (2, 3, 4), 2 * 3 * 4 * 3),
    "with a vector: as many columns as rows": (Calls(lambda x: x @ x[0, 0]), (2, 3, 4), 2 * 3 * 4 * 4),
    "baddbmm": (Calls(lambda x: torch.baddbmm(x, x, x)), (2, 3, 3), 2 * 27),
    "einsum": (Calls(lambda x: torch.einsum("bij,bkj->bik", x, x)), (2, 3, 4), 0),
    "tensordot": (Calls(lambda x: torch.tensordot(x, x, 1)), (3, 3), 0),
    "causal attention": (
        Calls(lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True)),
        (2, 2, 5, 4),
        2 * 2 * 5 * 5 * 8,
    ),
    "multihead, in one kernel": (Attends(batch_first=True), (3, 5, 16), 0),
    "multihead, batch second": (Attends(), (5, 3, 16), 3 * 5 * (4 * 16**2 + 2 * 5 * 16)),
    "multihead, to other keys": (
        Attends(to=2, batch_first=True),
        (3, 5, 16),
        3 * ((2 * 5 + 2 * 2) * 16**2 + 2 * 5 * 2 * 16),
    ),
    "lstm": (nn.LSTM(4, 5), (2, 3, 4), 0),
    "gru cell": (nn.GRUCell(4, 5), (2, 4), 0),
    "norm and activation": (nn.Sequential(nn.BatchNorm1d(4), nn.GELU()), (2, 4), 0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_layer(case: str) -> None:
    module, shape, figure = CASES[case]
    assert peers.priced("deepspeed", capture(module.eval(), (torch.zeros(shape),), {}))["figure"] == figure


@pytest.mark.parametrize("case", CASES)
def test_layer_side_by_side(case: str) -> None:
    peers.require("deepspeed")
    module, shape, figure = CASES[case]
    assert peers.measure("deepspeed", nn.Sequential(module).eval(), (torch.zeros(shape),))["figure"] == figure


def test_parameters_are_all_of_the_model_frozen_or_not() -> None:
    model = nn.ModuleDict({"used": nn.Linear(4, 4).requires_grad_(False), "unused": nn.Linear(4, 4)})
    model.forward = lambda x: model["used"](x)  # type: ignore[method-assign] # a model that leaves a layer out
    assert peers.priced("deepspeed", capture(model, (torch.zeros(1, 4),), {}))["params"] == 40


@pytest.mark.parametrize("convention", ["deepspeed", "ptflops"])
def test_attention_over_no_samples_costs_nothing(convention: str) -> None:
    attention = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    x = torch.zeros(0, 3, 4)
    assert thoplw.profile(attention, (x, x, x), convention=convention, verbose=False)[0] == 0
