"""What a callable in a Python module gives, and what is said where it gives no model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checks.loaded import devices
from torch import nn

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
    ("text", "seen"),
    [
        ("import no_such", "ModuleNotFoundError"),
        ("raise SystemExit", "SystemExit"),
        ("from checks.secret import SecretError\nraise SecretError", "SecretError: .its message cannot be read"),
    ],
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


HOLDER = """
class Holder:
    class Net(nn.Linear):
        def __init__(self): super().__init__(3, 4)
    @staticmethod
    def make(): return nn.Linear(3, 4)
"""


@pytest.mark.parametrize("name", ["Holder.Net", "Holder.make"])
def test_what_a_class_holds(name: str, module: Write) -> None:
    assert isinstance(load(f"{module(HOLDER)}:{name}").model, nn.Linear)


def test_a_file_in_a_folder_imports_from_the_current_one(folder: Path) -> None:
    (folder / "parts_of_it.py").write_text("from torch import nn\n")
    (folder / "models").mkdir()
    (folder / "models" / "nets_of_it.py").write_text("from parts_of_it import nn\nnet = nn.ReLU()\n")
    assert isinstance(load("models/nets_of_it.py:net").model, nn.ReLU)


def test_what_cannot_build_is_not_among_the_known_names(folder: Path) -> None:
    (folder / "few.py").write_text("import torch\nfrom torch import nn\nSIZE = 3\ndef build(): return nn.ReLU()\n")
    with pytest.raises(thoplw.UnknownNameError, match=r"'zzz'. Known: build$"):
        load("few.py:zzz")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("few.py:build(3)", "without arguments, by its name alone; .* def build.*: return build\\(3\\), and name that"),
        ("few.py:wide", "'width'.*def build.*: return wide"),
        ("few.py:Net", "gives None, not"),
        ("few.py:kind", "of type type, not .*; call ReLU, and return"),
        ("few.py:ends", r"few.py:ends ends the process, with sys.exit\(1\)"),
        ("pack:inner", "pack.inner is a Python module: .* as in pack.inner:build"),
        ("pack/inner.py:f", "relative import: .* as in pack.inner:build"),
        ("pack", "pack is a Python package: .* as in pack:build"),
        ("few", "write few.py:build"),
        ("few.PY:build", "unknown file 'few.PY'. Did you mean 'few.py'"),
        ("nothing/", "nothing/ is a folder without a config.json"),
    ],
)
def test_what_to_type_instead(name: str, message: str, folder: Path) -> None:
    (folder / "few.py").write_text(
        "import sys\nfrom torch import nn\n"
        "def build(): return nn.ReLU()\ndef wide(width): return nn.ReLU()\ndef Net(): nn.ReLU()\n"
        "def kind(): return nn.ReLU\ndef ends(): sys.exit(1)\n"
    )
    (folder / "nothing").mkdir()
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").write_text("")
    (folder / "pack" / "inner.py").write_text("from . import *\n")
    with pytest.raises(thoplw.InputError, match=message):
        load(name)


def test_an_error_of_the_builder_says_where(module: Write) -> None:
    with pytest.raises(KeyError, match="mine") as caught:
        load(f"{(name := module('def build(): raise KeyError(chr(109) + chr(105) + chr(110) + chr(101))'))}:build")
    assert caught.value.__notes__ == [f"raised in {name}:build"]
