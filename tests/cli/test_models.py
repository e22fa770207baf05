"""``thoplw models``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import timm
import torchvision
from typer.testing import Result

Run = Callable[..., Result]


def test_all_zoos_as_other_commands_take_their_names(run: Run) -> None:
    result = run("models")
    names = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert [name for name in names if ":" not in name] == torchvision.models.list_models()
    assert [name for name in names if name.startswith("timm:")] == [f"timm:{name}" for name in timm.list_models()]
    assert "hf:llama" in names


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["WIDE", "resnet1"], ["wide_resnet101_2"]),
        (["torchvision", "vgg", "bn"], ["vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]),
        (["hf:", "mixtral"], ["hf:mixtral"]),
    ],
)
def test_all_words_must_be_there(words: list[str], expected: list[str], run: Run) -> None:
    names = run("models", *words).stdout.splitlines()
    assert [name for name in names if not name.startswith("timm:")] == expected


def test_no_such_model_is_a_failure(run: Run) -> None:
    result = run("models", "resnet", "no_such_thing")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: no model has 'resnet' and 'no_such_thing' in its name\n"


def test_a_missing_zoo_is_said_and_the_others_are_listed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    result = run("models", "vgg11")
    assert (result.exit_code, result.stdout) == (0, "vgg11\nvgg11_bn\n")
    assert result.stderr == "thoplw: the list of timm's models needs timm, which is not installed: pip install timm\n"


def test_without_any_zoo_there_is_nothing_to_list(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torchvision", "timm", "transformers"):
        monkeypatch.setitem(sys.modules, package, None)
    result = run("models")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: the list of torchvision's models needs torchvision, which is not installed: pip install torchvision\n"
    )
