"""Single layers and functions by the mirror of torch's flop counter, with figures as its rules give them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torchvision
from checks import peers
from checks.calls import call, f32
from checks.example_layers import calling, complex_numbers, layer
from checks.recorded import recorded, work
from checks.releases import file_since, older, since
from torch import nn
from torch.nn import functional as F

import thoplw
from thoplw.capture import capture
from thoplw.pricing import find
from thoplw.record import TensorSpec

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
    "linear, of one feature: by vector": (calling(F.linear, (3, 4), (4,)), 0),
    "addmv": (calling(torch.addmv, (3,), (3, 4), (4,)), 0),
    "addmm: the addition is free": (calling(torch.addmm, (5,), (3, 4), (4, 5)), 2 * 3 * 4 * 5),
    "addmm in place: another operator": (calling(lambda x, a, b: x.addmm_(a, b), (3, 5), (3, 4), (4, 5)), 0),
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

if older("2.5"):
    del CASES["grouped queries"], CASES["grouped queries without samples"]


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


@since("2.5", "its counter does not see operators of others before")
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


def test_a_registered_formula_says_nothing_of_the_operator_in_place() -> None:
    def formula(shape: torch.Size, *, out_shape: torch.Size) -> int:
        return 3 * shape.numel()

    register_flop_formula(torch.ops.aten.relu)(formula)
    try:
        for in_place in (False, True):
            model, x = nn.ReLU(inplace=in_place), torch.ones(2, 5)
            with FlopCounterMode(display=False) as counter:
                model(x)
            assert counter.get_total_flops() == (0 if in_place else 30)
            assert thoplw.profile(model, x, convention="torch", verbose=False)[0] == counter.get_total_flops()
    finally:
        del flop_registry[torch.ops.aten.relu]


def test_a_registered_formula_that_takes_tensors_gets_their_shapes(scaled: nn.Module) -> None:
    def formula(x: torch.Tensor, by: int, *, out_val: torch.Tensor) -> int:
        assert x.stride() == (15, 5, 1)
        return x.numel() * by + out_val.dim() * out_val.element_size()

    register_flop_formula(torch.ops.thoplw_registered.scale, get_raw=True)(formula)
    assert thoplw.profile(scaled, (2, 3, 4), convention="torch", verbose=False)[0] == 2 * 6 * 4 * 5 + 30 * 3 + 3 * 4


@pytest.mark.parametrize("case", CASES)
def test_case_side_by_side(case: str) -> None:
    peers.require("torch")
    (model, inputs), figure = CASES[case]
    assert peers.measure("torch", model, inputs)["figure"] == figure


# -- a training step, which its counter sees kernel by kernel on the CPU -----------------------------------------------


def heads_of(*lengths: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.randn(2, 4, length, 8, requires_grad=True) for length in lengths)


STEPS = {
    "convolutions, the second in groups: its weight's gradient is counted 4 times": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3, groups=4), nn.ConvTranspose2d(12, 4, 3, groups=2)
    )(torch.randn(2, 3, 9, 9)),
    "a convolution in one dimension": lambda: nn.Conv1d(4, 6, 3)(torch.randn(2, 4, 9, requires_grad=True)),
    "linear layers": lambda: nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))(torch.randn(2, 4, 8)),
    "attention, which it does not know on the CPU": lambda: attention(*heads_of(7, 9, 9)),
    "batch norm": lambda: nn.BatchNorm2d(4)(torch.randn(2, 4, 3, 3, requires_grad=True)),
}


@since("2.4")
@pytest.mark.parametrize("forward", STEPS.values(), ids=STEPS)
def test_a_training_step_is_what_its_counter_says(forward: Callable[[], torch.Tensor]) -> None:
    with FlopCounterMode(display=False) as counter:
        forward().sum().backward()
    calls = recorded(lambda: forward().sum().backward())
    assert work(calls, find("torch").operators).flops == counter.get_total_flops()


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("flash_attention", (f32(1), f32(1), None, None, 7, 9, 0.0, False, f32(1), f32(1))),
        ("efficient_attention", (None, f32(1), f32(1), f32(1), f32(1), 0.0, (True, True, True, False))),
        pytest.param(
            *("cudnn_attention", (f32(1), f32(1), f32(1), f32(1), None, None, None, 7, 9, 0.0, False)),
            marks=since("2.5"),
        ),
    ],
)
def test_gradients_of_attention_are_what_its_formula_says(name: str, more: tuple[Any, ...]) -> None:
    shapes = (2, 4, 7, 3), (2, 4, 7, 8), (2, 4, 9, 8), (2, 4, 9, 3)
    target = f"_scaled_dot_product_{name}_backward"
    record = call(target, *(f32(*shape) for shape in shapes), *more, out=())
    formula = flop_registry[getattr(torch.ops.aten, target)]
    expected = formula(*(torch.empty(shape, device="meta") for shape in shapes), out_val=None)
    assert find("torch").operators[record.target](record).flops == expected


@since("2.9", "its formula reads values before")
def test_gradients_of_packed_attention_are_as_of_the_longest() -> None:
    shapes = (5, 4, 8), (5, 4, 8), (5, 4, 8), (5, 4, 8), (5, 4, 8), (4, 5)
    ends = TensorSpec(shape=(3,), dtype="int32", strides=(1,), values=(0, 3, 5))
    record = call("_flash_attention_backward", *(f32(*shape) for shape in shapes), ends, ends, 3, 3, 0.0, False, out=())
    meta = [torch.empty(shape, device="meta") for shape in shapes]
    ends_on_meta = torch.empty(3, dtype=torch.int32, device="meta")
    formula = flop_registry[torch.ops.aten._flash_attention_backward]
    expected = formula(*meta, ends_on_meta, ends_on_meta, 3, 3, 0.0, False, out_val=None)
    assert find("torch").operators[record.target](record).flops == expected == 2 * 2 * 9 * 4 * 5 * 8


@since("2.4")
def test_a_depthwise_network_counts_many_times() -> None:
    model, picture = torchvision.models.mobilenet_v2(), (1, 3, 224, 224)
    figures = [
        thoplw.profile_training(model, picture, convention=convention, verbose=False).total_macs
        for convention in ("torch", "macs")
    ]
    assert figures == [12_279_700_992, 1_782_969_600 // 2]
