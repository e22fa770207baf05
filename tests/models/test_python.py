"""What a callable in a Python module gives, and what is said where it gives no model."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
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
        ("def build(): return 3", "build gives int, not a torch.nn.Module"),
        ("build = 'resnet'", "build gives str, not a torch.nn.Module"),
        ("def build(size): return nn.Linear(size, size)", "build cannot be called without arguments .*'size'"),
    ],
)
def test_what_gives_no_module(text: str, message: str, module: Write) -> None:
    with pytest.raises(thoplw.InputError, match=message):
        load(f"{module(text)}:build")


@pytest.mark.parametrize("name", ["models/net.py:build", ":build", ".net:build", "my net:build"])
def test_what_names_no_module(name: str) -> None:
    with pytest.raises(thoplw.InputError, match=r"is no name of a Python module; write package\.module:callable"):
        load(name)
