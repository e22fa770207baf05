"""What a model may cost at most."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from torch import nn

import thoplw
from thoplw.api.budget import Budget, amount, check, share
from thoplw.api.budget import size as size_of
from thoplw.errors import InputError
from thoplw.report.profile import Profile


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2G", 2_000_000_000),
        ("12M", 12_000_000),
        ("1.5k", 1500),
        ("1.5 K", 1500),
        ("1_000", 1000),
        (7, 7),
        ("0", 0),
        ("9007199254740993", 2**53 + 1),  # a float would lose the last unit
        ("9007199.254740993G", 2**53 + 1),
        ("4.1T", 4_100_000_000_000),
    ],
)
def test_amounts_are_exact(text: str | int, expected: int) -> None:
    assert amount(text) == expected


@pytest.mark.parametrize("text", ["", "G", "-1", "1.5", "1.0005k", "2x", "2GB", "1e9", "1.G", "inf"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(InputError, match=r"is not an amount|is not a whole number; write one"):
        amount(text)


def test_tolerances() -> None:
    assert [share(text) for text in ("1%", "0.5 %", "100%")] == [Fraction(1, 100), Fraction(1, 200), 1]
    for text in ("1", "-1%", "%", "0.01"):
        with pytest.raises(InputError, match="is not a tolerance; write a percentage, as in 1%"):
            share(text)


def profile(*widths: int, convention: str = "macs") -> Profile:
    """Of linear layers without biases, one after the other."""
    model = nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in pairwise(widths)))
    return thoplw.profile(model, (1, widths[0]), verbose=False, convention=convention)[2].profile


@pytest.mark.parametrize(("limit", "kept"), [(300, True), (299, False)])
def test_a_limit_may_be_reached(limit: int, kept: bool) -> None:
    for budget in (Budget(limits={"macs": limit}), Budget(limits={"params": limit})):
        assert (check(profile(10, 20, 5), budget).problems == ()) is kept


def test_a_broken_limit_names_the_largest_layers() -> None:
    verdict = check(profile(10, 20, 5), Budget(limits={"macs": 250, "params": 1000}))
    assert verdict.problems == ("MACs: 300 is 50 more than the limit allows, which is 250",)
    (macs, params) = verdict.findings
    assert (macs.broken, params.broken) == (True, False)
    assert macs.layers is not None
    assert macs.layers.rows == (("0", "Linear", "200"), ("1", "Linear", "100"), ("(all others)", "", "0"))
    assert "(all others)" in verdict.report()
    assert verdict.report("md").count("| Total") == 1


@pytest.mark.parametrize(
    ("tolerance", "limit", "kept"),
    [("0%", 200, False), ("49.9%", 299, False), ("50%", 300, True), ("50.4%", 300, True)],
)
def test_a_baseline_and_its_tolerance(tolerance: str, limit: int, kept: bool) -> None:
    verdict = check(profile(10, 20, 5), Budget(baseline=profile(10, 20), tolerance=share(tolerance)))
    assert [(each.measured, each.limit, not each.broken) for each in verdict.findings] == [(300, limit, kept)] * 2


def test_a_baseline_names_the_layers_that_grew() -> None:
    verdict = check(profile(10, 30, 5), Budget(baseline=profile(10, 20, 10)))
    layers = verdict.findings[0].layers
    assert layers is not None
    assert layers.rows == (("0", "Linear", "200", "300", "+100"), ("(all others)", "", "200", "150", "-50"))
    assert layers.footer == ("Total", "Sequential", "400", "450", "+50")


def test_less_than_the_baseline_is_kept() -> None:
    assert check(profile(10, 20), Budget(baseline=profile(10, 20, 5))).problems == ()


def test_a_baseline_by_another_convention() -> None:
    with pytest.raises(InputError, match="figures of different conventions cannot be compared"):
        check(profile(1, 2), Budget(baseline=profile(1, 2, convention="thoplw")))


def test_a_budget_without_a_limit() -> None:
    with pytest.raises(InputError, match="a budget needs a limit"):
        Budget()


def test_operators_without_a_price_are_a_failure_unless_allowed() -> None:
    library = torch.library.Library("thoplw_budget", "DEF")
    library.define("scan(Tensor x) -> Tensor")
    library.impl("scan", lambda x: torch.empty_like(x), "Meta")

    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.thoplw_budget.scan(x)  # type: ignore[no-any-return] # operators have no types

    found = thoplw.profile(Net(), (1, 3), verbose=False)[2].profile
    strict = check(found, Budget(limits={"macs": 10}))
    assert strict.problems == (
        "the figures are too low, as these operators are not counted: thoplw_budget.scan.default",
    )
    assert strict.gaps == ("Not counted: thoplw_budget.scan.default.",)
    lenient = check(found, Budget(limits={"macs": 10}, allow_uncounted=True))
    assert (lenient.problems, lenient.gaps) == ((), strict.gaps)


@pytest.mark.parametrize(
    ("text", "size"), [("24GB", 24 * 10**9), ("24 GiB", 24 * 2**30), ("1.5kib", 1536), ("7b", 7), ("2G", 2 * 10**9)]
)
def test_a_size_has_bytes(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["24XB", "1.0001kB", "GB", "-1GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InputError, match=r"is not an amount|is no number of bytes|is not a whole number of bytes"):
        size_of(text)
