"""``python -m thoplw`` takes no file of the current folder for a package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import thoplw


def test_a_module_of_the_user_stands_for_no_package(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError", encoding="utf-8")
    (tmp_path / "mine.py").write_text(
        "import json, torch\ndef build(): return torch.nn.Linear(3, 4)\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "thoplw", "profile", "mine:build", "--input", "1,3", "--kind", "csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_the_command_of_its_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thoplw", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"thoplw {thoplw.__version__}\n", "")
