"""Dense linear algebra: the leading cubic term, over the batch.

Figures are floating-point operations from Golub & Van Loan, "Matrix Computations" (4th ed., 2013), and the LAPACK
Working Note 41 (Blackford & Dongarra, 1999). As half of these are multiplications fused with an addition, they count as
half as many multiply-accumulates; of complex matrices each is four of real ones. Where a count depends on convergence
(eigenvalues, singular values), it is the textbook's own estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from thoplw.formulas.common import Table, real_products
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
    # 2 n^3 / 3: the inverse from its factor, LAWN 41, potri
    lambda m, n: 2 * n**3 // 3: "cholesky_inverse",
    # 2 m n^2 - 2 n^3 / 3, and as much again to form Q: Golub & Van Loan, section 5.2
    lambda m, n: 4 * m * n * n - 4 * n**3 // 3: "linalg_qr",
    # half of that: to find the reflectors, or to form Q of them
    lambda m, n: 2 * m * n * n - 2 * n**3 // 3: "geqrf linalg_householder_product orgqr",
    # n^3 / 3: LDL with pivoting, LAWN 41, sytrf
    lambda m, n: n**3 // 3: "linalg_ldl_factor_ex linalg_ldl_factor",
    # 9 n^3: symmetric QR with vectors, Golub & Van Loan, section 8.3
    lambda m, n: 9 * n**3: "_linalg_eigh linalg_eigh",
    # that, and the product of its vectors, scaled by the roots of its values, with themselves
    lambda m, n: 11 * n**3: "linalg_matrix_sqrth",
    # 25 n^3: Hessenberg QR with vectors, 10 n^3 without, Golub & Van Loan, section 7.5
    lambda m, n: 25 * n**3: "linalg_eig",
    lambda m, n: 10 * n**3: "_linalg_eigvals linalg_eigvals",
    # 4 m^2 n + 8 m n^2 + 9 n^3: Golub-Reinsch with vectors, Golub & Van Loan, section 8.6
    lambda m, n: 4 * m * m * n + 8 * m * n * n + 9 * n**3: "_linalg_svd linalg_svd svd",
    # that, and the product of its factors
    lambda m, n: 4 * m * m * n + 10 * m * n * n + 9 * n**3: "linalg_pinv",
    # that, and the product of one with itself: A = (U V') (V S V'), Higham, "Computing the polar decomposition" (1986)
    lambda m, n: 4 * m * m * n + 10 * m * n * n + 11 * n**3: "linalg_polar",
    # scaling and squaring with a Pade approximant: about 6 products and a solve, Higham (2005)
    lambda m, n: 12 * n**3 + 8 * n**3 // 3: "linalg_matrix_exp",
}


#: Operators that leave out a part if an argument says so: the argument, its value, and the FLOPs that are left.
_SHORTER: dict[str, tuple[int, object, Callable[[int, int], int]]] = {
    # 4 n^3 / 3: tridiagonal, and values alone; Golub & Van Loan, section 8.3
    "aten._linalg_eigh": (2, False, lambda m, n: 4 * n**3 // 3),
    # 4 m n^2 - 4 n^3 / 3: bidiagonal, and values alone; Golub & Van Loan, section 8.6
    "aten._linalg_svd": (2, False, lambda m, n: 4 * m * n * n - 4 * n**3 // 3),
    # R alone
    "aten.linalg_qr": (1, "r", lambda m, n: 2 * m * n * n - 2 * n**3 // 3),
}


def _half(call: Call, flops: int) -> Work:
    """Return work of some floating-point operations, given for real numbers; half of them are multiplications."""
    total = flops * real_products(call)
    return Work(macs=total // 2, flops=total)


def factorisation(flops: Callable[[int, int], int], call: Call) -> Work:
    """``[*, M, N]``: a factorisation of each matrix."""
    position, without, shorter = _SHORTER.get(call.target, (0, None, flops))
    if without is not None and call.arg(position) == without:
        flops = shorter
    *batch, rows, columns = call.inputs[0].shape
    return _half(call, math.prod(batch) * flops(max(rows, columns), min(rows, columns)))


def solve(call: Call) -> Work:
    """``[*, N, N] [*, N, K] -> [*, N, K]``: LU (2/3 n^3) and two triangular solves (n^2 each per column)."""
    a = call.args[0]
    n, batch = a.shape[-1], math.prod(a.shape[:-2])
    columns = call.outputs[0].numel // (n * batch) if n * batch else 0
    return _half(call, batch * (2 * n**3 // 3 + 2 * n * n * columns))


def substitution(matrix: int, times: int, call: Call) -> Work:
    """``[*, N, N] [*, N, K] -> [*, N, K]``: substitution takes ``n^2`` per column, so many times.

    LAWN 41: trtrs once; potrs, getrs and sytrs twice.
    """
    return _half(call, times * call.outputs[0].numel * call.args[matrix].shape[-1])


def reflected(call: Call) -> Work:
    """``[*, L, K] [*, K] [*, M, N] -> [*, M, N]``: K reflectors meet a matrix: ``4 M N K - 2 N K^2``; LAWN 41, ormqr.

    From the right M and N change places.
    """
    *batch, m, n = call.args[2].shape
    k = call.args[1].shape[-1]
    return _half(call, math.prod(batch) * (4 * m * n * k - 2 * (n if call.arg(3, True) else m) * k * k))


def least_squares(call: Call) -> Work:
    """``[*, M, N] [*, M, K] -> [*, N, K]``: by QR of the taller way round; each column takes a product and a solution.

    ``2 m n^2 - 2 n^3 / 3``, and ``4 m n - n^2`` for each of K, with m >= n; Golub & Van Loan, algorithm 5.3.2.
    """
    *batch, rows, columns = call.args[0].shape
    m, n = max(rows, columns), min(rows, columns)
    sides = call.args[1].numel // (math.prod(batch) * rows) if math.prod(batch) * rows else 0
    return _half(call, math.prod(batch) * (2 * m * n * n - 2 * n**3 // 3 + sides * (4 * m * n - n * n)))


FORMULAS: Table = {
    **{
        f"aten.{name}": partial(factorisation, flops)
        for flops, names in _FACTORISATIONS.items()
        for name in names.split()
    },
    "aten.linalg_solve": solve,
    "aten.linalg_solve_ex": solve,
    "aten._linalg_solve_ex": solve,
    "aten.linalg_solve_triangular": partial(substitution, 0, 1),
    "aten.triangular_solve": partial(substitution, 1, 1),
    "aten.cholesky_solve": partial(substitution, 1, 2),
    "aten.linalg_lu_solve": partial(substitution, 0, 2),
    "aten.linalg_ldl_solve": partial(substitution, 0, 2),
    "aten.ormqr": reflected,
    "aten.linalg_lstsq": least_squares,
}
