"""A polynomial as text, LaTeX, Python and for sympy."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from thoplw.estimate import notation
from thoplw.estimate.polynomial import Polynomial, polynomial

VIT = polynomial({(4,): Fraction(9, 32), (2,): Fraction(334224), (0,): Fraction(85721088)})
LLAMA = polynomial({(1, 1): Fraction(7504658432), (1, 2): Fraction(262144)})
SIGNS = polynomial({(1,): Fraction(-1), (2,): Fraction(-1, 2), (0,): Fraction(1)})


@pytest.mark.parametrize(
    ("made", "variables", "text", "latex"),
    [
        (VIT, "R", "9/32*R^4 + 334224*R^2 + 85721088", r"\frac{9}{32} R^{4} + 334224 R^{2} + 85721088"),
        (LLAMA, "BS", "262144*B*S^2 + 7504658432*B*S", "262144 B S^{2} + 7504658432 B S"),
        (SIGNS, "R", "-1/2*R^2 - R + 1", r"-\frac{1}{2} R^{2} - R + 1"),
        (polynomial({}), "R", "0", "0"),
        (polynomial({(1, 1): Fraction(1)}), ["batch", "num_tokens"], "batch*num_tokens",
         r"\mathrm{batch} \, \mathrm{num\_tokens}"),
    ],
)  # fmt: skip
def test_text_and_latex(made: Polynomial, variables: list[str], text: str, latex: str) -> None:
    assert notation.text(made, variables) == text
    assert notation.latex(made, variables) == latex


def test_python_is_exact_and_whole() -> None:
    source = notation.python(VIT, "R")
    assert source == "(9*R**4 + 10695168*R**2 + 2743074816) // 32"
    for edge in range(16, 4096, 16):
        assert eval(source, {"R": edge}) == VIT((edge,))


def test_sympy_takes_it() -> None:
    batch, tokens = sympy.symbols("B S", integer=True, positive=True)
    assert notation.sympy(LLAMA, "BS") == 262144 * batch * tokens**2 + 7504658432 * batch * tokens
    where = notation.sympy_where((range(1, 65), range(32, 1025, 32)), "BS")
    assert where.subs({batch: 3, tokens: 64}) == sympy.true
    assert where.subs({batch: 3, tokens: 65}) == sympy.false
    assert where.subs({batch: 65, tokens: 64}) == sympy.false


@pytest.mark.parametrize(
    ("sizes", "text"),
    [(range(1, 65), "1 … 64"), (range(32, 1025, 32), "32, 64 … 1024"), (range(7, 8), "7"), (range(2, 7, 4), "2, 6")],
)
def test_sizes(sizes: range, text: str) -> None:
    assert notation.sizes(sizes) == text


def test_where_in_latex() -> None:
    assert notation.latex_where((range(1, 9), range(33, 1000, 32)), "BR") == (
        r"1 \le B \le 8,\ 33 \le R \le 993,\ R \equiv 1 \pmod{32}"
    )
