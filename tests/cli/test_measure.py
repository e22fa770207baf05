"""``thoplw measure``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]
Write = Callable[..., str]

NET = "def build():\n    return nn.Sequential(nn.Linear(4, 8), nn.ReLU())"


@pytest.fixture
def net(write: Write) -> str:
    return f"{write(NET)}:build"


def test_a_table_has_every_layer_and_what_lies_between(run: Run, net: str) -> None:
    result = run("measure", net, "--input", "2,4", "--repeat", "2", "--warmup", "0")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("|")] == [
        *("Name", "0", "1", "(between layers)", "Total")
    ]
    assert "2 runs with timers, and 2 without, on a CPU" in result.stdout


def test_a_roof_adds_a_column(run: Run, net: str) -> None:
    out = run("measure", net, "--input", "2,4", "--repeat", "1", "--roof", "core-i7-6700k").stdout
    assert "Of roof" in out
    assert "No run takes less than the floor on core-i7-6700k" in out


def test_a_trace_for_chrome_is_written(run: Run, net: str) -> None:
    result = run("measure", net, "--input", "2,4", "--repeat", "1", "--kind", "chrome", "-o", "trace.json")
    assert (result.exit_code, result.stdout) == (0, "")
    events = json.loads(Path("trace.json").read_text(encoding="utf-8"))["traceEvents"]
    assert [event["name"] for event in events if event["ph"] == "X"] == ["(model)", "0", "1"]


def test_columns_are_chosen_and_times_are_written_in_full(run: Run, net: str) -> None:
    result = run("measure", net, "--input", "2,4", "--kind", "csv", "--columns", "name,latency,macs", "--top", "1")
    header, first, more, between, total = result.stdout.splitlines()
    assert header == "Name,ms,MACs"
    assert float(first.split(",")[1]) > 0
    assert more.startswith("(1 more),")
    assert between.endswith(",")
    assert total.endswith(",80")
    assert result.stderr.startswith("thoplw: 5 runs with timers, and 5 without")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--roof", "h100"], "unknown device 'h100'. Did you mean"),
        (["--columns", "time"], "unknown column 'time'"),
        (["--kind", "tree"], "unknown kind 'tree'"),
        (["--device", "abacus"], "runs are timed on cpu, cuda or cuda:1, and not on 'abacus'"),
        (["--device", "cuda:99"], "there is no device 'cuda:99' on this machine: "),
        (["--sort", "floor"], "floor needs a device: name it with --roof, as in --roof h100-sxm"),
        (["--columns", "of roof"], "of roof needs a device: name it with --roof, as in --roof h100-sxm"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, net: str, options: list[str], words: str) -> None:
    result = run("measure", net, "--input", "2,4", "--repeat", "1", *options)
    assert result.exit_code in (1, 2)
    assert words in " ".join(result.stderr.replace("│", " ").split())
