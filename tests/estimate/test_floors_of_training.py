"""Floors of training steps by algebra: what phases and steps move, on a device that moves a byte in 100 picoseconds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.releases import file_since
from torch import nn
from torch.utils.checkpoint import checkpoint

import thoplw
from thoplw import Device, InputError
from thoplw.report.layer_info import LayerInfo

file_since("2.4")

#: So fast that the memory is what takes longest, but for what tests say.
PLAIN = Device(name="plain", matrix={"float32": 1e15}, vector={"float32": 1e15}, bandwidth=1e10)

BYTE = 100  # picoseconds

BATCH = 8

#: Bytes of the weights of the layers, and of the inputs.
FIRST, SECOND, INPUTS = 4 * 64 * 32, 4 * 32 * 16, 4 * BATCH * 64


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 32, bias=False), nn.Linear(32, 16, bias=False))


def report(model: nn.Module, inputs: Any = (BATCH, 64), optimizer: Any = None, **options: Any) -> LayerInfo:
    return thoplw.profile_training(model, inputs, optimizer=optimizer, verbose=False, **options)


def phases(layers: LayerInfo, on: Device = PLAIN) -> dict[str, int]:
    """Picoseconds of each."""
    return {phase: round(seconds * 1e12) for phase, seconds in layers.on(on).floor_by_phase().items()}


@pytest.mark.parametrize(
    ("optimizer", "states"),
    [
        ("sgd", 0),
        (lambda trained: torch.optim.SGD(trained, lr=0.1, momentum=0.9), 1),
        ("adagrad", 1),
        ("adamw", 2),
        (lambda trained: torch.optim.AdamW(trained, foreach=True), 2),
        (lambda trained: torch.optim.AdamW(trained, fused=True), 2),
        (lambda trained: torch.optim.Adam(trained, amsgrad=True), 3),
    ],
)
def test_an_update_reads_and_writes_weights_and_states(optimizer: Any, states: int) -> None:
    found = report(layers(), optimizer=optimizer)
    weights = FIRST + SECOND
    kept = states * weights
    # Whatever the order: a gradient may be used up as it comes.
    assert found.compulsory == (weights + INPUTS + kept) + (weights + kept)
    assert phases(found) == {
        "forward": BYTE * (weights + INPUTS),
        "recomputation": 0,
        "backward": BYTE * (SECOND + weights),  # nothing goes back to the inputs
        "update": BYTE * ((weights + weights + kept) + (weights + kept)),
    }
    assert found.on(PLAIN).floor == BYTE * found.compulsory / 1e12


def test_without_an_update_gradients_are_what_a_step_leaves() -> None:
    found = report(layers())
    assert found.compulsory == (FIRST + SECOND + INPUTS) + (FIRST + SECOND)
    assert phases(found)["update"] == 0


def test_frozen_weights_are_read_on_the_way_back_and_have_no_gradient() -> None:
    model = layers()
    model[1].requires_grad_(False)
    found = report(model, optimizer="adamw")
    assert found.compulsory == (FIRST + SECOND + INPUTS + 2 * FIRST) + 3 * FIRST
    assert phases(found)["backward"] == BYTE * (SECOND + FIRST)
    model = layers()
    model[0].requires_grad_(False)
    assert phases(report(model, optimizer="adamw"))["backward"] == BYTE * SECOND  # the gradient of the second


def test_a_table_is_looked_up_by_rows_and_updated_as_a_whole() -> None:
    words, width, tokens = 1000, 8, 5
    model = nn.Sequential(nn.Embedding(words, width))
    found = report(model, torch.zeros(1, tokens, dtype=torch.int64), optimizer="sgd")
    table, rows, ids = 4 * words * width, 4 * tokens * width, 8 * tokens
    assert found.compulsory == (table + ids) + table
    assert phases(found) == {
        "forward": BYTE * (rows + ids),
        "recomputation": 0,
        "backward": BYTE * table,
        "update": BYTE * 3 * table,
    }


def test_a_sparse_gradient_updates_no_more_than_is_known() -> None:
    model = nn.Sequential(nn.Embedding(1000, 8, sparse=True))
    rows, ids = 4 * 5 * 8, 8 * 5
    assert report(model, torch.zeros(1, 5, dtype=torch.int64)).compulsory == rows + ids


def test_a_weight_that_modules_share_counts_once() -> None:
    model = nn.Sequential(nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False))
    model[1].weight = model[0].weight
    weight, inputs = 4 * 32 * 32, 4 * BATCH * 32
    found = report(model, (BATCH, 32), optimizer="sgd")
    assert found.compulsory == (weight + inputs) + weight
    assert phases(found)["update"] == BYTE * 3 * weight


def test_a_convolution_takes_its_weight_only_to_go_further_back() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 5, 3, bias=False))
    first, second = 4 * 4 * 3 * 9, 4 * 5 * 4 * 9
    assert phases(report(model, (2, 3, 16, 16)))["backward"] == BYTE * (second + first + second)


def test_what_may_be_another_tensor_is_no_weight_that_must_be_read() -> None:
    """The gradient of the output looks like the weight: a product of the backward pass may take either."""
    model = nn.Sequential(nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False))
    weight = 4 * 16 * 16
    assert phases(report(model, (16, 16)))["backward"] == BYTE * 2 * weight


def test_what_a_module_makes_on_the_way_may_look_like_its_weight() -> None:
    """The gradient of the weight takes what was made, and nothing goes back through the weight."""

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(16, 16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x[:, :16].relu() @ self.weight).mean()

    assert phases(report(Half(), (16, 32)))["backward"] == BYTE * 4 * 16 * 16


def test_a_cache_spares_what_is_there_at_the_beginning_and_at_the_end() -> None:
    found = report(layers(), optimizer="adamw")
    weights, spared = FIRST + SECOND, 1000
    cached = Device(name="c", matrix=PLAIN.matrix, vector=PLAIN.vector, bandwidth=PLAIN.bandwidth, cache=spared)
    assert phases(found, cached)["update"] == BYTE * ((4 * weights - spared) + (3 * weights - spared))
    assert phases(found, cached)["forward"] == BYTE * (weights + INPUTS - spared)
    assert found.on(cached).floor == BYTE * (found.compulsory - 2 * spared) / 1e12


def test_each_phase_has_the_arithmetic_that_it_does() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(64, 32, bias=False), nn.Tanh(), nn.Linear(32, 16, bias=False))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return checkpoint(self.layers, x, use_reentrant=False)

    slow = Device(name="slow", vector={"float32": 1e9}, bandwidth=1e15)  # a FLOP takes 1000 picoseconds
    first, second = 2 * BATCH * 64 * 32, 2 * BATCH * 32 * 16
    found = report(Checkpointed(), optimizer="sgd")
    times = phases(found, slow)
    assert times["forward"] == 1000 * (first + second)
    assert times["recomputation"] == 1000 * first  # the output of the last is not needed
    assert times["backward"] == 1000 * (first + 2 * second)
    assert times["update"] == 1000 * (FIRST + SECOND) // 4  # as the convention has it, one for each weight
    assert found.on(slow).floor == 1000 * (3 * first + 3 * second) / 1e12


def test_phases_together_take_no_less_than_the_step() -> None:
    found = report(layers(), optimizer="adamw").on(PLAIN)
    assert sum(found.floor_by_phase().values()) > found.floor
    assert "Floors of phases by themselves: forward 1.23 us, backward 1.23 us, update 7.17 us." in found.notes()


def test_modules_have_phases_too() -> None:
    found = report(layers(), optimizer="sgd").on(PLAIN)
    row = next(row for row in found.rows if row.name == "1")
    x, y = 4 * BATCH * 32, 4 * BATCH * 16
    assert round(row.floor_by_phase()["forward"] * 1e12) == BYTE * (SECOND + x + y)
    assert round(row.floor_by_phase()["update"] * 1e12) == BYTE * 3 * SECOND
    assert row.compulsory == (SECOND + x + y) + SECOND


def test_a_forward_alone_has_no_phases_and_a_report_without_a_device_has_no_floors() -> None:
    forward = thoplw.profile(layers(), (BATCH, 64), verbose=False)[2]
    assert forward.on(PLAIN).floor_by_phase() == {}
    assert "phase_floors" not in forward.on(PLAIN).to_dict()["layers"][0]
    with pytest.raises(InputError, match="needs a device"):
        report(layers()).floor_by_phase()


def test_a_saved_report_keeps_the_floors_of_phases() -> None:
    from thoplw.report.document import from_document

    found = report(layers(), optimizer="adamw").on(PLAIN)
    assert LayerInfo(from_document(found.to_dict())).floor_by_phase() == found.floor_by_phase()
