"""Write a polynomial, and the sizes for which it holds, as text, LaTeX, Python or for sympy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from thoplw.estimate.polynomial import Polynomial

if TYPE_CHECKING:
    from sympy import Basic, Expr


def text(polynomial: Polynomial, variables: Sequence[str]) -> str:
    """``9/32*R^4 + 334224*R^2 + 85721088``."""
    return _sum(polynomial, variables, str, "{}^{}".format, "*")


def latex(polynomial: Polynomial, variables: Sequence[str]) -> str:
    r"""``\frac{9}{32} R^{4} + 334224 R^{2} + 85721088``."""
    # Without a space between them, two words would be read as one.
    between = " " if all(len(name) == 1 for name in variables) else r" \, "
    return _sum(polynomial, [*map(_latex_name, variables)], _latex_number, "{}^{{{}}}".format, between)


def python(polynomial: Polynomial, variables: Sequence[str]) -> str:
    """``(9*R**4 + 10695168*R**2 + 2743074816) // 32``, which divides without a remainder."""
    below = polynomial.denominator
    whole = Polynomial({powers: factor * below for powers, factor in polynomial.terms.items()})
    found = _sum(whole, variables, str, "{}**{}".format, "*")
    return found if below == 1 else f"({found}) // {below}"


def sympy(polynomial: Polynomial, variables: Sequence[str]) -> Expr:
    """A sum of terms in whole positive symbols."""
    import sympy

    symbols = _symbols(variables)
    terms = [
        sympy.Rational(factor.numerator, factor.denominator)
        * sympy.prod(symbol**power for symbol, power in zip(symbols, powers, strict=True))
        for powers, factor in polynomial.terms.items()
    ]
    found: Expr = sympy.Add(*terms)
    return found


def sizes(known: range) -> str:
    """``1 … 64``; ``32, 64 … 1024``; ``7``; ``1, 2``."""
    if len(known) < 3:
        return ", ".join(map(str, known))
    return f"{known[0]}{'' if known.step == 1 else f', {known[1]}'} … {known[-1]}"


def latex_where(ranges: Sequence[range], variables: Sequence[str]) -> str:
    r"""``1 \le B \le 64,\ 32 \le R \le 1024,\ R \equiv 0 \pmod{32}``."""
    found = []
    for name, known in zip(map(_latex_name, variables), ranges, strict=True):
        found.append(rf"{known[0]} \le {name} \le {known[-1]}")
        if known.step > 1:
            found.append(rf"{name} \equiv {known[0] % known.step} \pmod{{{known.step}}}")
    return r",\ ".join(found)


def python_where(ranges: Sequence[range], variables: Sequence[str]) -> str:
    """``B in range(1, 65) and R in range(32, 1025, 32)``."""
    return " and ".join(f"{name} in {known}" for name, known in zip(variables, ranges, strict=True))


def sympy_where(ranges: Sequence[range], variables: Sequence[str]) -> Basic:
    """A condition on the same symbols as those of :func:`sympy`."""
    import sympy

    tests = []
    for symbol, known in zip(_symbols(variables), ranges, strict=True):
        tests += [symbol >= known[0], symbol <= known[-1]]
        if known.step > 1:
            tests.append(sympy.Eq(sympy.Mod(symbol, known.step), known[0] % known.step))
    found: Basic = sympy.And(*tests)
    return found


def _symbols(variables: Sequence[str]) -> list[Expr]:
    import sympy

    return [sympy.Symbol(name, integer=True, positive=True) for name in variables]


def _sum(
    polynomial: Polynomial,
    variables: Sequence[str],
    number: Callable[[Fraction], str],
    power: Callable[[str, int], str],
    times: str,
) -> str:
    """Terms with their signs between them."""
    found = "".join(
        f"{' - ' if factor < 0 else ' + '}{times.join(_factors(abs(factor), powers, variables, number, power))}"
        for powers, factor in polynomial.terms.items()
    )
    return re.sub(r"^ - ", "-", found).removeprefix(" + ") or "0"


def _factors(
    factor: Fraction,
    powers: Sequence[int],
    variables: Sequence[str],
    number: Callable[[Fraction], str],
    power: Callable[[str, int], str],
) -> Iterator[str]:
    if factor != 1 or not any(powers):
        yield number(factor)
    for name, exponent in zip(variables, powers, strict=True):
        if exponent:
            yield name if exponent == 1 else power(name, exponent)


def _latex_name(name: str) -> str:
    """A name of several letters stands upright, as ``batch`` is no product."""
    return name if len(name) == 1 else rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"


def _latex_number(number: Fraction) -> str:
    return str(number) if number.denominator == 1 else rf"\frac{{{number.numerator}}}{{{number.denominator}}}"
