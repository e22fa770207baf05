"""``thoplw devices``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import Result

from thoplw import Device
from thoplw.capture.timing.machine import Machine
from thoplw.estimate.devices import devices

Run = Callable[..., Result]


def test_all_devices_are_listed_with_their_figures(run: Run) -> None:
    result = run("devices")
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(each.name in result.stdout for each in devices())
    (line,) = (line for line in result.stdout.splitlines() if "| h100-sxm " in line)
    assert "989.40 T" in line
    assert "3.35 T" in line


def test_all_words_must_be_there(run: Run) -> None:
    lines = run("devices", "nvidia", "A100").stdout.splitlines()
    assert len([line for line in lines if "a100-" in line]) == len(lines) - 2 == 4


def test_one_device_is_shown_with_the_sources_of_its_figures(run: Run) -> None:
    out = run("devices", "l4").stdout
    assert "  matrix bfloat16   121.00 TFLOP/s\n" in out
    assert "  matrix int8       242.00 TOP/s\n" in out
    assert "bandwidth" in out
    assert "https://www.techpowerup.com/gpu-specs/l4.c4091, read 20" in out


def test_no_such_device_is_a_failure(run: Run) -> None:
    result = run("devices", "abacus", "2")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: no device has 'abacus' and '2' in its name\n"


def test_a_name_that_is_nearly_one_is_suggested(run: Run) -> None:
    result = run("devices", "h100-sxn")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: unknown device 'h100-sxn'. Did you mean 'h100-sxm' or ")


def test_this_machine_is_measured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Machine(title="Abacus", products={"float32": 1e12}, bandwidth=2e10, memory=0, cache=0, how="with beads")
    monkeypatch.setattr("thoplw.capture.timing.machine.measured", lambda on, by: found)
    out = run("devices", "--measure", "cpu").stdout
    assert out.startswith("this-cpu: Abacus\n  vector float32      1.00 TFLOP/s\n")
    assert "memory             unknown\n" in out
    assert "with beads" in out
    assert Device.measure(name="mine", verbose=False).name == "mine"


def test_measuring_takes_no_words(run: Run) -> None:
    result = run("devices", "l4", "--measure", "cpu")
    assert result.exit_code == 2
    assert "--measure shows this machine, and not l4" in result.stderr
