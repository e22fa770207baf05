"""A formula of several polynomials: its value, its domain, and what it says where it does not hold."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from thoplw.errors import InputError, UnknownNameError
from thoplw.estimate.expression import Check, Domain, Expression
from thoplw.estimate.formula import Piece
from thoplw.estimate.polynomial import polynomial


def cost(batch: int, size: int) -> int:
    """Every other place of a grid, the first among them."""
    return batch * -(-size * size // 2)


def piece(terms: dict[tuple[int, ...], Any], *ranges: range) -> Piece:
    found = {powers: Fraction(factor) for powers, factor in terms.items()}
    return Piece(polynomial=polynomial(found), ranges=ranges, grid=(), held_out=())


EVEN = piece({(1, 2): Fraction(1, 2)}, range(1, 9), range(2, 101, 2))
ODD = piece({(1, 2): Fraction(1, 2), (1, 0): Fraction(1, 2)}, range(1, 9), range(3, 20, 2))
CHECKS = (Check(sizes={"B": 1, "S": 4}, measured=8, formula=Fraction(8), held_out=True),)
FORMULA = Expression(name="macs", variables=("B", "S"), pieces=(EVEN, ODD), evidence=CHECKS)
ALONE = Expression(name="macs", variables=("B", "S"), pieces=(EVEN,), evidence=CHECKS)


def test_a_value_is_that_of_the_piece_that_holds() -> None:
    for batch in range(1, 9):
        for size in (*range(2, 20), *range(20, 101, 2)):
            assert FORMULA(B=batch, S=size) == cost(batch, size)


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({"B": 1, "S": 21}, InputError, r"macs is not known to hold for B=1, S=21: it holds for B = 1 … 8, S = 2, 4"),
        ({"B": 9, "S": 4}, InputError, "for B=9, S=4"),
        ({"B": 1}, InputError, "S has no size; the variables are B, S"),
        ({"B": 1, "S": 2, "T": 3}, UnknownNameError, "unknown variable 'T'"),
    ],
)
def test_sizes_of_no_piece_are_refused(sizes: dict[str, int], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        FORMULA(**sizes)


def test_code_gives_the_same_numbers_and_refuses_the_same_sizes() -> None:
    scope: dict[str, Any] = {}
    exec(FORMULA.python("count"), scope)
    for size in range(1, 105):
        known = {"B": 3, "S": size} in FORMULA.domain[0] or {"B": 3, "S": size} in FORMULA.domain[1]
        if known:
            assert scope["count"](3, size) == FORMULA(B=3, S=size) == cost(3, size)
        else:
            with pytest.raises(ValueError, match=f"no formula for B=3, S={size}"):
                scope["count"](3, size)


def test_sympy_gives_the_same_numbers() -> None:
    sympy = pytest.importorskip("sympy")
    for formula in (FORMULA, ALONE):
        made = formula.sympy()
        symbols = {each.name: each for each in made.free_symbols}
        assert made.subs({symbols["B"]: 3, symbols["S"]: 10}) == sympy.Integer(cost(3, 10))
    assert FORMULA.sympy().subs({symbols["B"]: 3, symbols["S"]: 7}) == cost(3, 7)


def test_text_of_one_piece_is_the_polynomial_and_of_several_says_where() -> None:
    assert str(ALONE) == "1/2*B*S^2"
    assert str(FORMULA).splitlines() == [
        "1/2*B*S^2 for B = 1 … 8, S = 2, 4 … 100",
        "1/2*B*S^2 + 1/2*B for B = 1 … 8, S = 3, 5 … 19",
    ]
    assert r"\begin{cases}" in FORMULA.latex()
    assert r"\begin{cases}" not in ALONE.latex()
    many = Expression(name="macs", variables=("B", "S"), pieces=(EVEN,) * 5, evidence=())
    assert many.where().endswith("; or in 2 more pieces")


@pytest.mark.parametrize("most", [2, 3, 100, 101, 1234, 10**6])
def test_the_largest_size_is_that_of_a_search_of_all(most: int) -> None:
    known = [size for size in (*range(2, 20), *range(20, 101, 2)) if cost(1, size) <= most]
    assert FORMULA.largest("S", most, B=1) == max(known)
    below = [size for size in known if size <= 9]
    assert FORMULA.largest("S", most, 9, B=1) == max(below)


def test_a_limit_that_no_size_keeps_is_said_with_the_least_cost() -> None:
    with pytest.raises(InputError, match=r"macs is above 1 for every S: at S=2 it is 2"):
        FORMULA.largest("S", 1, B=1)
    with pytest.raises(InputError, match="largest finds S: leave S=4 out"):
        FORMULA.largest("S", 100, **{"B": 1, "S": 4})
    with pytest.raises(UnknownNameError, match="unknown variable 'T'"):
        FORMULA.largest("T", 100, B=1)
    with pytest.raises(InputError, match="not known to hold for B=9"):
        FORMULA.largest("S", 100, B=9)


def test_a_domain_has_sizes_of_all_variables() -> None:
    domain = Domain({"B": range(1, 3), "S": range(4, 9, 4)})
    assert {"B": 2, "S": 8} in domain
    for other in ({"B": 2, "S": 6}, {"B": 3, "S": 4}, {"S": 4}, (2, 8)):
        assert other not in domain


def test_plain_values_are_exact() -> None:
    found = FORMULA.to_dict()
    assert [term["coefficient"] for term in found["pieces"][1]["terms"]] == ["1/2", "1/2"]
    assert found["pieces"][1]["terms"][1]["powers"] == {"B": 1}
    assert found["pieces"][0]["domain"]["S"] == {"first": 2, "last": 100, "step": 2}
    assert found["evidence"] == [{"sizes": {"B": 1, "S": 4}, "measured": 8, "formula": "8", "held_out": True}]
