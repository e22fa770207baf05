"""What runs under autograd on a device: by algebra, as no device is needed to count."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the imports below name
from checks.releases import file_since

file_since("2.14")

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from checks.laid_out import frozen
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import thoplw
from thoplw.capture.answers.device_kernels import DEVICE_KERNELS, decomposed_for
from thoplw.shapes import RULES

#: Both products of attention with 4 x 8 heads of 64 over 128 positions.
M = 2 * 4 * 8 * 128 * 128 * 64


class Attention(nn.Module):
    def __init__(self, dropout: float = 0.0, **options: Any) -> None:
        super().__init__()
        self.options = {"dropout_p": dropout, **options}

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *mask: torch.Tensor) -> Any:
        return F.scaled_dot_product_attention(query, key, value, *mask, **self.options)


def attended(model: nn.Module, *more: torch.Tensor, width: int = 64, dtype: torch.dtype = torch.float32) -> Any:
    """The report of it on CUDA."""
    given = (torch.zeros(4, 8, 128, width, dtype=dtype, requires_grad=True) for _ in "qkv")
    return thoplw.profile_training(model, (*given, *more), device="cuda")


def operators(report: Any) -> set[str]:
    return {name for row in report.modules for name in row.operators}


FLASH, EFFICIENT = "aten._scaled_dot_product_flash_attention", "aten._scaled_dot_product_efficient_attention"


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize(
    ("dtype", "kernel"), [(torch.float32, EFFICIENT), (torch.bfloat16, FLASH), (torch.float16, FLASH)]
)
def test_attention_computes_its_scores_anew(dtype: torch.dtype, kernel: str, dropout: float) -> None:
    """Five products backward for two forward, of which one is a recomputation: 7/2 of the forward."""
    report = attended(Attention(dropout, is_causal=True), dtype=dtype)
    assert report.by_phase() == {"forward": M, "recomputation": M // 2, "backward": 2 * M, "update": 0}
    assert 2 * report.total_macs == 134_217_728 * 7 // 2
    assert {kernel, f"{kernel}_backward"} <= operators(report)
    assert not report.uncounted


@pytest.mark.parametrize(
    ("model", "options"),
    [(Attention(), {"dtype": torch.float64}), (Attention(), {"width": 62})],
    ids=["no kernel for the type", "no pieces of 16 bytes"],
)
def test_attention_is_written_out_where_no_kernel_takes_it(model: nn.Module, options: dict[str, Any]) -> None:
    report = attended(model, **options)
    m = M * options.get("width", 64) // 64
    assert report.by_phase() == {"forward": m, "recomputation": 0, "backward": 2 * m, "update": 0}


def test_attention_is_written_out_where_somebody_says_so() -> None:
    class Written(Attention):
        def forward(self, *given: torch.Tensor) -> Any:
            with sdpa_kernel(SDPBackend.MATH):
                return super().forward(*given)

    assert attended(Written()).by_phase()["recomputation"] == 0


def test_masks_are_for_the_efficient_kernel() -> None:
    report = attended(Attention(), torch.ones(128, 128, dtype=torch.bool), dtype=torch.bfloat16)
    assert EFFICIENT in operators(report)
    assert report.by_phase()["recomputation"] == M // 2


def test_heads_that_share_keys_are_for_flash_attention() -> None:
    query, shared = torch.zeros(2, 8, 16, 32, requires_grad=True), torch.zeros(2, 2, 16, 32, requires_grad=True)
    model, m = Attention(enable_gqa=True), 2 * 2 * 8 * 16 * 16 * 32
    whole = thoplw.profile_training(model, (query, shared, shared), device="cuda")
    half = thoplw.profile_training(model, tuple(each.bfloat16() for each in (query, shared, shared)), device="cuda")
    assert whole.by_phase() == {"forward": m, "recomputation": 0, "backward": 2 * m, "update": 0}
    assert half.by_phase() == {"forward": m, "recomputation": m // 2, "backward": 2 * m, "update": 0}


def test_odd_widths_are_filled_up_for_flash_attention() -> None:
    report = attended(Attention(), width=60, dtype=torch.bfloat16)
    assert report.by_phase()["forward"] == M
    assert report.modules[0].output_shapes == ((4, 8, 128, 60),)


def test_dropout_keeps_its_mask() -> None:
    """A product with a scale and one with the mask, both ways."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1))
    report = thoplw.profile_training(model, (3, 4), convention="flops", device="cuda")
    (row,) = (row for row in report.modules if row.name == "1")
    assert set(row.operators) == {"aten.native_dropout", "aten.native_dropout_backward"}
    assert row.phases["backward"] == 2 * 12


