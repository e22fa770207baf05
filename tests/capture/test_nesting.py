"""Tensors are found and replaced at any depth, and what holds them keeps its class."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
import torch

from thoplw.capture.nesting import map_tensors, tensors_in

A, B = torch.tensor(1), torch.tensor(2)


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Any
    note: str = "kept"


class Named(tuple[Any, ...]):
    """A tuple whose constructor takes no list of items."""

    def __new__(cls, left: Any, right: Any, *, name: str) -> Named:
        made = super().__new__(cls, (left, right))
        made.name = name
        return made


class Two(list[Any]):
    """A list whose constructor takes no list of items."""

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__([left, right])
        self.name = "kept"


@pytest.mark.parametrize(
    "value",
    [
        [A, 3, B],
        Named(A, B, name="kept"),
        Two(A, B),
        torch.return_types.max((A, B)),
        (torch.Size([3]), A, B),
        (A, (B, None)),
        Pair(A, [B]),
        {"a": A, "rest": {"b": B}},
        OrderedDict(a=A, b=B),
        Frozen([A, B]),
    ],
)
def test_tensors_at_any_depth(value: Any) -> None:
    before = list(tensors_in(value))
    assert [id(tensor) for tensor in before] == [id(A), id(B)]
    changed = map_tensors(value, lambda tensor: int(tensor))
    assert type(changed) is type(value)
    assert list(tensors_in(changed)) == []
    assert getattr(changed, "name", "kept") == "kept"
    assert map_tensors(changed, torch.tensor) == changed  # numbers are no tensors
    assert list(map(id, tensors_in(value))) == [id(A), id(B)]  # left alone


def test_other_objects_are_not_looked_into() -> None:
    class Holder:
        x = A

    holder = Holder()
    assert list(tensors_in([holder, Frozen])) == []
    assert map_tensors(holder, lambda _: None) is holder
