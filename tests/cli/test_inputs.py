"""The text after ``--input`` is a shape, with a name and a dtype where they are given."""

from __future__ import annotations

import pytest
import torch
import typer

from thoplw.cli.inputs import DTYPES, Typed, filled, parse, tensors
from thoplw.errors import InputError, UnknownNameError


@pytest.mark.parametrize(
    ("text", "name", "shape", "dtype"),
    [
        ("1,3,224,224", "", (1, 3, 224, 224), "float32"),
        ("7", "", (7,), "float32"),
        (" 1, 128 : int64", "", (1, 128), "int64"),
        ("1,2:bf16", "", (1, 2), "bfloat16"),
        ("mask=1,128:bool", "mask", (1, 128), "bool"),
        ("x = 0:half", "x", (0,), "half"),
        ("1,2:", "", (1, 2), "float32"),
    ],
)
def test_what_is_read(text: str, name: str, shape: tuple[int, ...], dtype: str) -> None:
    assert parse(text) == Typed(name=name, shape=shape, dtype=dtype)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a shape"),
        ("1,,2", "is not a shape; write sizes with commas"),
        ("1,-3", "is not a shape"),
        ("3x224", "is not a shape"),
        ("=1,2", "'' cannot be the name of an argument"),
        ("a b=1,2", "'a b' cannot be the name of an argument"),
        ("1,2:flaot32", "unknown dtype 'flaot32'. Did you mean 'float32'"),
    ],
)
def test_what_is_no_input_is_refused(text: str, message: str) -> None:
    with pytest.raises(typer.BadParameter) as raised:
        parse(text)
    assert message in raised.value.message


def test_variables_have_their_sizes() -> None:
    assert filled("x=B, 3,R,R:half", {"B": 2, "R": 8}) == parse("x=2,3,8,8:half")
    with pytest.raises(UnknownNameError, match=r"unknown variable in B,3,r: 'r'\. Did you mean 'R'"):
        filled("B,3,r", {"B": 2, "R": 8})


def test_inputs_stand_by_position_and_by_name_and_hide_nothing() -> None:
    made = tensors([parse("2,3"), parse("ids=1,4:long"), parse("mask=4:bool")])
    assert made is not None
    (x,) = made.args
    assert (x.shape, x.dtype, x.is_meta) == ((2, 3), torch.float32, True)
    ids, mask = made.kwargs["ids"], made.kwargs["mask"]
    assert (ids.tolist(), ids.dtype) == ([[0] * 4], torch.int64)  # every vocabulary has a token 0
    assert mask.tolist() == [True] * 4
    real = tensors([parse("2,3")], real=True)
    assert real is not None
    assert not real.args[0].is_meta
    assert tensors([]) is None


@pytest.mark.parametrize(
    ("typed", "message"),
    [(["a=1", "b=1", "a=2"], "'a' is given more than once"), (["9999999999,9999999999:int8"], "cannot make a tensor")],
)
def test_inputs_that_cannot_be(typed: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tensors([*map(parse, typed)])


def test_every_dtype_has_a_name_that_torch_knows_or_a_newer_one_does() -> None:
    known = [name for name in DTYPES if isinstance(getattr(torch, name, None), torch.dtype)]
    assert {"float32", "bfloat16", "int64", "bool", "half", "long"} <= set(known)
    assert not any(name.startswith("q") for name in DTYPES)
