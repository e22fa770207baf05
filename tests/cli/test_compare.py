"""``thoplw compare``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


def test_all_conventions(run: Run) -> None:
    result = run("compare", "resnet18")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "| macs         | 1814073344 | MACs   | 1.0000" in result.stdout
    assert "| torch        | 3628146688 | FLOPs  | 2.0000" in result.stdout
    assert "deepspeed - macs = 0.\n" in result.stdout
    assert "torch - macs = 1.81 G: a multiply-accumulate counted as two operations 1.81 G.\n" in result.stdout


def test_some_conventions_as_json(run: Run) -> None:
    found = json.loads(run("compare", "resnet18", "--conventions", "thop,macs", "--kind", "json").stdout)
    assert [each["name"] for each in found["conventions"]] == ["thop", "macs"]
    (difference,) = found["differences"]
    assert sum(term["difference"] for term in difference["terms"]) == difference["difference"]


def test_a_pair_by_layer(run: Run) -> None:
    result = run("compare", "resnet18", "--explain", "thoplw", "macs", "--by-layer", "--kind", "csv", "-o", "out.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    rows = list(csv.DictReader(Path("out.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0]["Layer"] == "bn1"
    assert sum(int(row["thoplw - macs"]) for row in rows[:-1]) == int(rows[-1]["thoplw - macs"]) == 9936872


def test_inputs_and_sizes(run: Run) -> None:
    single = run("compare", "resnet18", "--conventions", "macs", "--kind", "csv").stdout
    double = run("compare", "resnet18", "--conventions", "macs", "--kind", "csv", "--input", "2,3,224,224").stdout
    assert ("1814073344" in single, "3628146688" in double) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["resnet18", "--conventions", "macs,fvcor"], 2, "unknown convention 'fvcor'. Did you mean 'fvcore'"),
        (["resnet18", "--explain", "macs", "tho"], 2, "unknown convention 'tho'"),
        (["resnet18", "--kind", "html"], 2, "unknown kind 'html'"),
        (["resnet18", "--fmt", "ratio"], 2, "unknown fmt 'ratio'"),
        (["resnet81"], 1, "Did you mean"),
        (["resnet18", "--by-layer"], 2, "--by-layer needs --explain A B"),
        (["resnet18", "--explain", "macs", "thop", "--conventions", "macs"], 2, "leave --conventions out"),
    ],
)
def test_failures(arguments: list[str], code: int, words: str, run: Run) -> None:
    result = run("compare", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
