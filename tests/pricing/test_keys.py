"""What a price is of, told without torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.releases import since
from torch import nn

from thoplw.capture.answers import higher_order
from thoplw.pricing.keys import CONTROL_FLOW, MODULE, is_module_class, is_operator, operator_name
from thoplw.record import class_names


class Mine(nn.Linear):
    pass


class OpOverload:
    """Only called like one."""


@pytest.mark.parametrize("key", [nn.Module, nn.Linear, Mine])
def test_classes_of_modules(key: Any) -> None:
    assert (is_module_class(key), is_operator(key)) == (True, False)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (torch.ops.aten.linear, "aten.linear"),
        (torch.ops.aten.linear.default, "aten.linear.default"),
        pytest.param(getattr(torch.ops.higher_order, "cond", None), "higher_order.cond", marks=since("2.2")),
    ],
)
def test_operators(key: Any, name: str) -> None:
    assert (is_module_class(key), is_operator(key), operator_name(key)) == (False, True, name)


def test_control_flow_is_what_runs_as_python() -> None:
    assert higher_order.CONTROL_FLOW.keys() == CONTROL_FLOW


@pytest.mark.parametrize("key", [nn.Linear(1, 1), dict, "aten.linear", len, torch.relu, None, OpOverload()])
def test_neither(key: Any) -> None:
    assert (is_module_class(key), is_operator(key)) == (False, False)


def test_the_class_of_all_modules() -> None:
    assert class_names(nn.Module)[0] == MODULE
