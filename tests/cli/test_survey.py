"""``thoplw survey``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import thoplw.api.survey
from thoplw.api.survey import Entry

Run = Callable[..., Result]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were profiled; none really is, as the processes have tests of their own."""
    names: list[str] = []

    def survey(todo: Sequence[str], *, convention: str, **options: Any) -> Iterator[Entry]:
        for index, name in enumerate(reversed(todo), 1):
            names.append(name)
            error = "it is old" if name == "alexnet" else None
            macs = None if error else 1000 * index
            figures = {} if error else {"macs": macs, "flops": macs, "params": macs}
            yield Entry(name=name, convention=convention, figures=figures, error=error)

    monkeypatch.setattr(thoplw.api.survey, "survey", survey)
    return names


@pytest.mark.slow
def test_real_processes(run: Run) -> None:
    result = run("survey", "resnet18", "hf:sam_mask_decoder", "-o", "zoo.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    good, bad = csv.DictReader(Path("zoo.csv").read_text(encoding="utf-8").splitlines())
    assert (good["name"], good["macs"], good["params"]) == ("resnet18", "1824010216", "11699112")
    assert (bad["macs"], "SamMaskDecoderConfig alone" in bad["error"]) == ("", True)
    assert "thoplw: 2 models, 1 failed" in result.stderr


def test_a_table_in_the_order_asked_for(asked: list[str], run: Run) -> None:
    result = run("survey", "vgg11", "alexnet", "vgg13")
    assert result.exit_code == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in result.stdout.splitlines()]
    assert [row[0] for row in rows if len(row) == 5] == ["Model", "vgg11", "alexnet", "vgg13", "3 models"]
    assert "alexnet: it is old" in result.stderr
    assert list(Path().iterdir()) == []


def test_what_was_found_is_kept_and_what_failed_is_tried_again(asked: list[str], run: Run) -> None:
    run("survey", "vgg11", "alexnet", "-o", "zoo.parquet")
    lines = [json.loads(text)["name"] for text in Path("zoo.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == asked == ["alexnet", "vgg11"]
    asked.clear()
    run("survey", "vgg11", "alexnet", "vgg13", "-o", "zoo.parquet")
    assert asked == ["vgg13", "alexnet"]
    asked.clear()
    run("survey", "vgg11", "-o", "zoo.parquet", "--again")
    assert asked == ["vgg11"]
    assert Path("zoo.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_a_survey_that_was_stopped_goes_on(asked: list[str], run: Run) -> None:
    run("survey", "vgg11", "vgg13", "-o", "zoo.csv")
    text = Path("zoo.jsonl").read_text(encoding="utf-8")
    Path("zoo.jsonl").write_text(text[:-5], encoding="utf-8")
    asked.clear()
    assert run("survey", "vgg11", "vgg13", "-o", "zoo.csv").exit_code == 0
    assert asked == ["vgg11"]
    assert [json.loads(each)["name"] for each in Path("zoo.jsonl").read_text(encoding="utf-8").splitlines()] == [
        "vgg13",
        "vgg11",
    ]


def test_a_plot(asked: list[str], run: Run) -> None:
    assert run("survey", "vgg11", "vgg13", "--plot", "zoo.svg").exit_code == 0
    assert "vgg13" in Path("zoo.svg").read_text(encoding="utf-8")


def test_it_fails_when_all_fail(asked: list[str], run: Run) -> None:
    result = run("survey", "alexnet")
    assert result.exit_code == 1
    assert "thoplw: 1 models, 1 failed" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such", "model"], "no model has 'no_such' and 'model' in its name"),
        (
            ["vgg11", "-o", "zoo.xlsx"],
            "zoo.xlsx: the ending of the name says what to write; it may be .csv or .parquet",
        ),
        (["vgg11", "--plot", "zoo.pdf"], "zoo.pdf: the ending of the name says what to write; it may be .png or .svg"),
        (["vgg11", "-o", "no/folder.csv"], "cannot write no/folder.jsonl: No such file or directory"),
        (["vgg11", "--convention", "mac"], "unknown convention 'mac'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(
    arguments: list[str], message: str, asked: list[str], run: Run
) -> None:  # fmt: skip
    result = run("survey", *arguments)
    assert (result.exit_code, result.stdout, asked) == (1, "", [])
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_another_convention_does_not_go_on(asked: list[str], run: Run) -> None:
    run("survey", "vgg11", "-o", "zoo.csv")
    result = run("survey", "vgg11", "-o", "zoo.csv", "--convention", "macs")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: zoo.jsonl was counted by 'thoplw'; give another file, or do it --again")


@pytest.mark.parametrize("arguments", [[], ["vgg11", "--workers", "0"], ["vgg11", "--timeout", "soon"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], run: Run) -> None:
    result = run("survey", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_help(run: Run) -> None:
    text = run("survey", "--help").stdout
    for word in ("--scheduler", "--resume", "--again", "--plot", "thoplw survey timm vit tiny -o tiny.csv"):
        assert word in text
