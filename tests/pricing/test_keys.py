"""What a price is of, told without torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from thoplw.pricing.keys import MODULE, is_module_class, is_operator
from thoplw.record import class_names


class Mine(nn.Linear):
    pass


class OpOverload:
    """Only called like one."""


@pytest.mark.parametrize("key", [nn.Module, nn.Linear, Mine])
def test_classes_of_modules(key: Any) -> None:
    assert (is_module_class(key), is_operator(key)) == (True, False)


@pytest.mark.parametrize("key", [torch.ops.aten.linear, torch.ops.aten.linear.default])
def test_operators(key: Any) -> None:
    assert (is_module_class(key), is_operator(key)) == (False, True)


@pytest.mark.parametrize("key", [nn.Linear(1, 1), dict, "aten.linear", len, torch.relu, None, OpOverload()])
def test_neither(key: Any) -> None:
    assert (is_module_class(key), is_operator(key)) == (False, False)


def test_the_class_of_all_modules() -> None:
    assert class_names(nn.Module)[0] == MODULE
