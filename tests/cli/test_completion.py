"""What the shell offers when a key is pressed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thoplw.cli import completion
from thoplw.models import registry

SLOW = "import sys, thoplw.cli.completion as c; print(c.model_names(sys.argv[1])); print('torch' in sys.modules)"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_names_of_models_are_kept_in_a_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completion.model_names("wide_resnet10") == ["wide_resnet101_2"]
    assert "timm:resnet18" in completion.model_names("timm:resnet1")
    assert "hf:llama" in completion.model_names("hf:ll")
    assert completion.cache().is_relative_to(cache)
    monkeypatch.setattr(registry, "available", None)  # It is not asked again ...
    assert completion.model_names("vgg11") == ["vgg11", "vgg11_bn"]
    before = completion.cache()
    monkeypatch.setattr(completion, "version", lambda package: "0.0")  # ... for these versions.
    assert completion.cache() != before


def test_a_list_that_is_known_does_not_wait_for_torch(cache: Path) -> None:
    completion.model_names("vgg")
    done = subprocess.run([sys.executable, "-c", SLOW, "vgg11"], capture_output=True, text=True, check=True)
    assert done.stdout == "['vgg11', 'vgg11_bn']\nFalse\n"


def test_a_folder_that_takes_no_file_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert completion.model_names("vgg11") == ["vgg11", "vgg11_bn"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("profile resnet18 --kind sp", ["speedscope"]),
        ("profile resnet18 --fmt cl", ["clever"]),
        ("profile resnet18 --columns name,ma", ["name,macs"]),
        ("profile resnet18 --sort tr", ["trainable"]),
        ("profile resnet18 --convention fv", ["fvcore"]),
        ("compare resnet18 --conventions macs,tho", ["macs,thop", "macs,thoplw"]),
        ("compare resnet18 --kind l", ["latex"]),
        ("diff wide_resnet10", ["wide_resnet101_2"]),
        ("check wide_resnet10", ["wide_resnet101_2"]),
        ("survey wide_resnet10", ["wide_resnet101_2"]),
    ],
)
def test_words_are_completed(typed: str, offered: list[str], cache: Path) -> None:
    if "resnet10" in typed:
        completion.model_names("")
    environment = {
        **os.environ,
        "_THOPLW_COMPLETE": "complete_bash",
        "COMP_WORDS": f"thoplw {typed}",
        "COMP_CWORD": str(len(typed.split())),
    }
    code = "from thoplw.cli import main; main(prog_name='thoplw')"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert sorted(done.stdout.split()) == sorted(offered)
