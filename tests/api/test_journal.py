"""What a survey found, line by line, and what keeps it whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from thoplw.api.files import locked
from thoplw.api.journal import alone, line, read, written
from thoplw.api.survey import Entry
from thoplw.errors import InputError

GOOD = Entry(
    name="timm:resnet18",
    convention="macs",
    figures={"macs": 2**53 + 1, "flops": 7, "params": 5},
    assumptions=["a", "b"],
)
BAD = Entry(name="alexnet", convention="macs", error="RuntimeError: no")


def test_lines_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    assert read(file, "macs") == {}
    stopped = line(BAD)[:20]
    file.write_text(line(BAD) + line(GOOD) + stopped, encoding="utf-8")
    assert read(file, "macs") == {"alexnet": BAD, "timm:resnet18": GOOD}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}\n" + line(GOOD), "line 1 is not a line of a survey"),
        ("what\n" + line(GOOD), "line 1 is not a line of a survey"),
        (
            line(GOOD).replace('"macs",', '"thoplw",'),
            "was counted by 'thoplw', not 'macs'; give another file, or start over with --again",
        ),
    ],
)
def test_lines_of_something_else(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "zoo.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read(tmp_path / "zoo.jsonl", "macs")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("name", 3, "name is 3, not a string"),
        ("name", [], "name is [], not a string"),
        ("macs", -1, "macs is -1, not a whole number from 0 to 2^63 - 1"),
        ("macs", 2**63, "macs is 9223372036854775808, not a whole number from 0 to 2^63 - 1"),
        ("macs", 7.0, "macs is 7.0, not a whole number"),
        ("uncounted", None, "uncounted is None, not a list"),
        ("uncounted", "aten.relu", "uncounted is 'aten.relu', not a list"),
        ("assumptions", ["a", 0], "assumptions[1] is 0, not a string"),
        ("error", 0, "error is 0, not a string"),
    ],
)
def test_a_field_of_another_type_is_refused_with_its_line(
    name: str, value: object, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "zoo.jsonl"
    file.write_text(f"{json.dumps({**GOOD.to_dict(), name: value})}\n{line(BAD)}", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(file, "macs")
    assert f"zoo.jsonl, line 1 is not a line of a survey ({message}" in str(caught.value)


def test_a_line_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    file.write_text(f"{'[' * 100_000}\n{line(GOOD)}", encoding="utf-8")
    with pytest.raises(InputError, match="line 1 is not a line of a survey"):
        read(file, "macs")


def test_lines_are_plain_json() -> None:
    assert json.loads(line(GOOD))["macs"] == 2**53 + 1


def test_known_entries_stay_and_others_are_added(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    file.write_text(line(BAD) + line(GOOD)[:10], encoding="utf-8")
    with written(file, [GOOD]) as add:
        assert file.read_text(encoding="utf-8") == line(GOOD)
        add(BAD)
        assert file.read_text(encoding="utf-8") == line(GOOD) + line(BAD)
    assert [path.name for path in tmp_path.iterdir()] == ["zoo.jsonl"]


def test_a_full_disk_loses_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "zoo.jsonl"
    rows = "".join(line(Entry(name=f"m{number}", convention="macs", error="x")) for number in range(300))
    file.write_text(rows, encoding="utf-8")
    writes = Path.write_text

    def half(self: Path, text: str, **options: Any) -> None:
        writes(self, text[: len(text) // 2], **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(InputError, match=rf"cannot write {file}: No space left on device"), written(file, [GOOD]):
        pass
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {"zoo.jsonl": rows}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to try")
def test_a_disk_that_fills_later_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "zoo.jsonl"
    opened = Path.open

    def full(self: Path, mode: str = "r", **options: Any) -> Any:
        return opened(Path("/dev/full") if self == file and mode == "a" else self, mode, **options)

    monkeypatch.setattr(Path, "open", full)

    def add_one() -> None:
        with written(file, [GOOD]) as add:
            add(BAD)

    with pytest.raises(
        InputError, match=r"No space left on device; it keeps what was found so far, and the same command continues"
    ):
        add_one()
    assert file.read_text(encoding="utf-8") == line(GOOD)


def test_two_surveys_on_one_output(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    with (
        alone(file),
        pytest.raises(InputError, match=r"^another survey is writing there .* give another file$"),
        alone(file),
    ):
        pass
    with alone(file):  # It is free again.
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    lock = tmp_path / "zoo.lock"
    code = (
        "import os, sys; from pathlib import Path; from thoplw.api.files import locked\n"
        "with locked(Path(sys.argv[1])): os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(lock)], check=True)
    assert lock.exists()
    with locked(lock):
        pass
    assert not lock.exists()
