"""A forward that compares types goes the way that it goes on real tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import thoplw

BUILT_IN = type

#: Classes, as what handles them is often looked up.
HANDLED = {torch.Tensor: True}


def is_plain(x: Any) -> bool:
    return type(x) is torch.Tensor


class Compares(nn.Module):
    def __init__(self, test: Callable[[Any], bool]) -> None:
        super().__init__()
        self.layer, self.test = nn.Linear(4, 4), [test]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return self.layer(y) if self.test[0](y) else y


class Inline(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        if type(y) in (torch.Tensor, nn.Parameter) and BUILT_IN(self) is Inline:
            y = self.layer(y)
        return y


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(
    ("test", "times"),
    [
        (is_plain, 2),
        (lambda y: type(y) == torch.Tensor, 2),  # noqa: E721 # as people write it
        (lambda y: type(y) is not torch.Tensor, 1),
        (lambda y: type(y).__name__ == "Tensor", 2),
        (lambda y: {torch.Tensor: True}.get(type(y), False), 2),
        (lambda y: type(y) is nn.Parameter, 1),
        (lambda y: type(y) is type(torch.zeros(1)), 2),
        (lambda y: str(type(y)) == "<class 'torch.Tensor'>", 2),
        (lambda y: type(y) in HANDLED, 2),
        (lambda y: HANDLED.get(type(y), False), 2),
        (lambda y: type[int] == type[int], 2),
        (lambda y: any(type(each) is torch.Tensor for each in [y]), 2),
        (lambda y: isinstance(torch.Tensor, type) and issubclass(type, type), 2),
        (lambda y: type("Made", (torch.Tensor,), {}).__name__ == "Made", 2),
    ],
)
def test_types_are_told(test: Callable[[Any], bool], times: int, execute: bool) -> None:
    macs = thoplw.profile(Compares(test), (1, 4), convention="macs", verbose=False, execute=execute)[0]
    assert macs == 16 * times
    assert "type" not in globals()


def test_types_are_told_in_a_forward() -> None:
    for _ in range(2):
        assert thoplw.profile(Inline(), (1, 4), convention="macs", verbose=False)[0] == 32


def test_type_is_as_before_after_an_error() -> None:
    def fail(y: Any) -> bool:
        assert type(y) is torch.Tensor
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        thoplw.profile(Compares(fail), (1, 4))
    assert "type" not in globals()


def test_a_type_of_the_users_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    mine: Any = lambda x: 2  # noqa: E731 # it is put into a table
    monkeypatch.setitem(globals(), "type", mine)
    assert thoplw.profile(Compares(lambda y: type(y) > 1), (1, 4), convention="macs", verbose=False)[0] == 32  # type: ignore[operator] # it is another
    assert globals()["type"] is mine
