"""Work of linear algebra: the cubic terms of the textbooks, half of them multiply-accumulates."""

from __future__ import annotations

import pytest
from checks.calls import Case, call, check, f32

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
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
