"""The part of a peak that a run reached, with what was divided by what."""

from __future__ import annotations

import json

from thoplw.report.utilisation import Utilisation


def of(flops: int, seconds: float) -> Utilisation:
    return Utilisation(flops=flops, seconds=seconds, peak=2e12, numerator="macs", denominator="bfloat16, matrix, of a")


def test_it_is_operations_by_time_by_peak() -> None:
    half = of(4 * 10**11, 0.4)
    assert float(half) == 0.5
    assert str(half) == "50.0 % MFU: 400 GFLOPs (macs) in 0.4 s, of 2 TFLOP/s (bfloat16, matrix, of a)"


def test_more_than_all_of_a_peak_is_doubted() -> None:
    assert "No run is above 100 %" not in str(of(2 * 10**12, 1))
    assert str(of(3 * 10**12, 1)).startswith("150.0 % MFU")
    assert "No run is above 100 %: time, device or type are of another one" in str(of(3 * 10**12, 1))


def test_plain_values_are_exact() -> None:
    found = json.loads(json.dumps(of(2**62, 0.25).to_dict()))
    assert found["flops"] == 2**62
    assert found["mfu"] == found["flops"] / found["seconds"] / found["peak"]
