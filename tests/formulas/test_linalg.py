"""Work of linear algebra: the cubic terms of the textbooks, half of them multiply-accumulates."""

from __future__ import annotations

import pytest
from checks.calls import Case, c64, call, check, f32

B, N, K = 2, 6, 4  # the shapes divide the terms, so that algebra needs no rounding
TALL = f32(B, 2 * N, N)  # of 2N rows
SQUARE = f32(B, N, N)


def half(flops: int) -> tuple[int, int]:
    """Multiply-accumulates and floating-point operations."""
    return flops // 2, flops


CASES: dict[str, Case] = {
    "cholesky": (call("linalg_cholesky_ex", SQUARE, out=(SQUARE, f32(B))), *half(B * N**3 // 3)),
    "ldl": (call("linalg_ldl_factor_ex", SQUARE, out=(SQUARE, f32(B, N), f32(B))), *half(B * N**3 // 3)),
    "lu": (call("linalg_lu_factor_ex", SQUARE, out=(SQUARE, f32(B, N), f32(B))), *half(B * 2 * N**3 // 3)),
    "inverse": (call("linalg_inv_ex", SQUARE, out=(SQUARE, f32(B))), *half(B * 2 * N**3)),
    "qr": (call("linalg_qr", TALL, out=(TALL, SQUARE)), *half(B * 2 * (4 * N**3 - 2 * N**3 // 3))),
    "q alone": (
        call("linalg_householder_product", TALL, f32(B, N), out=TALL),
        *half(B * (4 * N**3 - 2 * N**3 // 3)),
    ),
    "eigh": (call("_linalg_eigh", SQUARE, out=(f32(B, N), SQUARE)), *half(B * 9 * N**3)),
    "svd": (
        call("_linalg_svd", TALL, out=(TALL, f32(B, N), SQUARE)),
        *half(B * (4 * 4 * N**3 + 8 * 2 * N**3 + 9 * N**3)),
    ),
    # The same, and a product of N x N and N x 2N.
    "pseudo-inverse": (
        call("linalg_pinv", TALL, out=f32(B, N, 2 * N), overload="atol_rtol_tensor"),
        *half(B * (4 * 4 * N**3 + 8 * 2 * N**3 + 9 * N**3 + 2 * 2 * N**3)),
    ),
    "solve": (
        call("_linalg_solve_ex", SQUARE, f32(B, N, K), out=(f32(B, N, K),)),
        *half(B * (2 * N**3 // 3 + 2 * N * N * K)),
    ),
    "triangular": (call("linalg_solve_triangular", SQUARE, f32(B, N, K), out=f32(B, N, K)), *half(B * N * N * K)),
    "least squares": (
        call("linalg_lstsq", TALL, f32(B, 2 * N, K), out=(f32(B, N, K),)),
        *half(B * (4 * N**3 - 2 * N**3 // 3 + K * (8 * N * N - N * N))),
    ),
    "least squares, wide": (
        call("linalg_lstsq", f32(B, N, 2 * N), f32(B, N, K), out=(f32(B, 2 * N, K),)),
        *half(B * (4 * N**3 - 2 * N**3 // 3 + K * (8 * N * N - N * N))),
    ),
    # LAWN 41: potri, and two substitutions of n^2 for each column (getrs, sytrs).
    "inverse of a factor": (call("cholesky_inverse", SQUARE, out=SQUARE), *half(B * 2 * N**3 // 3)),
    "solution of a factor": (
        call("linalg_lu_solve", SQUARE, f32(B, N), f32(B, N, K), out=f32(B, N, K)),
        *half(B * 2 * N * N * K),
    ),
    "solution of a symmetric factor": (
        call("linalg_ldl_solve", SQUARE, f32(B, N), f32(B, N, K), out=f32(B, N, K)),
        *half(B * 2 * N * N * K),
    ),
    "reflectors": (call("geqrf", TALL, out=(TALL, f32(B, N))), *half(B * (4 * N**3 - 2 * N**3 // 3))),
    # LAWN 41, ormqr: 4 m n k - 2 n k^2 from the left, 4 m n k - 2 m k^2 from the right.
    "reflected": (
        call("ormqr", TALL, f32(B, N), f32(B, 2 * N, K), out=f32(B, 2 * N, K)),
        *half(B * (4 * 2 * N * K * N - 2 * K * N * N)),
    ),
    "reflected from the right": (
        call("ormqr", TALL, f32(B, N), f32(B, K, 2 * N), False, out=f32(B, K, 2 * N)),
        *half(B * (4 * 2 * N * K * N - 2 * K * N * N)),
    ),
    # With vectors 9 n^3, and a product of N x N matrices.
    "root": (call("linalg_matrix_sqrth", SQUARE, out=SQUARE), *half(B * (9 + 2) * N**3)),
    # Singular vectors, a product of 2N x N and N x N, and one of N x N and N x N.
    "polar": (
        call("linalg_polar", TALL, out=(TALL, SQUARE)),
        *half(B * ((4 * 4 + 8 * 2 + 9) * N**3 + 2 * 2 * N**3 + 2 * N**3)),
    ),
    "values of a symmetric matrix alone": (
        call("_linalg_eigh", SQUARE, "L", False, out=(f32(B, N), f32(0))),
        *half(B * 4 * N**3 // 3),
    ),
    "values of a matrix alone": (call("_linalg_eigvals", SQUARE, out=f32(B, N)), *half(B * 10 * N**3)),
    "singular values alone": (
        call("_linalg_svd", TALL, False, False, out=(f32(0), f32(B, N), f32(0))),
        *half(B * (4 * 2 * N**3 - 4 * N**3 // 3)),
    ),
    "r alone": (call("linalg_qr", TALL, "r", out=(f32(0), SQUARE)), *half(B * (4 * N**3 - 2 * N**3 // 3))),
    # Each multiply-accumulate of complex numbers is four of real ones, of two operations each.
    "complex inverse": (call("linalg_inv_ex", c64(B, N, N), out=(c64(B, N, N), f32(B))), *half(4 * B * 2 * N**3)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
