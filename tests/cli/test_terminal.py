"""Tables go to stdout and all else to stderr; an error is one line and an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from thoplw.cli import terminal
from thoplw.cli.terminal import by_option, draw_table, say, show, told, usage
from thoplw.errors import InputError
from thoplw.render.table import Table


class _Mute(BaseException):
    """An error that can neither be shown nor take notes."""

    __notes__ = None

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("execute=True counts it on real tensors", "--execute counts it on real tensors"),
        ("execute=True needs real weights; leave execute out.", "--execute needs real weights; leave --execute out."),
        (
            "columns=[]: give a list, such as columns=['name', 'macs']",
            "--columns: give a list, such as --columns name,macs",
        ),
        ("such as sort='params', not", "such as --sort params, not"),
        ("depth=-1: 0 is the model itself", "--depth -1: 0 is the model itself"),
        ("my_depth=3 and top5 stay", "my_depth=3 and top5 stay"),
        (
            "unknown timm model 'zz'. None of the 99 known names is similar",
            "unknown timm model 'zz'. None of the 99 known names is similar: thoplw models lists them",
        ),
        (
            "unknown model type of transformers (or folder) 'zz'. None of the 99 known names is similar",
            "unknown model type of transformers (or folder) 'zz'. None of the 99 known names is similar: thoplw models "
            "lists them",
        ),
        ("thoplw.profile(..., execute=True) counts one size", "thoplw profile --execute counts one size"),
    ],
)
def test_arguments_in_messages_are_options(message: str, expected: str) -> None:
    assert by_option(message) == expected


def test_an_error_is_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    for error, line in (
        (InputError("depth=-1: give 0 or more"), "error: --depth -1: give 0 or more"),
        (ValueError("depth=3 \a"), "error: ValueError: depth=3 \\x07"),  # of a model: as it is
        (KeyError(), "error: KeyError"),
        (_Mute(), "error: _Mute: (its message cannot be read)"),
        (GeneratorExit("of a model"), "error: GeneratorExit: of a model"),
    ):
        with pytest.raises(typer.Exit) as raised, told(code=7):
            raise error
        assert raised.value.exit_code == 7
        assert capsys.readouterr() == ("", f"{line}\n")


def test_notes_of_an_error_are_said_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("wrong")
    error.__notes__ = ["in layer1", "of Net"]
    with pytest.raises(typer.Exit), told():
        raise error
    assert capsys.readouterr().err == "error: ValueError: wrong; in layer1; of Net\n"


@pytest.mark.parametrize("error", [BrokenPipeError(), KeyboardInterrupt(), typer.Exit(3), typer.BadParameter("no")])
def test_what_typer_handles_goes_through(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(type(error)), told():
        raise error
    assert capsys.readouterr().err == ""


def test_a_mistake_of_usage_names_its_option() -> None:
    with pytest.raises(typer.BadParameter, match="no such peak: leave --execute out") as raised, usage("--dtype"):
        raise InputError("no such peak: leave execute out")
    assert raised.value.param_hint == "'--dtype'"
    with pytest.raises(RuntimeError), usage():  # not of the user's making
        raise RuntimeError


def test_what_is_shown_goes_to_a_file_or_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show("gr\u00f6\u00dfe", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == "gr\u00f6\u00dfe\n".encode()
    with pytest.raises(InputError, match=r"cannot write .*none.*: No such file"):
        show("x", tmp_path / "none" / "a.txt")
    show("x")
    say("a\n\x1b[31mb")
    assert capsys.readouterr() == ("x\n", "a\n\\x1b[31mb\n")


@pytest.mark.parametrize(("width", "seen"), [(200, "Input shape"), (24, "MACs")])
def test_the_widest_table_that_fits_is_drawn(
    width: int, seen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    wide = Table(columns=("Name", "Input shape", "MACs"), rows=(("conv", "3 x 224 x 224", "12"),))
    narrow = Table(columns=("Name", "MACs"), rows=(("conv", "12"),))
    draw_table([wide, narrow], total="12 MACs")
    out = capsys.readouterr().out
    assert seen in out
    assert ("Input shape" in out) == (width > 100)
    assert "12 MACs" in out
    assert max(map(len, out.splitlines())) <= width


def test_a_test_has_no_terminal() -> None:
    assert terminal.is_terminal() is False
