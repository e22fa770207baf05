"""What errors say, and what they are."""

from __future__ import annotations

from typing import Any

import pytest

from thoplw import errors


def test_an_unknown_name_suggests_the_near_ones() -> None:
    error = errors.UnknownNameError("kind", "texd", ["csv", "md", "text"])
    assert str(error) == "unknown kind 'texd'. Did you mean 'text'?"


def test_of_two_names_both_are_told() -> None:
    error = errors.UnknownNameError("device", "gpu", ["cuda", "cpu"])
    assert str(error) == "unknown device 'gpu'. Did you mean 'cpu'? Known: cpu, cuda"


def test_at_most_three_suggestions_nearest_first() -> None:
    error = errors.UnknownNameError("model", "net19", [f"net{size}" for size in (18, 19, 191, 192, 193)])
    assert str(error) == "unknown model 'net19'. Did you mean 'net19' or 'net193' or 'net192'?"


def test_names_that_go_on_from_it_come_first() -> None:
    error = errors.UnknownNameError("device", "h100", ["mi100", "h100-sxm", "h100-nvl"])
    assert str(error) == "unknown device 'h100'. Did you mean 'h100-sxm' or 'h100-nvl' or 'mi100'?"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("BERT", "bert"),
        ("Qwen3", "qwen3"),
        ("dt_sd", "DT_SD"),
        ("bert-base-uncased", "bert"),
        ("org/GPT-2-xl", "gpt-2"),
    ],
)
def test_case_and_what_follows_a_name_do_not_count(typed: str, meant: str) -> None:
    known = ["bert", "qwen3", "DT_SD", "gpt-2", *(f"{size}net" for size in range(25))]
    assert f"Did you mean {meant!r}" in str(errors.UnknownNameError("model", typed, known))


def test_far_from_all_it_lists_them_sorted() -> None:
    error = errors.UnknownNameError("kind", "zzz", (name for name in ("text", "csv")))
    assert str(error) == "unknown kind 'zzz'. Known: csv, text"


def test_an_empty_name_is_seen() -> None:
    assert str(errors.UnknownNameError("module", "fc", ["", "layer"])) == "unknown module 'fc'. Known: '', layer"


def test_far_from_too_many_to_list() -> None:
    error = errors.UnknownNameError("model", "zzz", [f"net{size}" for size in range(25)])
    assert str(error) == "unknown model 'zzz'. None of the 25 known names is similar"


def test_a_name_that_is_no_string() -> None:
    assert str(errors.UnknownNameError("kind", None, ["csv"])) == "unknown kind None. Known: csv"


def test_a_missing_package_says_the_pip_line() -> None:
    error = errors.MissingExtraError("timm", "model 'timm:resnet18'")
    assert str(error) == "model 'timm:resnet18' needs timm, which is not installed: pip install timm"


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.UnknownNameError, errors.InputError),
        (errors.CustomOpError, TypeError),
        (errors.DataDependentError, RuntimeError),
        (errors.UncountedError, Exception),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_every_error_is_a_thoplw_error_and_what_it_is_elsewhere(
    error: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(error, errors.ThoplwError)
    assert issubclass(error, builtin)


def test_many_names_that_contain_it_are_offered() -> None:
    names = [f"model{number}_with_a_long_name_vit" for number in range(30)]
    assert "Did you mean 'model0_with_a_long_name_vit' or" in str(errors.UnknownNameError("model", "vit", names))


def test_notes_are_added() -> None:
    error = ValueError("one")
    errors.add_note(error, "two")
    errors.add_note(error, "three")
    assert error.__notes__ == ["two", "three"]


class _RefusingError(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)

    def __str__(self) -> str:
        raise ValueError


class _OddError(Exception):
    __notes__: Any = None


@pytest.mark.parametrize("cls", [_RefusingError, _OddError])
def test_an_error_that_takes_no_notes_stays_as_it_is(cls: type[Exception]) -> None:
    error = cls()
    errors.add_note(error, "two")
    assert errors.notes_of(error) in ([], ["two"])


def test_what_an_error_says_is_read_with_care() -> None:
    assert errors.message_of(ValueError("one")) == "one"
    assert errors.message_of(_RefusingError()) == "(its message cannot be read)"
