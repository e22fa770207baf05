"""The model that was typed, with its inputs, or what is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from thoplw.cli.inputs import parse
from thoplw.cli.run import loaded, run, signature
from thoplw.errors import InputError

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 5)

    def forward(self, x: torch.Tensor, mask: "torch.Tensor | None" = None):
        return self.layer(x)
"""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[str]:
    """A model in a file."""
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    yield f"{tmp_path / 'net.py'}:Net"
    sys.modules.pop("net", None)  # other tests have files of that name


def test_a_model_is_run_on_what_was_typed(net: str) -> None:
    info = run(net, [parse("7,3")], convention="macs")
    assert info.total_macs == 7 * 3 * 5
    model, inputs = loaded(net, [parse("x=7,3")], execute=True)
    assert model(**inputs.kwargs).shape == (7, 5)
    assert not any(each.is_meta for each in model.parameters())


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ([], r"has no default inputs: add --input for each input of its forward \(x, mask=None\), as in"),
        (["1,3", "1", "1"], r"--input: too many positional arguments; the forward of Net takes \(x, mask=None\)"),
        (["mask=1"], "--input: missing a required argument: 'x'"),
        (["1,3", "masc=1"], "--input: got an unexpected keyword argument 'masc'"),
    ],
)
def test_inputs_that_do_not_fit_are_told_with_what_the_forward_takes(typed: list[str], message: str, net: str) -> None:
    with pytest.raises(InputError, match=message):
        loaded(net, [*map(parse, typed)])


def test_shapes_are_given_once(net: str) -> None:
    with pytest.raises(InputError, match="--input already sets the shape that --seq and --batch would"):
        loaded(net, [parse("1,3")], seq=2, batch=3)


def test_a_signature_has_names_and_defaults_without_types() -> None:
    class Takes(nn.Module):
        def forward(self, x: torch.Tensor, *more: int, scale: float = 2.0, **rest: str) -> None: ...

    class Strange(nn.Module):
        forward = 3  # type: ignore[assignment] # that is what is tested

    assert signature(Takes()) == " (x, *more, scale=2.0, **rest)"
    assert signature(Strange()) == ""
