"""Dense linear algebra: the leading cubic term, over the batch.

Figures are floating-point operations from Golub & Van Loan, "Matrix Computations" (4th ed., 2013), and the LAPACK
Working Note 41 (Blackford & Dongarra, 1999). As half of these are multiplications fused with an addition, they count as
half as many multiply-accumulates. Where a count depends on convergence (eigenvalues, singular values), it is the
textbook's own estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from thoplw.formulas.common import Table
from thoplw.record import Call, Work

#: FLOPs of a factorisation of an m x n matrix, m >= n.
_FACTORISATIONS: dict[Callable[[int, int], int], str] = {
    # n^3 / 3: Golub & Van Loan, algorithm 4.2.1
    lambda m, n: n**3 // 3: "linalg_cholesky_ex linalg_cholesky",
    # m n^2 - n^3 / 3: LU with partial pivoting, LAWN 41, getrf
    lambda m, n: (
        m * n * n - n**3 // 3
    ): "linalg_lu_factor_ex linalg_lu_factor linalg_lu linalg_det _linalg_det linalg_slogdet _linalg_slogdet",
    # 2 n^3: LU and both triangular solves with the identity, LAWN 41, getrf + getri
    lambda m, n: 2 * n**3: "linalg_inv_ex linalg_inv inverse",
    # 2 m n^2 - 2 n^3 / 3, and as much again to form Q: Golub & Van Loan, section 5.2
    lambda m, n: 4 * m * n * n - 4 * n**3 // 3: "linalg_qr geqrf",
    # half of that: to form Q
    lambda m, n: 2 * m * n * n - 2 * n**3 // 3: "linalg_householder_product orgqr",
    # n^3 / 3: LDL with pivoting, LAWN 41, sytrf
    lambda m, n: n**3 // 3: "linalg_ldl_factor_ex linalg_ldl_factor",
    # 9 n^3: symmetric QR with vectors, Golub & Van Loan, section 8.3
    lambda m, n: 9 * n**3: "_linalg_eigh linalg_eigh",
    # 25 n^3: Hessenberg QR with vectors, Golub & Van Loan, section 7.5
    lambda m, n: 25 * n**3: "linalg_eig _linalg_eigvals linalg_eigvals",
    # 4 m^2 n + 8 m n^2 + 9 n^3: Golub-Reinsch with vectors, Golub & Van Loan, section 8.6
    lambda m, n: 4 * m * m * n + 8 * m * n * n + 9 * n**3: "_linalg_svd linalg_svd svd",
    # that, and the product of its factors
    lambda m, n: 4 * m * m * n + 10 * m * n * n + 9 * n**3: "linalg_pinv",
    # scaling and squaring with a Pade approximant: about 6 products and a solve, Higham (2005)
    lambda m, n: 12 * n**3 + 8 * n**3 // 3: "linalg_matrix_exp",
}


def factorisation(flops: Callable[[int, int], int], call: Call) -> Work:
    """``[*, M, N]``: a factorisation of each matrix."""
    *batch, rows, columns = call.inputs[0].shape
    total = math.prod(batch) * flops(max(rows, columns), min(rows, columns))
    return Work(macs=total // 2, flops=total)


def solve(call: Call) -> Work:
    """``[*, N, N] [*, N, K] -> [*, N, K]``: LU (2/3 n^3) and two triangular solves (n^2 each per column)."""
    a = call.args[0]
    n, batch = a.shape[-1], math.prod(a.shape[:-2])
    columns = call.outputs[0].numel // (n * batch) if n * batch else 0
    total = batch * (2 * n**3 // 3 + 2 * n * n * columns)
    return Work(macs=total // 2, flops=total)


def solve_triangular(matrix: int, times: int, call: Call) -> Work:
    """``[*, N, N] [*, N, K] -> [*, N, K]``: substitution takes ``n^2`` per column, so many times."""
    total = times * call.outputs[0].numel * call.args[matrix].shape[-1]
    return Work(macs=total // 2, flops=total)


def least_squares(call: Call) -> Work:
    """``[*, M, N] [*, M, K] -> [*, N, K]``: by QR of the taller way round; each column takes a product and a solution.

    ``2 m n^2 - 2 n^3 / 3``, and ``4 m n - n^2`` for each of K, with m >= n; Golub & Van Loan, algorithm 5.3.2.
    """
    *batch, rows, columns = call.args[0].shape
    m, n = max(rows, columns), min(rows, columns)
    sides = call.args[1].numel // (math.prod(batch) * rows) if math.prod(batch) * rows else 0
    total = math.prod(batch) * (2 * m * n * n - 2 * n**3 // 3 + sides * (4 * m * n - n * n))
    return Work(macs=total // 2, flops=total)


FORMULAS: Table = {
    **{
        f"aten.{name}": partial(factorisation, flops)
        for flops, names in _FACTORISATIONS.items()
        for name in names.split()
    },
    "aten.linalg_solve": solve,
    "aten.linalg_solve_ex": solve,
    "aten._linalg_solve_ex": solve,
    "aten.linalg_solve_triangular": partial(solve_triangular, 0, 1),
    "aten.triangular_solve": partial(solve_triangular, 1, 1),
    "aten.cholesky_solve": partial(solve_triangular, 1, 2),
    "aten.linalg_lstsq": least_squares,
}
