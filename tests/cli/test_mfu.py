"""``thoplw mfu``, and ``thoplw profile --on``."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from checks.releases import since, working_transformers
from typer.testing import Result

Run = Callable[..., Result]
Write = Callable[..., str]

#: 2 x 4 x 8 = 64 multiply-accumulates, and 989.4 TFLOP/s.
NET = "def build():\n    return nn.Linear(4, 8, bias=False)"


@pytest.fixture
def net(write: Write) -> str:
    return f"{write(NET)}:build"


def test_the_answer_names_what_was_divided_by_what(run: Run, net: str) -> None:
    given = ("mfu", net, "--input", "2,4", "--seconds", "1e-9", "--device", "h100-sxm", "--dtype", "bfloat16")
    result = run(*given)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(
        "0.0 % MFU: 128 FLOPs (macs: 2 for each MAC) in 1e-09 s, of 989.4 TFLOP/s (bfloat16"
    )
    found = json.loads(run(*given, "--kind", "json").stdout)
    assert found["mfu"] == pytest.approx(128 / 1e-9 / 989.4e12)


def test_a_device_is_named_as_for_the_other_commands(run: Run, net: str) -> None:
    given = ("mfu", net, "--input", "2,4", "--seconds", "1")
    assert run(*given, "--on", "l4").stdout == run(*given, "--device", "l4").stdout != ""


def test_more_than_the_peak_is_doubted(run: Run, net: str) -> None:
    given = ("mfu", net, "--input", "2,4", "--device", "h100-sxm", "--dtype", "bf16", "--seconds")
    assert "No run is above 100 %: time, device or type" in run(*given, "1e-14").stdout
    assert "100 %" not in run(*given, "1").stdout
    assert "Invalid value for '--seconds': 0.0 is no number above 0" in run(*given, "0").stderr


@since("2.4")
def test_a_training_step_has_its_backward(run: Run, net: str) -> None:
    given = ("mfu", net, "--input", "2,4", "--seconds", "1", "--device", "h100-sxm", "--training", "--kind", "json")
    assert json.loads(run(*given).stdout)["flops"] == 2 * 128  # inputs need no gradient


def test_a_formula_of_training_says_so(run: Run) -> None:
    working_transformers()
    out = run("mfu", "hf:gpt2", "--seq", "8", "--seconds", "1", "--device", "h100-sxm", "--convention", "6n").stdout
    assert "(6n, of a training step) in 1 s" in out


def test_an_unknown_device_is_wrong_usage(run: Run, net: str) -> None:
    for command in (("mfu", net, "--seconds", "1", "--device"), ("profile", net, "--on")):
        result = run(*command, "h100sxm", "--input", "2,4")
        assert result.exit_code == 2
        assert "h100-sxm" in result.stderr


def test_a_profile_on_a_device(run: Run, net: str) -> None:
    result = run("profile", net, "--input", "2,4", "--on", "h100-sxm", "--kind", "md")
    assert result.exit_code == 0, result.stderr
    head, _, row, *_ = result.stdout.splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")][-3:] == ["FLOPs/byte", "Bound", "Floor"]
    assert "memory" in row
    assert "On NVIDIA H100 SXM5 80 GB:" in result.stdout + result.stderr


def test_what_needs_a_device(run: Run, net: str) -> None:
    for option, value in (("--columns", "name,floor"), ("--sort", "floor")):
        error = run("profile", net, "--input", "2,4", option, value).stderr
        assert f"Invalid value for '{option}': floor needs a device: name it with --on" in error
    assert "--on" in run("profile", net, "--input", "2,4", "--dtype", "tf32").stderr
