from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.releases import since
from torch import nn

import thoplw
from thoplw import Device, InputError, UnknownNameError


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))


def test_every_layer_has_a_time_beside_its_counts() -> None:
    times = thoplw.measure(net(), (2, 3, 8, 8), repeat=2, warmup=1)
    _, _, layers = thoplw.profile(net(), (2, 3, 8, 8), verbose=False)
    assert [row.name for row in times] == ["0", "1", "2", "3"] == [row.name for row in layers.rows]
    assert [row.row.macs for row in times] == [row.macs for row in layers.rows]
    assert all(row.latency > 0 for row in times)
    assert times.between > 0


def test_a_device_gives_floors_that_no_run_beats() -> None:
    mine = Device(name="mine", vector={"float32": 1e15}, bandwidth=1e15)
    times = thoplw.measure(net(), torch.rand(2, 3, 8, 8), mine, 1)
    assert times.roof == "mine"
    assert all(0 < row.of_roof < 1 for row in times if row.row.macs)
    assert times.rows[0].of_roof == pytest.approx(times.rows[0].row.floor / times.rows[0].latency)


def test_peaks_of_float32_are_those_of_tf32_where_a_device_has_it() -> None:
    times = thoplw.measure(net(), (2, 3, 8, 8), "h100-sxm", 1)
    assert (times.peaks["float32"], times.peaks["bfloat16"], times.bandwidth) == (494.7e12, 989.4e12, 3.35e12)


def test_a_model_in_a_wrapper_is_measured_without_it() -> None:
    times = thoplw.measure(nn.DataParallel(net()), (2, 3, 8, 8), repeat=1)
    assert [row.name for row in times] == ["0", "1", "2", "3"]
    assert times.between > 0


def test_keyword_inputs_and_inputs_at_any_depth_are_taken() -> None:
    class Takes(nn.Module):
        def forward(self, x: torch.Tensor, both: dict[str, torch.Tensor]) -> torch.Tensor:
            return x + both["y"]

    times = thoplw.measure(Takes(), thoplw.Inputs(torch.ones(2), both={"y": torch.ones(2)}), repeat=1)
    assert [row.name for row in times] == [""]


def test_a_model_whose_way_depends_on_values_is_counted_as_it_ran() -> None:
    class Decides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) if x.sum() > 0 else x

    times = thoplw.measure(Decides(), torch.ones(2, 3), repeat=1)
    assert times.rows[-1].row.macs == 2 * (3 + 1) * 3  # with the bias


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown device 'h100'\. Did you mean"):
        thoplw.measure(net(), (2, 3, 8, 8), "h100")
    with pytest.raises(InputError, match=r"is where a model runs.*move the model with model\.to\('cuda'\)"):
        thoplw.measure(net(), (2, 3, 8, 8), "cuda")
    with pytest.raises(InputError, match="repeat=0: give 1 or more runs"):
        thoplw.measure(net(), (2, 3, 8, 8), repeat=0)
    with pytest.raises(InputError, match=r"takes a torch\.nn\.Module, not str"):
        thoplw.measure("resnet18", (2, 3, 8, 8))  # type: ignore[arg-type] # as users do


class Timed(nn.Module):
    """Measures a part of itself, as somebody may who looks for what is slow."""

    def __init__(self, given: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.given = given

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        thoplw.measure(self.layer, x if self.given else (1, 4), repeat=1, warmup=0)
        return self.layer(x)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    "run", [thoplw.profile, pytest.param(thoplw.profile_training, marks=since("2.4")), thoplw.measure]
)
def test_a_forward_that_runs_without_values_is_not_measured(run: Callable[..., Any], given: bool) -> None:
    with pytest.raises(InputError, match="measure was called in a forward that thoplw runs on tensors without"):
        run(Timed(given), (1, 4))


@pytest.mark.parametrize("given", [True, False])
def test_a_forward_that_runs_with_values_may_be_measured(given: bool) -> None:
    model = Timed(given)
    macs, *_ = thoplw.profile(model, torch.zeros(1, 4), execute=True, verbose=False)
    assert macs == 20


def test_a_model_of_its_own_may_be_measured_meanwhile() -> None:
    class Other(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert thoplw.measure(nn.Linear(4, 4), (1, 4), repeat=1, warmup=0).latency > 0
            return x + 1

    assert thoplw.profile(Other(), (1, 4), verbose=False)[2].total_flops == 4
