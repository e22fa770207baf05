"""Floors by algebra, on devices whose figures are easy to divide by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.releases import since
from torch import nn
from torch.nn import functional as F

import thoplw
from thoplw.errors import InputError, UnknownNameError
from thoplw.estimate.devices import Device, device
from thoplw.estimate.roofline import Peak, Roof
from thoplw.report.layer_info import LayerInfo

#: Picoseconds count: 1000 GFLOP/s of contractions, 100 of the rest, 10 GB/s.
PLAIN = Device(name="plain", matrix={"float32": 1e12}, vector={"float32": 1e11}, bandwidth=1e10)

PICO = 1e12


def profiled(model: nn.Module, inputs: Any) -> LayerInfo:
    return thoplw.profile(model, inputs, verbose=False)[2]


def pico(seconds: float) -> int:
    return round(seconds * PICO)


def test_the_floor_is_the_largest_of_three_times() -> None:
    rows, inputs, outputs = 8, 16, 32
    layers = profiled(nn.Linear(inputs, outputs), (rows, inputs)).on(PLAIN)
    macs = rows * inputs * outputs
    size = 4 * (rows * inputs + inputs * outputs + outputs + rows * outputs)
    matrix, vector, memory = 2 * macs, 10 * rows * outputs, 100 * size  # in picoseconds
    (row,) = layers
    assert row["units"] == {"matrix": matrix, "vector": vector, "memory": memory}
    assert (pico(layers.floor), layers.bound) == (memory, "memory")
    # What the last cache may hold need not be read again.
    cached = Device(name="cached", matrix={"float32": 1e12}, vector={"float32": 1e11}, bandwidth=1e10, cache=size - 1)
    assert pico(profiled(nn.Linear(inputs, outputs), (rows, inputs)).on(cached).floor) == matrix
    fast = Device(name="fast", matrix={"float32": 1e12}, vector={"float32": 1e11}, bandwidth=1e13)
    assert profiled(nn.Linear(inputs, outputs), (rows, inputs)).on(fast).bound == "matrix"
    slow = Device(name="slow", matrix={"float32": 1e12}, vector={"float32": 1e8}, bandwidth=1e13)
    assert profiled(nn.Linear(inputs, outputs), (rows, inputs)).on(slow).bound == "vector"


def test_units_work_at_once_in_the_floor_and_one_after_the_other_in_eager() -> None:
    model = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Sigmoid(), nn.Linear(64, 64, bias=False))
    layers = profiled(model, (32, 64)).on(PLAIN)
    x, weight = 4 * 32 * 64, 4 * 64 * 64
    linear, sigmoid = 100 * (2 * x + weight), 100 * 2 * x
    assert pico(layers.eager) == 2 * linear + sigmoid
    assert pico(layers.floor) == 100 * (2 * x + 2 * weight)
    assert layers.floor < layers.eager
    assert [pico(row.eager) for row in layers] == [linear, sigmoid, linear]


def test_causal_attention_counts_without_what_the_mask_hides() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.scaled_dot_product_attention(x, x, x, is_causal=True)

    length, width = 8, 4
    layers = profiled(Attention(), (1, 1, length, width)).on(PLAIN)
    kept = length * (length + 1) // 2
    assert layers.profile.total["units"]["matrix"] == 2 * 2 * kept * width  # type: ignore[index] # it has parts
    assert layers.total_macs >= 2 * length * length * width


def test_types_have_peaks_of_their_own() -> None:
    model = nn.Linear(16, 16, bias=False, dtype=torch.bfloat16)
    layers = profiled(model, torch.empty(4, 16, dtype=torch.bfloat16))
    macs = 4 * 16 * 16
    twice = Device(name="twice", matrix={"bfloat16": 2e12, "float32": 1e12}, vector={"float32": 1e9}, bandwidth=1e10)
    (row,) = layers.on(twice)
    assert row["units"]["matrix"] == macs  # type: ignore[index] # it has parts
    (row,) = layers.on(twice, dtype="float32")
    assert row["units"]["matrix"] == 2 * macs  # type: ignore[index] # as above


def test_convolutions_may_be_rounded_unless_told_otherwise() -> None:
    h100 = device("h100-sxm")
    assert Roof(h100).matrix("float32").dtype == "tf32"
    assert Roof(h100, "float32").matrix("float32") == Peak(h100.vector["float32"], "float32", "vector")
    assert Roof(h100).matrix("bfloat16") == Peak(h100.matrix["bfloat16"], "bfloat16", "matrix")
    assert Roof(h100).matrix("float8_e4m3fn").dtype == "float8"
    assert Roof(h100).vector("bfloat16").rate == max(h100.vector["bfloat16"], h100.vector["float32"])
    # A type that a device has no peak for runs no faster than the fastest.
    assert Roof(PLAIN).matrix("bfloat16") == Peak(1e12, "float32", "matrix")


@pytest.mark.parametrize("name", ["bfloat16", "bf16", torch.bfloat16])
def test_a_type_goes_by_any_of_its_names(name: str | torch.dtype) -> None:
    h100 = device("h100-sxm")
    assert Roof(h100, name).matrix("float32") == Peak(h100.matrix["bfloat16"], "bfloat16", "matrix")


def test_rates_are_not_rounded() -> None:
    """A bandwidth of 1.25 bytes a second that counts as 1 has a floor above the time that the bytes take."""
    slow = Device(name="slow", vector={"float32": 0.5}, bandwidth=1.25)
    layers = profiled(nn.Linear(4, 4, bias=False), (2, 4)).on(slow)
    assert layers.profile.total["units"] == {"matrix": 2 * 32 * 2 * PICO, "memory": 4 * 32 * PICO / 1.25, "vector": 0}


class Sum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x


@pytest.mark.parametrize(("dtype", "more"), [("int8", 4), ("int16", 2), ("int64", 1), ("float16", 1), ("float32", 1)])
def test_more_whole_numbers_of_fewer_bytes_are_added_at_once(dtype: str, more: int) -> None:
    layers = profiled(Sum(), torch.zeros(100, dtype=getattr(torch, dtype))).on(PLAIN)
    assert layers.profile.total["units"]["vector"] == 100 * 10 // more  # type: ignore[index] # it has parts


def test_products_of_whole_numbers_run_no_faster_than_the_fastest() -> None:
    class Product(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x

    fast = Device(name="fast", matrix={"int8": 4e12}, vector={"float32": 1e12}, bandwidth=1e12)
    layers = profiled(Product(), torch.zeros(10, 10, dtype=torch.int16)).on(fast)
    assert layers.profile.total["units"]["matrix"] == 2 * 1000 / 4  # type: ignore[index] # it has parts


@pytest.mark.filterwarnings("ignore")
def test_dynamic_quantisation_multiplies_what_it_has_rounded() -> None:
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(64, 64)), {nn.Linear}, dtype=torch.qint8)
    fast = Device(name="fast", matrix={"int8": 4e12}, vector={"float32": 1e12}, bandwidth=1e12)
    layers = profiled(model, (8, 64)).on(fast)
    assert layers.profile.total["units"]["matrix"] == 2 * 8 * 64 * 64 // 4  # type: ignore[index] # it has parts


def test_no_such_peak_and_no_such_device() -> None:
    layers = profiled(nn.Linear(4, 4), (1, 4))
    with pytest.raises(UnknownNameError, match=r"unknown dtype of plain 'bfloat16'. Did you mean 'float32'\?"):
        layers.on(PLAIN, dtype="bfloat16")
    with pytest.raises(UnknownNameError, match=r"unknown dtype of plain 'bf16'. Known: float32$"):
        layers.on(PLAIN, dtype="bf16")
    with pytest.raises(UnknownNameError, match="h100-sxm"):
        layers.on("h100sxm")


@pytest.mark.parametrize(
    "asked",
    [
        lambda layers: layers.summary(columns=["floor"]),
        lambda layers: layers.summary(sort="eager"),
        lambda layers: layers.floor,
        lambda layers: layers.eager,
        lambda layers: layers.rows[0].floor,
    ],
)
def test_without_a_device_there_are_no_times_rather_than_zeros(asked: Callable[[LayerInfo], object]) -> None:
    with pytest.raises(InputError, match=r"needs a device: layers.on\('h100-sxm'\)"):
        asked(profiled(nn.Linear(4, 4), (1, 4)))


def test_a_report_on_a_device_says_which_peaks_it_has_met() -> None:
    layers = profiled(nn.Linear(4, 4), (1, 4)).on(PLAIN)
    assert layers.notes()[0] == "On plain: 1 TFLOP/s (float32, matrix), 100 GFLOP/s (float32, vector), 10 GB/s."
    table = layers.table()
    assert table.columns == ("Name", "Class", "FLOPs", "Compulsory", "FLOPs/byte", "Bound", "Floor")
    document = layers.to_dict()
    assert (document["device"], document["layers"][0]["floor"]) == ("plain", pico(layers.floor))
    assert "floor" not in profiled(nn.Linear(4, 4), (1, 4)).to_dict()["layers"][0]


def test_a_saved_report_has_its_times_and_gets_no_new_ones() -> None:
    from thoplw.report.document import from_document

    layers = profiled(nn.Linear(4, 4), (1, 4)).on(PLAIN)
    saved = LayerInfo(from_document(layers.to_dict()))
    assert (saved.profile, saved.floor, saved.summary()) == (layers.profile, layers.floor, layers.summary())
    with pytest.raises(InputError, match="profile the model again"):
        saved.on(PLAIN)


def test_a_sum_of_layers_has_no_floor_of_its_own() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    table = profiled(model, (1, 4)).on(PLAIN).table(columns=["name", "moved", "compulsory", "bound", "floor"], top=1)
    assert table.rows[1] == ("(2 more)", str(2 * 4 * (4 + 20 + 4)), "", "", "")


@since("2.4")
def test_training_has_a_floor() -> None:
    model = nn.Linear(64, 64, bias=False)
    report = thoplw.profile_training(model, (512, 64), verbose=False).on(PLAIN)
    macs = 512 * 64 * 64
    assert report.profile.total["units"]["matrix"] == 2 * 2 * macs  # type: ignore[index] # forward, and one gradient


# -- utilisation -------------------------------------------------------------------------------------------------------


def test_utilisation_names_what_it_divides() -> None:
    layers = thoplw.profile(nn.Linear(10, 10, bias=False), (100, 10), verbose=False, convention="macs")[2]
    found = layers.mfu(1e-6, PLAIN)
    assert float(found) == 2 * 100 * 100 / 1e-6 / 1e12
    assert (
        str(found) == "2.0 % MFU: 20 KFLOPs (macs: 2 for each MAC) in 1e-06 s, of 1 TFLOP/s (float32, matrix, of plain)"
    )
    assert found.to_dict()["mfu"] == float(found)


def test_utilisation_is_by_the_convention_of_the_report() -> None:
    layers = thoplw.profile(nn.Linear(10, 10), (100, 10), verbose=False, convention="flops")[2]
    found = layers.mfu(1, PLAIN)
    assert (found.flops, found.numerator) == (layers.total_macs, "flops")


@since("2.4")
def test_recomputation_is_no_work_of_the_model() -> None:
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Tanh())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return checkpoint(self.layer, x, use_reentrant=False)

    report = thoplw.profile_training(Checkpointed(), (4, 8), verbose=False)
    assert report.by_phase()["recomputation"] == 4 * 8 * 8
    found = report.mfu(1, PLAIN)
    assert found.flops == 2 * (report.total_macs - 4 * 8 * 8)
    assert "without recomputation" in found.numerator


def test_utilisation_refuses_what_it_cannot_divide() -> None:
    layers = profiled(nn.ReLU(), (4,))
    with pytest.raises(InputError, match="contracts nothing"):
        layers.mfu(1, PLAIN)
    with pytest.raises(InputError, match="give a time above 0"):
        layers.mfu(0, PLAIN)
