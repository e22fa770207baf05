"""Prices of classes of modules go by the names of the classes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thoplw
from thoplw.pricing import _complete, find, macs
from thoplw.pricing.mirrors.layers import LAYERS
from thoplw.record import ModuleCall, class_names


class Wide(nn.Linear):
    pass


def linear(seen: ModuleCall) -> int:
    return 7


def other(seen: ModuleCall) -> int:
    return 9


def test_a_class_is_turned_into_its_name() -> None:
    convention = thoplw.Convention("mine", {nn.Linear: linear, "timm.layers.attention:Attention": other})
    assert convention.modules == {LAYERS["Linear"]: linear, "timm.layers.attention:Attention": other}


@pytest.mark.parametrize("key", [nn.Linear, LAYERS["Linear"]])
@pytest.mark.parametrize("subclasses", [True, False])
def test_the_price_of_a_class_and_of_one_derived_from_it(key: type | str, subclasses: bool) -> None:
    convention = thoplw.Convention("mine", {key: linear}, subclasses=subclasses)
    assert convention.price_of(class_names(nn.Linear)) is linear
    assert convention.price_of(class_names(Wide)) is (linear if subclasses else None)
    assert convention.price_of(class_names(nn.Conv2d)) is None
    assert convention.price_of(()) is None


def test_the_nearest_class_prices() -> None:
    convention = thoplw.Convention("mine", {nn.Module: other, Wide: linear})
    assert convention.price_of(class_names(Wide)) is linear
    assert convention.price_of(class_names(nn.Linear)) is other


@pytest.mark.parametrize("keys", [(nn.Linear, LAYERS["Linear"]), (LAYERS["Linear"], nn.Linear)])
def test_a_class_and_its_name_are_one_key(keys: tuple[type | str, type | str]) -> None:
    base = thoplw.Convention("base", {keys[0]: linear})
    assert find(thoplw.Convention("mine", {keys[1]: other}, base)).modules == {LAYERS["Linear"]: other}


@pytest.mark.parametrize("key", [len, 3, torch.relu, dict])
def test_a_key_of_another_kind_is_refused(key: object) -> None:
    with pytest.raises(thoplw.InputError, match="a price is of an operator"):
        thoplw.Convention("mine", {key: linear})


def test_a_price_is_a_function_and_a_unit_is_known() -> None:
    with pytest.raises(thoplw.InputError, match=r"'mine' has 4 as the price for aten\.relu: give a function of a call"):
        thoplw.Convention("mine", {"aten.relu": 4})
    with pytest.raises(thoplw.InputError, match=r"'mine' has unit 'X': give 'MAC' or 'FLOP'"):
        thoplw.Convention("mine", {}, unit="X")  # type: ignore[arg-type] # on purpose


def test_a_convention_of_thoplw_itself_is_based_on_one_before_it() -> None:
    chip = thoplw.Convention("chip", {"aten.softmax": None}, based_on="macs")
    found = _complete([macs.CONVENTION, chip])["chip"]
    assert (found.unit, found.operators["aten.softmax"]) == ("MAC", None)
    assert thoplw.profile(nn.Linear(4, 8), (1, 4), convention=found, verbose=False)[0] == 4 * 8
