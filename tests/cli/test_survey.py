"""``thoplw survey``."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from checks.releases import working_transformers
from typer.testing import Result

import thoplw.api.survey
from thoplw.api.journal import alone, line
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
    working_transformers()
    result = run("survey", "resnet18", "hf:sam_mask_decoder", "-o", "zoo.csv")
    assert result.exit_code == 0
    assert "| resnet18" in result.stdout
    good, bad = csv.DictReader(Path("zoo.csv").read_text(encoding="utf-8").splitlines())
    assert (good["name"], good["macs"], good["params"]) == ("resnet18", "1824010216", "11699112")
    assert (bad["macs"], "SamMaskDecoderConfig alone" in bad["error"]) == ("", True)
    assert result.stderr.endswith("thoplw: 2 models, 1 failed; wrote zoo.csv\n")
    assert sorted(path.name for path in Path().iterdir()) == ["zoo.csv", "zoo.jsonl"]


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


def test_what_failed_stays_until_it_is_asked_for_again(asked: list[str], run: Run) -> None:
    run("survey", "vgg11", "alexnet", "-o", "zoo.csv")
    run("survey", "vgg13", "-o", "zoo.csv")
    lines = [json.loads(text) for text in Path("zoo.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {each["name"]: each["error"] for each in lines} == {"alexnet": "it is old", "vgg11": None, "vgg13": None}


def test_a_plot(asked: list[str], run: Run) -> None:
    assert run("survey", "vgg11", "vgg13", "--plot", "zoo.svg").exit_code == 0
    assert "vgg13" in Path("zoo.svg").read_text(encoding="utf-8")


def test_a_missing_package_is_said_before_anything_begins(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pebble", None)
    result = run("survey", "resnet18", "-o", "zoo.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: a survey needs pebble, which is not installed: pip install pebble\n"


def test_it_fails_when_all_fail(asked: list[str], run: Run) -> None:
    result = run("survey", "alexnet")
    assert result.exit_code == 1
    assert "thoplw: 1 model, 1 failed" in result.stderr


def test_a_mistake_is_one_line_and_exit_code_1(asked: list[str], run: Run) -> None:
    result = run("survey", "no_such", "model")
    assert (result.exit_code, result.stdout, asked) == (1, "", [])
    assert result.stderr == "error: no model has 'no_such' and 'model' in its name\n"


def test_another_convention_does_not_go_on(asked: list[str], run: Run) -> None:
    run("survey", "vgg11", "-o", "zoo.csv")
    result = run("survey", "vgg11", "-o", "zoo.csv", "--convention", "macs")
    assert result.exit_code == 1
    said = "error: zoo.jsonl was counted by 'thoplw', not 'macs'; give another file, or start over with --again"
    assert result.stderr.startswith(said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["vgg11", "--workers", "0"], "--workers"),
        (["vgg11", "--timeout", "soon"], "--timeout"),
        (
            ["vgg11", "-o", "zoo.xlsx"],
            "zoo.xlsx: the name must end in .csv or .parquet",
        ),
        (["vgg11", "--plot", "zoo.pdf"], "zoo.pdf: the name must end in .png or .svg"),
        (["vgg11", "--convention", "mac"], "unknown convention 'mac'. Did you mean 'macs'?"),
        (["vgg11", "--again", "--resume"], "leave one of them out"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], message: str, asked: list[str], run: Run) -> None:
    result = run("survey", *arguments)
    assert (result.exit_code, result.stdout, asked) == (2, "", [])
    assert message in " ".join(result.stderr.replace("│", "").split())


def test_two_surveys_on_one_output(asked: list[str], run: Run) -> None:
    with alone(Path("zoo.jsonl")):
        result = run("survey", "vgg11", "-o", "zoo.csv")
    assert (result.exit_code, result.stdout, asked) == (1, "", [])
    assert result.stderr.startswith("error: another survey is writing there (zoo.lock is locked); wait for it")


@pytest.mark.skipif(sys.platform != "linux", reason="children are looked up in /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_after_a_stop_no_child_lives_on_and_what_was_found_is_kept(sent: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text("import time\ndef build(): time.sleep(600)\n", encoding="utf-8")
    text = line(Entry(name="vgg11", convention="thoplw", figures={"macs": 1, "flops": 2, "params": 3}))
    (tmp_path / "zoo.jsonl").write_text(text, encoding="utf-8")
    # Words must be names of a zoo; the model is one that never ends.
    code = (
        "import sys, thoplw.api.survey as survey; from thoplw.cli import main\n"
        "if __name__ == '__main__':\n"
        "    survey.chosen = list\n"
        "    main(['survey', 'vgg11', 'hanging:build', '-o', 'zoo.csv'])"
    )
    (tmp_path / "started.py").write_text(code, encoding="utf-8")
    started = subprocess.Popen(
        [sys.executable, "started.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for _ in range(600):
        if len(_session(started.pid)) > 2:  # itself, a process that profiles, and one that keeps track
            break
        time.sleep(0.1)
    time.sleep(1)
    started.send_signal(sent)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert said.endswith(
        "thoplw: stopped after 1 of 2 models; zoo.jsonl keeps the results, and the same command continues from there\n"
    )
    for _ in range(100):
        if not _session(started.pid):
            break
        time.sleep(0.1)
    assert _session(started.pid) == []
    assert (tmp_path / "zoo.jsonl").read_text(encoding="utf-8") == text


def _session(leader: int) -> list[int]:
    """The processes of a session that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, session = path.read_text(encoding="utf-8").rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(int(path.parent.name))
    return found


def test_help(run: Run) -> None:
    text = run("survey", "--help").stdout
    for word in ("--scheduler", "--again", "--plot", "--execute", "thoplw survey timm vit tiny -o tiny.csv"):
        assert word in text
