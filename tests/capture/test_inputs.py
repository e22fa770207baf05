"""What a user passes as inputs becomes the arguments of a forward."""

from __future__ import annotations

import typing
from collections import UserDict
from typing import Any

import numpy as np
import pytest
import torch

from thoplw.capture.inputs import arguments
from thoplw.errors import InputError

X = torch.ones(2)


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        (X, (X,), {}),
        ((X, 3), (X, 3), {}),
        ([X, None], (X, None), {}),
        ({"x": X}, (), {"x": X}),
        (({"x": X},), ({"x": X},), {}),
        ((), (), {}),
        ((True, False), (True, False), {}),
    ],
)
def test_arguments(given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert arguments(given) == (args, kwargs)


class _Encoding(UserDict[str, torch.Tensor]):
    """As what a tokenizer returns: a mapping that is no dict."""


def test_a_mapping_gives_keyword_inputs() -> None:
    assert arguments(_Encoding(input_ids=X)) == ((), {"input_ids": X})


def _one(x: Any) -> None: ...
def _two(x: Any, mask: Any = None) -> None: ...
def _any(*x: Any) -> None: ...
def _images(images: Any, targets: Any = None) -> None: ...
def _annotated(x: list[torch.Tensor], y: Any = None) -> None: ...


def _typed(x: Any, y: Any = None) -> None: ...


_typed.__annotations__["x"] = typing.List[torch.Tensor]  # noqa: UP006 # as older code says it


@pytest.mark.parametrize(
    ("forward", "given", "whole"),
    [
        (_one, [X, X], True),
        (_one, [X], False),
        (_one, (X, X), False),
        (_two, [X, X], False),
        (_any, [X, X], False),
        (_images, [X], True),
        (_images, (X,), False),
        (_annotated, [X], True),
        (_typed, [X, X], True),
        (len, [X, X], True),
        (None, [X, X], False),
    ],
)
def test_where_a_list_is_one_input(forward: Any, given: Any, whole: bool) -> None:
    assert arguments(given, forward=forward) == (((given,) if whole else tuple(given)), {})


@pytest.mark.parametrize(("real", "device"), [(False, "meta"), (True, "cpu")])
def test_a_shape_stands_for_a_tensor(real: bool, device: str) -> None:
    with torch.device("meta"):  # the user's default device does not matter
        ((x,), kwargs) = arguments([1, 0, 4], real=real)
    assert (tuple(x.shape), x.dtype, x.device.type, kwargs) == ((1, 0, 4), torch.float32, device, {})


@pytest.mark.parametrize(
    ("given", "message"),
    [(None, "no input to run the model on: got None"), ((1, -3), r"no negative sizes: \(1, -3\)"), ({1: X}, r"\[1\]")],
)
def test_what_is_no_input(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        arguments(given)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (np.zeros((2, 3)), r", a NumPy array of shape \(2, 3\): pass torch\.from_numpy\(array\)"),
        ("1,3,8,8", r", a text: a shape is a tuple, such as \(1, 3, 224, 224\)"),
        (8, r", a number: a shape is a tuple, such as \(8,\)"),
        (None, r", and thoplw\.profile\(model\) tells parameters alone"),
        ((each for each in [X]), ": make it a list"),
        (torch.nn.ReLU(), ", a module: the model comes first, and its input second"),
        (lambda: X, ", a function: pass what it returns"),
    ],
)
def test_what_is_no_input_is_told_what_to_give(given: Any, hint: str) -> None:
    with pytest.raises(InputError, match=rf"^no input to run the model on: got [^\n]*{hint}; give a tensor, a tuple"):
        arguments(given)
