"""The mirror of DeepSpeed's flops profiler, against what was recorded of it, and the record against the tool itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.pricing import peers
from torch import nn
from torch.nn import functional

from thoplw.capture import capture

#: Model -> why the two differ there; docs/mirrors/deepspeed.md has more.
EXCEPTIONS: dict[str, str] = {}

#: Small, so that running them for real takes seconds, and of many kinds.
SIDE_BY_SIDE = "mobilenet_v3_small squeezenet1_1 deit_tiny_patch16_224 lstm bert llama encoder upsampling"


@pytest.mark.parametrize("model", peers.MODELS)
def test_mirror(model: str) -> None:
    peers.check("deepspeed", model, EXCEPTIONS)


@pytest.mark.parametrize("model", SIDE_BY_SIDE.split())
def test_record(model: str) -> None:
    peers.check_side_by_side("deepspeed", model)


class Calls(nn.Module):
    """Something that runs in a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Attends(nn.Module):
    """Attention with 2 heads of 8 features; the values are the keys."""

    def __init__(self, to: int | None = None, **options: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, **options)
        self.to = to

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        other = x if self.to is None else x[:, : self.to]
        return self.attention(x, other, other, need_weights=False)[0]


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
