"""``thoplw diff``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]
Write = Callable[..., str]

NETS = """
def small(): return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4))
def large(): return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 6), nn.ReLU())
"""
INPUT = ("--input", "1,8")


def test_two_models_by_name(run: Run) -> None:
    result = run("diff", "resnet18", "resnet34", "--kind", "csv")
    assert result.exit_code == 0
    total = list(csv.reader(result.stdout.splitlines()))[-1]
    # Eight basic blocks more, each of two convolutions of 3 x 3 with their norms (1 of 64 channels at 56 x 56, 2 of 128
    # at 28 x 28, 4 of 256 at 14 x 14, 1 of 512 at 7 x 7), cost 9 multiplications and 4 / channels per weight and place.
    places = {64: 56**2, 128: 28**2, 256: 14**2, 512: 7**2}
    blocks = {64: 1, 128: 2, 256: 4, 512: 1}
    grown = sum(2 * blocks[width] * places[width] * width * (9 * width + 4) for width in blocks)
    assert (total[3], int(total[5])) == ("1824010216", grown)
    assert int(total[5]) == int(total[4]) - int(total[3])


def test_a_model_against_a_saved_one_goes_by_its_convention(run: Run, write: Write) -> None:
    name = write(NETS)
    run("profile", f"{name}:small", *INPUT, "--kind", "json", "-o", "a.json", "--convention", "macs")
    run("profile", f"{name}:large", *INPUT, "--kind", "json", "-o", "b.json", "--convention", "macs")
    result = run("diff", "a.json", f"{name}:large", *INPUT, "--kind", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["totals"]["macs"] == {"before": 96, "after": 112, "grown": 16}
    assert [(each["name"], each["change"]) for each in found["changes"]] == [("1", "changed"), ("2", "added")]
    assert run("diff", "a.json", "b.json", "--kind", "json").stdout == result.stdout


@pytest.mark.parametrize("kind", ["text", "md", "csv", "latex", "json"])
def test_kinds_to_a_file(kind: str, run: Run, write: Write) -> None:
    name = write(NETS)
    arguments = ("diff", f"{name}:small", f"{name}:large", *INPUT, "--format", kind)
    to_file = run(*arguments, "-o", "out")
    assert (to_file.exit_code, to_file.stdout) == (0, "")
    assert Path("out").read_text(encoding="utf-8") == run(*arguments).stdout


def test_no_difference_is_no_failure(run: Run, write: Write) -> None:
    name = write(NETS)
    result = run("diff", f"{name}:small", f"{name}:small", *INPUT)
    assert result.exit_code == 0
    assert "(2 more)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.json", "resnet18"], "cannot read none.json: No such file or directory"),
        (["resnet18", "resnet19"], "unknown torchvision model 'resnet19'"),
        (["broken.json", "resnet18"], "broken.json is not a profile: it is not JSON"),
        (["old.json", "resnet18"], "old.json has schema 0, but this version of thoplw reads schema 1"),
        (["macs.json", "thoplw.json"], "before was counted by 'macs' and after by 'thoplw'"),
        (["macs.json", "resnet18", "--convention", "thoplw"], "before was counted by 'macs' and after by 'thoplw'"),
        (["torch.nn:Identity", "torch.nn:Identity"], "torch.nn:Identity has no default inputs"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(arguments: list[str], message: str, run: Run) -> None:
    Path("broken.json").write_text("{", encoding="utf-8")
    Path("old.json").write_text('{"schema": 0}', encoding="utf-8")
    for convention in ("macs", "thoplw"):
        run(
            "profile", "torch.nn:Identity", *INPUT, "--convention", convention,
            "--kind", "json", "-o", f"{convention}.json",
        )  # fmt: skip
    result = run("diff", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["resnet18"], "Missing argument"),
        (["a", "b", "c"], "unexpected extra argument"),
        (["a", "b", "--input", "x"], "'x' is not a shape"),
        (["resnet18", "resnet34", "--kind", "html"], "unknown kind 'html'"),
        (["resnet18", "resnet34", "--fmt", "ratio"], "unknown fmt 'ratio'"),
        (["resnet18", "resnet34", "--convention", "mac"], "unknown convention 'mac'"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], message: str, run: Run) -> None:
    result = run("diff", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_execute(run: Run, write: Write) -> None:
    name = write(
        "class Net(nn.Linear):\n    def __init__(self): super().__init__(3, 4)\n"
        "    def forward(self, x): return super().forward(x) if x.sum() == 0 else x"
    )
    arguments = ("diff", f"{name}:Net", f"{name}:Net", "--input", "1,3")
    assert run(*arguments).stderr.endswith("--execute counts it on real tensors\n")
    assert run(*arguments, "--execute").exit_code == 0


HOSTILE = '=HYPERLINK("x")\\r\\n\\x1b[31m\\x07<img onerror=1>'


@pytest.mark.parametrize("kind", ["text", "md", "csv", "latex"])
def test_names_out_of_a_foreign_file_are_text(kind: str, run: Run, write: Write) -> None:
    name = write(NETS)
    for file in ("a.json", "b.json"):
        run("profile", f"{name}:small", *INPUT, "--kind", "json", "-o", file)
    document = json.loads(Path("b.json").read_text(encoding="utf-8"))
    hostile = HOSTILE.encode().decode("unicode_escape")
    document["model"] = document["layers"][0]["class"] = document["layers"][1]["name"] = hostile
    Path("b.json").write_text(json.dumps(document), encoding="utf-8")
    result = run("diff", "a.json", "b.json", "--kind", kind)
    assert result.exit_code == 0
    assert "".join(result.stdout.split("\n")).isprintable()
    assert result.stdout.count("\n") == run("diff", "a.json", "b.json", "--kind", kind).stdout.count("\n")
    assert ("<img" in result.stdout) == (kind in ("text", "csv"))
    if kind == "csv":
        assert len({len(row) for row in csv.reader(result.stdout.splitlines())}) == 1
        assert f"'{HOSTILE}" in {row[0] for row in csv.reader(result.stdout.splitlines())}


def test_help(run: Run) -> None:
    assert "thoplw diff resnet18 resnet34" in run("diff", "--help").stdout
