"""What a callable in a Python module gives, and what is said where it gives no model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checks.loaded import devices

import thoplw
from thoplw.models.registry import load

Write = Callable[[str], str]


def test_a_class_is_a_callable_too(module: Write) -> None:
    name = module("class Net(nn.Linear):\n    def __init__(self): super().__init__(3, 4)")
    assert type(load(f"{name}:Net").model).__name__ == "Net"


def test_a_module_is_taken_as_it_is(module: Write) -> None:
    name = module("net = nn.Linear(3, 4)")
    loaded = load(f"{name}:net")
    assert loaded.model is sys.modules[name].net
    assert devices(loaded) == {"cpu"}


def test_a_module_that_lacks_a_dependency_is_not_an_unknown_module(module: Write) -> None:
    name = module("import no_such_dependency")
    with pytest.raises(thoplw.InputError, match=r"cannot be imported .*'no_such_dependency'") as caught:
        load(f"{name}:build")
    assert not isinstance(caught.value, thoplw.UnknownNameError)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("def build(:", "SyntaxError: invalid syntax"),
        ("weights = open('no-such-file')", "FileNotFoundError: .*no-such-file"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_a_module_that_cannot_be_imported(text: str, seen: str, module: Write) -> None:
    name = module(text)
    with pytest.raises(thoplw.InputError, match=rf"{name} cannot be imported \({seen}.*python -c 'import {name}'"):
        load(f"{name}:build")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build(): return 3", "build gives a value of type int, not a torch.nn.Module"),
        ("build = 'resnet'", "build gives a value of type str, not a torch.nn.Module"),
        ("def build(size): return nn.Linear(size, size)", "build cannot be called without arguments .*'size'"),
    ],
)
def test_what_gives_no_module(text: str, message: str, module: Write) -> None:
    with pytest.raises(thoplw.InputError, match=message):
        load(f"{module(text)}:build")


@pytest.mark.parametrize("name", ["models/net:build", ":build", ".net:build", "my net:build"])
def test_what_names_no_module(name: str) -> None:
    with pytest.raises(thoplw.InputError, match=r"cannot name a Python module; write package\.module:callable"):
        load(name)


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where commands run, with a path and modules that are forgotten later."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    return tmp_path


NET = "from torch import nn\nclass Kw(nn.Linear):\n    def __init__(self): super().__init__(3, {})\n"


@pytest.mark.parametrize(
    "name", ["mynet.py", "./mynet.py", "sub/my-net.py", "{}/sub/my-net.py", "torch.py", "sub/json.py"]
)
def test_a_file_before_the_colon(name: str, folder: Path) -> None:
    path = Path(name.format(folder))
    path.parent.mkdir(exist_ok=True)
    path.write_text(NET.format(5), encoding="utf-8")
    assert load(f"{name.format(folder)}:Kw").model.out_features == 5
    assert load(f"{name.format(folder)}:Kw").model.out_features == 5  # known by now
    assert sys.modules["torch"] is torch


def test_a_file_finds_the_modules_beside_it(folder: Path) -> None:
    Path("sub").mkdir()
    Path("sub/net_helper.py").write_text("SIZE = 7\n", encoding="utf-8")
    Path("sub/net.py").write_text("from net_helper import SIZE\n" + NET.format("SIZE"), encoding="utf-8")
    assert load("sub/net.py:Kw").model.out_features == 7


def test_two_files_of_one_name(folder: Path) -> None:
    for number in (1, 2, 3):
        Path(f"f{number}").mkdir()
        Path(f"f{number}/net.py").write_text(NET.format(number), encoding="utf-8")
    assert [load(f"f{number}/net.py:Kw").model.out_features for number in (1, 2, 3, 1)] == [1, 2, 3, 1]


@pytest.mark.parametrize(
    ("text", "seen"), [("import no_such", "ModuleNotFoundError"), ("raise SystemExit", "SystemExit")]
)
def test_a_file_that_cannot_be_imported(text: str, seen: str, folder: Path) -> None:
    Path("broken_net.py").write_text(text, encoding="utf-8")
    message = rf"^broken_net\.py cannot be imported \({seen}.*make `python broken_net\.py` work first"
    with pytest.raises(thoplw.InputError, match=message):
        load("broken_net.py:Kw")
    assert "broken_net" not in sys.modules


def test_the_current_folder_comes_last_and_for_python_modules_only(folder: Path) -> None:
    Path("mynet.py").write_text(NET.format(5), encoding="utf-8")
    load("resnet18")
    assert str(folder) not in sys.path
    load("mynet:Kw")
    assert sys.path[-1] == str(folder)
