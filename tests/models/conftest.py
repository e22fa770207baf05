"""Models are loaded offline, and Python modules are written where they are found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Write = Callable[[str], str]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is loaded here may ask for weights."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"asked for weights: {args}")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a Python module and get its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> str:
        name = f"written_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(f"import torch\nfrom torch import nn\n{text}\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write
