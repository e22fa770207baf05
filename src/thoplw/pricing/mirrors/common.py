"""What mirrors of other tools have in common."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from thoplw.formulas import FORMULAS

#: Functions that compute matrix products inside of torch: tools that replace functions in Python do not see those.
PRODUCTS_INSIDE = tuple(
    f"aten.{name}"
    for name in (
        "einsum tensordot inner chain_matmul linalg_multi_dot linalg_vecdot linalg_matrix_power matrix_power "
        "linalg_matmul cov corrcoef"
    ).split()
)


def blind_but(prices: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The table of a tool that sees these prices and takes every other known operator for free.

    What a tool counts as nothing is a price too: a report can say so. An operator that thoplw does not know either
    stays without a price.
    """
    return MappingProxyType({**dict.fromkeys(FORMULAS), **prices})
