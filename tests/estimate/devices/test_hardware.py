import re
from typing import Any

import pytest

from thoplw import Device, InputError, UnknownNameError
from thoplw.capture.timing.machine import Machine


def test_a_device_of_ones_own_keeps_its_figures() -> None:
    mine = Device(name="mine", vector={"float32": 2e12}, bandwidth=100e9)
    assert (mine.vector["float32"], mine.bandwidth, mine.matrix, mine.cache) == (2e12, 100e9, {}, 0)


def test_a_peak_of_an_unknown_dtype_is_refused_with_a_suggestion() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown dtype of a matrix peak of mine 'bf16'\. Did you mean 'bfloat16'"
    ):
        Device(name="mine", matrix={"bf16": 1e12}, bandwidth=1e9)


def test_a_device_without_a_peak_is_refused() -> None:
    with pytest.raises(InputError, match="has no peak: give it one, such as vector="):
        Device(name="mine", bandwidth=1e9)


@pytest.mark.parametrize("figure", [0, -1, float("inf"), float("nan"), True, None, "1e12"])
def test_a_figure_that_is_no_positive_number_is_refused(figure: Any) -> None:
    with pytest.raises(InputError, match="as its bandwidth: give a positive number"):
        Device(name="mine", vector={"float32": 1e12}, bandwidth=figure)
    with pytest.raises(InputError, match="as its vector peak of float32"):
        Device(name="mine", vector={"float32": figure}, bandwidth=1e9)


def test_peaks_that_are_no_dictionary_are_refused() -> None:
    with pytest.raises(InputError, match="as its vector peaks: give a dictionary"):
        Device(name="mine", vector=[("float32", 1e12)], bandwidth=1e9)  # type: ignore[arg-type] # that is what is tested


def test_a_cache_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="'1' as its cache"):
        Device(name="mine", vector={"float32": 1e12}, bandwidth=1e9, cache="1")  # type: ignore[arg-type] # as above


def test_a_negative_cache_is_refused() -> None:
    with pytest.raises(InputError, match="as its cache: give a positive number, or 0 if it is not known"):
        Device(name="mine", vector={"float32": 1e12}, bandwidth=1e9, cache=-1)


def test_a_measured_device_says_that_and_how_it_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    products = {"float64": 5e11, "float32": 1e12, "float16": 1e9, "bfloat16": 4e12}
    found = Machine(title="Abacus", products=products, bandwidth=2e10, memory=2**33, cache=2**25, how="with beads")
    monkeypatch.setattr("thoplw.capture.timing.machine.measured", lambda on, by: found)
    mine = Device.measure()
    assert mine.name == "this-cpu"
    assert mine.vector == {"float64": 5e11, "float32": 1e12}
    assert mine.matrix == {"bfloat16": 4e12}  # faster than float32; float16 is slower, as it is emulated
    assert (mine.bandwidth, mine.memory, mine.cache) == (2e10, 2**33, 2**25)
    assert re.fullmatch(r"measured on \d{4}-\d\d-\d\d: with beads", mine.note)
    assert {source.by for sources in mine.sources.values() for source in sources} == {"measured"}
    assert "thoplw: measured Abacus: 500 GFLOP/s in float64, 1 TFLOP/s in float32" in capsys.readouterr().err.replace(
        ".00", ""
    )
