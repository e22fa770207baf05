"""Amounts of arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest

from thoplw.errors import CustomOpError
from thoplw.record import ZERO, Work, as_work


def test_work_adds_up() -> None:
    work = Work(macs=2, flops=5)
    assert work + work * 3 == 4 * work == Work(macs=8, flops=20)
    assert work + ZERO == work


@pytest.mark.parametrize("price", [6, 6.0, Work(macs=6, flops=12)])
def test_a_whole_number_is_of_macs(price: object) -> None:
    assert as_work(price, "a price") == Work(macs=6, flops=12)


def test_a_whole_number_of_operations_says_nothing_of_macs() -> None:
    assert as_work(7, "a price", "FLOP") == Work(flops=7)


@pytest.mark.parametrize("price", [-1, Work(macs=-1)])
def test_less_than_nothing_is_refused(price: object) -> None:
    with pytest.raises(CustomOpError, match=r"the price of aten.relu returned .*; a cost is zero or more"):
        as_work(price, "the price of aten.relu")


@pytest.mark.parametrize("price", [6.5, True, None, "6", Fraction(1, 2)])
def test_what_is_no_amount_is_refused(price: object) -> None:
    with pytest.raises(
        CustomOpError, match=r"the price of aten.relu returned .*; return a whole number of MACs, or thoplw.Work"
    ):
        as_work(price, "the price of aten.relu")
