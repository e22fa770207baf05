"""The search for a formula, on costs that are known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import ceil
from random import Random

import pytest

from thoplw.estimate import formula
from thoplw.estimate.formula import HELD_OUT, Hints, Measure, Piece, solve
from thoplw.estimate.notation import text
from thoplw.estimate.polynomial import Point

Cost = Callable[..., int]


def searched(
    cost: Cost, *ranges: range, hints: Hints | None = None, whole: bool = False
) -> tuple[tuple[Piece, ...], set[Point]]:
    """The pieces, and where the cost was asked for."""
    known: dict[Point, int] = {}

    def at(point: Point) -> int:
        return known.setdefault(point, cost(*point))

    return solve(Measure(at, lambda: tuple(known)), ranges, hints, whole=whole), set(known)


def vit(edge: int) -> int:
    """The products of ViT-B/16, written out."""
    tokens, width = (edge // 16) ** 2 + 1, 768
    patches = (tokens - 1) * 3 * 16 * 16 * width
    return patches + 12 * (12 * tokens * width**2 + 2 * tokens**2 * width) + 1000 * width


def halved(edge: int) -> int:
    """A map that is halved three times, each with a convolution."""
    cost = 0
    for _ in range(3):
        edge = ceil(edge / 2)
        cost += 9 * edge**2
    return cost


def test_one_polynomial_from_few_runs() -> None:
    (piece,), asked = searched(lambda b, s: 262144 * b * s**2 + 7504658432 * b * s, range(1, 65), range(1, 8193))
    assert text(piece.polynomial, "BS") == "262144*B*S^2 + 7504658432*B*S"
    assert piece.ranges == (range(1, 65), range(1, 8193))
    assert len(piece.held_out) >= HELD_OUT
    assert not set(piece.held_out) & set(product(*piece.grid))
    assert set(product((1, 64), (1, 8192))) <= set(piece.held_out)
    assert len(asked) < 25


def test_rational_coefficients() -> None:
    (piece,), _ = searched(vit, range(16, 513, 16))
    assert text(piece.polynomial, "R") == "9/32*R^4 + 334224*R^2 + 85721088"


def test_too_low_a_degree_is_caught_at_a_run_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formula, "MOST_DEGREE", 2)
    assert searched(vit, range(16, 513, 16))[0] == ()


def test_every_residue_has_its_own() -> None:
    pieces, _ = searched(halved, range(1, 257))
    assert len(pieces) == 8
    assert pieces[0].ranges == (range(8, 257, 8),)
    assert text(pieces[0].polynomial, "R") == "189/64*R^2"
    for edge in range(1, 257):
        (own,) = [piece for piece in pieces if piece.holds((edge,))]
        assert own.polynomial((edge,)) == halved(edge)


def test_residues_of_residues() -> None:
    """Odd sizes are of two kinds, and even ones of one."""

    def cost(size: int) -> int:
        return size**2 + 7 * size * (size % 4 == 3)

    pieces, _ = searched(cost, range(1, 65))
    assert {piece.ranges[0] for piece in pieces} == {range(2, 65, 2), range(1, 65, 4), range(3, 65, 4)}
    for size in range(1, 65):
        assert [piece.polynomial((size,)) for piece in pieces if piece.holds((size,))] == [cost(size)]


def test_a_modulus_beyond_powers_of_two_comes_from_hints() -> None:
    def windows(edge: int) -> int:
        return ceil(edge / 224) ** 2 * 1000 + edge**2

    (piece,), _ = searched(windows, range(1, 2017), hints=Hints(moduli=(7,)))
    assert piece.ranges == (range(224, 2017, 224),)
    assert text(piece.polynomial, "R") == "6397/6272*R^2", "1000/224**2 + 1"
    assert searched(windows, range(1, 2017))[0] == ()


@pytest.mark.parametrize("threshold", [100, 700, 3000])
def test_a_range_is_cut_where_a_formula_ends(threshold: int) -> None:
    def sliding(tokens: int) -> int:
        return tokens * min(tokens, threshold)

    pieces, _ = searched(sliding, range(1, 4097))
    assert len(pieces) == 2
    for tokens in range(1, 4097):
        assert [piece.polynomial((tokens,)) for piece in pieces if piece.holds((tokens,))] == [sliding(tokens)]


def test_a_threshold_that_hints_name_is_looked_at_on_both_sides() -> None:
    def once(tokens: int) -> int:
        return tokens + (tokens == 513)

    assert len(searched(once, range(1, 4097))[0]) == 1, "nobody would look there"
    pieces, asked = searched(once, range(1, 4097), hints=Hints(thresholds=(512,)))
    assert {(512,), (513,)} <= asked
    assert all(piece.polynomial(point) == once(*point) for piece in pieces for point in asked if piece.holds(point))


def test_no_formula_is_better_than_a_wrong_one() -> None:
    random = Random(1)
    assert searched(lambda tokens: random.randrange(10**6), range(1, 4097))[0] == ()
    assert searched(lambda tokens: tokens ^ 21845, range(1, 4097))[0] == ()
    assert searched(lambda tokens: tokens * (tokens.bit_length()), range(1, 65), whole=True)[0] == ()


def test_the_search_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formula, "MOST_RUNS", 50)
    pieces, asked = searched(lambda tokens: tokens ^ 21845, range(1, 4097), hints=Hints(moduli=tuple(range(2, 99))))
    assert (pieces, len(asked)) == ((), 50)


def test_a_miss_in_a_corner_leaves_the_corner_out() -> None:
    def cost(batch: int, tokens: int) -> int:
        return batch * tokens + (7 if batch * tokens > 60 * 4000 else 0)

    pieces, asked = searched(cost, range(1, 65), range(1, 4097))
    assert pieces
    assert not any(piece.holds((64, 4096)) for piece in pieces)
    assert all(piece.polynomial(point) == cost(*point) for piece in pieces for point in asked if piece.holds(point))


def test_a_polynomial_that_is_not_whole_everywhere_is_none() -> None:
    piece = Piece(
        ranges=(range(1, 9),),
        polynomial=formula.through([(2, 4)], {(2,): 1, (4,): 2}),
        grid=((2, 4),),
        held_out=((6,), (8,)),
    )
    assert not formula.is_whole(piece)


def test_another_cost_from_the_same_runs() -> None:
    (piece,), _ = searched(vit, range(16, 513, 16))
    half = formula.refit(piece, lambda point: 2 * vit(*point))
    assert half is not None
    assert text(half.polynomial, "R") == "9/16*R^4 + 668448*R^2 + 171442176"
    assert formula.refit(piece, lambda point: point[0].bit_length()) is None


def test_a_variable_of_one_size() -> None:
    (piece,), _ = searched(lambda b, s: b * s, range(8, 9), range(1, 65))
    assert text(piece.polynomial, "BS") == "8*S"


def test_no_piece_of_a_maximum_goes_on_where_another_is_larger() -> None:
    """Peaks are maxima, and where one part gives way to another is no line along a variable."""

    def peak(b: int, s: int) -> int:
        return max(4 * s**2 + 64 * s + 64 * b + 279624, 64 * s + 16448 * b + 279620)

    pieces, _ = searched(peak, range(1, 301), range(1, 2001))
    assert len(pieces) > 1
    for piece in pieces:
        for corner in product(*((sizes[0], sizes[-1]) for sizes in piece.ranges)):
            assert piece.polynomial(corner) == peak(*corner)
