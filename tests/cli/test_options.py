"""Options refuse what they cannot be before the work begins, and the name of a file says its format."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from thoplw.cli import options
from thoplw.cli.options import asks_for_memory, check_device, kind_for, place, positive, words, writable
from thoplw.render import FORMATS

NAMES = ["alpha", "beta", "gamma"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"),
        ("a.MD", "md"),
        ("a.b.tex", "latex"),
        ("a.speedscope.json", "speedscope"),
        ("speedscope.json", "json"),
        ("a.folded", "collapsed"),
        ("a", "text"),
        ("a.log", "text"),
    ],
)
def test_the_ending_of_a_file_says_its_format(name: str, kind: str) -> None:
    assert kind_for(None, Path(name), FORMATS) == kind
    assert kind_for("html", Path(name), FORMATS) == "html"  # what is said goes before


def test_an_ending_that_stands_for_no_format_is_refused_with_those_that_do() -> None:
    assert kind_for(None, None, ["md"]) == "text"
    with pytest.raises(typer.BadParameter, match=r"-o a\.xlsx: \.xlsx .* may end in \.csv, \.log, \.txt; or say"):
        kind_for(None, Path("a.xlsx"), ["text", "csv"])
    with pytest.raises(typer.BadParameter, match=r"\.html stands for no format"):
        kind_for(None, Path("a.html"), ["text", "csv"])


@pytest.mark.parametrize(("value", "wrong"), [("beta", ""), ("beta,alpha", ""), ("beta,gama", "gama"), ("", "''")])
def test_several_words_are_all_of_the_list(value: str, wrong: str) -> None:
    check: Any = words("column", lambda: NAMES, several=True)["callback"]
    parameter = SimpleNamespace(default=None)
    if not wrong:
        assert check(parameter, value) == value
        return
    with pytest.raises(typer.BadParameter, match=f"unknown column '?{wrong}"):
        check(parameter, value)


def test_one_word_is_not_split_and_a_default_is_never_looked_up() -> None:
    def fail() -> list[str]:
        raise AssertionError

    check: Any = words("kind", lambda: NAMES)["callback"]
    with pytest.raises(typer.BadParameter, match=r"unknown kind 'alpha,beta'"):
        check(SimpleNamespace(default=None), "alpha,beta")
    assert check(SimpleNamespace(default=None), ("alpha", "beta")) == ("alpha", "beta")
    lazy: Any = words("kind", fail)["callback"]
    assert lazy(SimpleNamespace(default="text"), "text") == "text"
    assert lazy(SimpleNamespace(default="text"), None) is None


def test_the_last_of_several_words_is_completed() -> None:
    complete: Any = words("column", lambda: NAMES, several=True)["autocompletion"]
    assert complete("alpha,g") == ["alpha,gamma"]
    assert complete("") == NAMES
    alone: Any = words("kind", lambda: NAMES)["autocompletion"]
    assert alone("alpha,g") == []


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    check = writable(".json")
    assert check(None) is None
    assert check(tmp_path / "a.json") == tmp_path / "a.json"
    for path, message in (
        (tmp_path / "a.csv", "json"),
        (tmp_path / "none" / "a.json", "there is no folder"),
        (tmp_path / f"{300 * 'n'}.json", "File name too long"),
    ):
        with pytest.raises(typer.BadParameter, match=message):
            check(path)
    with pytest.raises(typer.BadParameter, match="is a folder: add the name of a file"):
        writable()(tmp_path)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_what_is_no_number_above_0_is_refused(value: float) -> None:
    with pytest.raises(typer.BadParameter, match="is no number above 0"):
        positive(value)
    assert positive(0.5) == 0.5
    assert positive(None) is None


@pytest.mark.parametrize("value", ["gpu", "cuda:", "cuda:1a", "CPU", ""])
def test_a_place_is_one_that_has_a_clock(value: str) -> None:
    with pytest.raises(typer.BadParameter, match="cpu, cuda or cuda:1"):
        place(value)
    assert [place(name) for name in ("cpu", "cuda", "cuda:12", None)] == ["cpu", "cuda", "cuda:12", None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, "bfloat16"), "name the device with --on"),
        ((None, None, "name,floor"), "floor needs a device: name it with --on"),
        ((None, None, None, "eager"), "eager needs a device"),
        (("h100-sxm", "int5"), "int5"),
    ],
)
def test_what_is_of_a_device_needs_one(given: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        check_device(*given)


def test_what_goes_with_a_device_is_taken() -> None:
    check_device("h100-sxm", "bfloat16", "name,floor", "eager")
    check_device(None, None, "name,macs", "macs")


@pytest.mark.parametrize(
    ("columns", "sort", "asked"), [("name,macs", None, False), ("name,peak", None, True), (None, "peak", True)]
)
def test_a_figure_of_memory_asks_for_it(columns: str | None, sort: str | None, asked: bool) -> None:
    assert asks_for_memory(columns, sort) is asked


def test_help_names_every_format_and_convention() -> None:
    assert [kind for kind in FORMATS if kind not in options.KINDS] == []
    assert [name for name in options.conventions() if name not in options._CONVENTIONS] == []
    assert set(options.BESIDE) <= set(FORMATS)


def test_numbers_are_read_as_the_library_reads_them() -> None:
    assert options.amount("2G") == 2 * 10**9
    assert options.size("3GiB") == 3 * 2**30
    for reader in (options.amount, options.size):
        with pytest.raises(typer.BadParameter):
            reader("many")