def test_batch_norm_is_that_of_cudnn() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    here, there = (
        thoplw.profile_training(model, (2, 3, 8, 8), convention="flops", device=each) for each in DEVICE_KERNELS
    )
    assert {"aten.cudnn_batch_norm", "aten.cudnn_batch_norm_backward"} <= operators(there)
    assert here.by_phase() == there.by_phase()
    flat = thoplw.profile_training(nn.BatchNorm1d(4), (3, 4), device="cuda")
    assert "aten.native_batch_norm" in operators(flat)


@pytest.mark.parametrize(
    ("make", "macs"),
    [
        (lambda: nn.LSTM(4, 5, 2), 4 * 5 * (4 + 5 + 5 + 5)),
        (lambda: nn.GRU(4, 5, batch_first=True), 3 * 5 * (4 + 5)),
        (lambda: nn.RNN(4, 5, bias=False, bidirectional=True), 2 * 5 * (4 + 5)),
        (lambda: nn.RNN(4, 5, nonlinearity="relu"), 5 * (4 + 5)),
        (lambda: nn.LSTM(4, 5, proj_size=3), 4 * 5 * (4 + 3) + 3 * 5),
    ],
    ids=["LSTM", "GRU", "RNN", "RNN of ReLU", "LSTM with projection"],
)
def test_recurrent_layers_make_the_gradient_of_their_input_in_any_case(
    make: Callable[[], nn.Module], macs: int
) -> None:
    report = thoplw.profile_training(make(), (2, 7, 4), device="cuda")
    m = 2 * 7 * macs
    assert report.by_phase() == {"forward": m, "recomputation": 0, "backward": 2 * m, "update": 0}
    assert "aten._cudnn_rnn_backward" in operators(report)
    assert not report.uncounted


def test_gradients_of_recurrent_layers_are_as_what_they_are_of() -> None:
    x, state, weight = torch.zeros(7, 2, 4), torch.zeros(1, 2, 5), torch.zeros(5, 4)
    rule = RULES["aten._cudnn_rnn_backward"]
    shapes = [each.shape for each in rule(*frozen((x, [weight], 2, weight, state, state)))[:3]]
    assert shapes == [(7, 2, 4), (1, 2, 5), (1, 2, 5)]
    *_, of_cell, of_weights = rule(*frozen((x, [weight], 2, weight, state, None)))
    assert (of_cell.shape, [each.shape for each in of_weights]) == ((0,), [(5, 4)])


def test_a_cell_is_one_kernel_beside_its_products() -> None:
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(4, 5)

        def forward(self, x: torch.Tensor) -> Any:
            return self.cell(x)

    report = thoplw.profile_training(Cell(), (3, 4), device="cuda")
    m = 3 * 4 * 5 * (4 + 5)
    assert report.by_phase()["forward"] == m
    assert "aten._thnn_fused_lstm_cell" in operators(report)


def test_optimizers_work_on_lists() -> None:
    here, there = (
        thoplw.profile_training(
            nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3)), (2, 4), optimizer="adamw", convention="flops", device=each
        )
        for each in DEVICE_KERNELS
    )
    assert "aten._foreach_lerp_" in operators(there) - operators(here)
    weights = 4 * 5 + 5 + 5 * 3 + 3
    for report in (here, there):
        assert 11 * weights <= report.by_phase()["update"] < 12 * weights


def test_the_forward_does_as_many_products_as_on_the_cpu() -> None:
    model = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True)
    here, there = (
        thoplw.profile_training(model, (3, 7, 16), device=each, optimizer="adamw", memory=True)
        for each in DEVICE_KERNELS
    )
    assert here.by_phase()["forward"] == there.by_phase()["forward"]
    assert here.by_phase()["backward"] == there.by_phase()["backward"]
    assert there.by_phase()["recomputation"] == 3 * 7 * 7 * 16 > here.by_phase()["recomputation"] == 0


def test_nothing_is_left_of_it_and_other_threads_have_their_own() -> None:
    x = torch.ones(3, 4, requires_grad=True)
    with decomposed_for("cuda", lambda _: False):
        assert type(F.dropout(x, 0.5).grad_fn).__name__ == "MulBackward0"
    with decomposed_for("cuda", lambda _: True):
        assert type(F.dropout(x, 0.5).grad_fn).__name__ == "NativeDropoutBackward0"
    assert type(F.dropout(x, 0.5).grad_fn).__name__ == "MulBackward0"
    with pytest.raises(ZeroDivisionError), decomposed_for("cuda", lambda _: True):
        raise ZeroDivisionError
    assert type(F.dropout(x, 0.5).grad_fn).__name__ == "MulBackward0"


def test_an_unknown_device_is_said() -> None:
    with pytest.raises(thoplw.UnknownNameError, match="cuda"):
        thoplw.profile_training(nn.Linear(4, 4), (2, 4), device="cuda:0")
