"""Profiles from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import thoplw
from thoplw.errors import InputError
from thoplw.report.document import read


def document() -> dict[str, Any]:
    return thoplw.profile(torch.nn.Linear(3, 4), (1, 3), verbose=False)[2].to_dict()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    file.write_text(thoplw.profile(torch.nn.Linear(3, 4), (1, 3), verbose=False)[2].summary("json"), encoding="utf-8")
    assert read(file) == document()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "saved.json is no profile, as it is no JSON"),
        ("[1]", "saved.json is no profile, as it has no 'schema'; write it with `thoplw profile MODEL --kind json"),
        ('{"schema": 99}', "saved.json has schema 99, and this thoplw reads 1"),
        (json.dumps({**document(), "schema": "1"}), "saved.json has schema '1', and this thoplw reads 1"),
        (json.dumps({k: v for k, v in document().items() if k not in ("totals", "layers")}), "no 'layers', 'totals'"),
    ],
)
def test_what_is_no_profile(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(file)
    assert message in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory"):
        read(tmp_path / "saved.json")
