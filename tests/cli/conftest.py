"""Commands run in this process, in an empty folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from thoplw.cli import main

Run = Callable[..., Result]
Write = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def run(*arguments: str) -> Result:
        wide = {"TERMINAL_WIDTH": "250", "NO_COLOR": "1"}
        return CliRunner().invoke(main, arguments, env=wide, prog_name="thoplw")

    return run


@pytest.fixture
def write(run: Run) -> Write:
    """Write a Python module into the folder where commands run, and forget an older one of the same name."""

    def write(text: str, name: str = "written_for_cli") -> str:
        sys.modules.pop(name, None)
        Path(f"{name}.py").write_text(f"import torch\nfrom torch import nn\n{text}\n", encoding="utf-8")
        return name

    return write
