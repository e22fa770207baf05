"""What mirrors of other tools have in common."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from thoplw.formulas import FORMULAS
from thoplw.formulas.common import Formula, real_products
from thoplw.record import Call, Work

#: Functions that compute matrix products inside of torch: tools that replace functions in Python do not see those.
PRODUCTS_INSIDE = tuple(
    f"aten.{name}"
    for name in (
        "einsum tensordot inner chain_matmul linalg_multi_dot linalg_vecdot linalg_matrix_power matrix_power "
        "linalg_matmul cov corrcoef"
    ).split()
)


def contraction_alone(formula: Formula, call: Call) -> Work:
    """What a tool that sees kernels counts for a contraction: no biases, softmax or gates.

    It takes complex numbers for real ones; but a convolution of them reaches it as three of real numbers.
    """
    factor = real_products(call)
    kernels = 3 if factor > 1 and "conv" in call.target else 1
    macs = formula(call).macs // factor * kernels
    return Work(macs=macs, flops=2 * macs)


def contraction_of(target: str) -> Formula:
    """The formula of an operator as :func:`contraction_alone` counts it."""
    formula = FORMULAS[target]
    assert formula is not None  # of every contraction
    return lambda call: contraction_alone(formula, call)


def blind_but(prices: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The table of a tool that sees these prices and takes every other known operator for free.

    What a tool counts as nothing is a price too: a report can say so. An operator that thoplw does not know either
    stays without a price.
    """
    return MappingProxyType({**dict.fromkeys(FORMULAS), **prices})
