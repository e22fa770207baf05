"""Work of matrix products: ``[L, K] [K, M]`` in batches of ``B``."""

from __future__ import annotations

import pytest
from checks.calls import Case, c64, call, check, f32, sparse

from thoplw.record import Call

CLASSIFIED = "torch_nn._linear_cross_entropy_batch_chunked"

B, L, K, M = 5, 2, 3, 4
LEFT, RIGHT = f32(L, K), f32(K, M)
MACS = L * K * M

CASES: dict[str, Case] = {
    "mm": (call("mm", LEFT, RIGHT, out=f32(L, M)), MACS, 2 * MACS),
    "bmm": (call("bmm", f32(B, L, K), f32(B, K, M), out=f32(B, L, M)), B * MACS, 2 * B * MACS),
    "matmul, broadcast": (call("matmul", f32(B, L, K), RIGHT, out=f32(B, L, M)), B * MACS, 2 * B * MACS),
    "matmul, vectors": (call("matmul", f32(K), f32(K), out=f32()), K, 2 * K),
    "matmul, vector on the left": (call("matmul", f32(K), f32(B, K, M), out=f32(B, M)), B * K * M, 2 * B * K * M),
    "mv": (call("mv", LEFT, f32(K), out=f32(L)), L * K, 2 * L * K),
    "dot": (call("dot", f32(K), f32(K), out=f32()), K, 2 * K),
    "vdot": (call("vdot", f32(K), f32(K), out=f32()), K, 2 * K),
    "linear": (call("linear", f32(B, L, K), f32(M, K), out=f32(B, L, M)), B * MACS, 2 * B * MACS),
    "linear, bias": (
        call("linear", f32(B, L, K), f32(M, K), f32(M), out=f32(B, L, M)),
        B * MACS,
        2 * B * MACS + B * L * M,
    ),
    "addmm": (call("addmm", f32(M), LEFT, RIGHT, out=f32(L, M)), MACS, 2 * MACS + L * M),
    "addmv": (call("addmv", f32(L), LEFT, f32(K), out=f32(L)), L * K, 2 * L * K + L),
    "baddbmm": (
        call("baddbmm", f32(B, L, M), f32(B, L, K), f32(B, K, M), out=f32(B, L, M)),
        B * MACS,
        2 * B * MACS + B * L * M,
    ),
    "addbmm": (call("addbmm", f32(L, M), f32(B, L, K), f32(B, K, M), out=f32(L, M)), B * MACS, 2 * B * MACS + L * M),
    "outer": (call("outer", f32(L), f32(M), out=f32(L, M)), 0, L * M),
    "bilinear": (
        call("bilinear", f32(B, L), f32(B, K), f32(M, L, K), out=f32(B, M)),
        B * (M * L * K + M * K),
        2 * B * (M * L * K + M * K),
    ),
    "grouped rows": (call("_grouped_mm", LEFT, f32(B, K, M), f32(B), out=f32(L, M)), MACS, 2 * MACS),
    "grouped columns": (call("_grouped_mm", f32(B, L, K), f32(K, M), f32(B), out=f32(L, M)), MACS, 2 * MACS),
    "grouped inner": (call("_grouped_mm", LEFT, RIGHT, f32(B), out=f32(B, L, M)), MACS, 2 * MACS),
    # A difference, a product and an addition for each feature, and a root.
    "distances": (call("cdist", LEFT, f32(M, K), out=f32(L, M)), MACS, 3 * MACS + L * M),
    "distances of pairs": (call("_pdist_forward", f32(5, K), out=f32(10)), 10 * K, 3 * 10 * K + 10),
    "affine grid": (call("affine_grid_generator", f32(B, 2, 3), out=f32(B, 5, 6, 2)), B * 30 * 6, 2 * B * 30 * 6),
    "nothing to contract": (call("mm", f32(L, 0), f32(0, M), out=f32(L, M)), 0, 0),
    # (a + bi)(c + di): four products, added up: 4 multiply-accumulates; a bias has two parts.
    "complex": (call("mm", c64(L, K), c64(K, M), out=c64(L, M)), 4 * MACS, 8 * MACS),
    "complex, added": (call("addmm", c64(M), c64(L, K), c64(K, M), out=c64(L, M)), 4 * MACS, 8 * MACS + 2 * L * M),
    "complex, linear": (
        call("linear", c64(L, K), c64(M, K), c64(M), out=c64(L, M)),
        4 * MACS,
        8 * MACS + 2 * L * M,
    ),
    # Every stored element meets a whole row, or a column.
    "sparse on the left": (call("mm", sparse(L, K, stored=5), RIGHT, out=f32(L, M)), 5 * M, 2 * 5 * M),
    "sparse on the right": (call("mm", LEFT, sparse(K, M, stored=7), out=f32(L, M)), L * 7, 2 * L * 7),
    "sparse weight": (call("linear", LEFT, sparse(M, K, stored=7), out=f32(L, M)), L * 7, 2 * L * 7),
    "sparse, added": (
        call("addmm", f32(M), sparse(L, K, stored=5), RIGHT, out=f32(L, M)),
        5 * M,
        2 * 5 * M + L * M,
    ),
    # Only where the output has elements: a scalar product for each, which is added.
    "sparse output": (
        call("sparse_sampled_addmm", sparse(L, M, stored=3), LEFT, RIGHT, out=sparse(L, M, stored=3)),
        3 * K,
        2 * 3 * K + 3,
    ),
    # Vocabulary M: a product, and for each row a softmax and one addition.
    "classified": (
        Call(target=CLASSIFIED, args=(LEFT, f32(M, K), f32(L), None, None, "mean"), output=(f32(),)),
        MACS,
        2 * MACS + L * (5 * M + 1),
    ),
    "classified, with gradients of input and weight": (
        Call(
            target=CLASSIFIED,
            args=(LEFT, f32(M, K), f32(L), f32(M), None, "mean", -100, 0.0, 1, "", None, False, True, True, False),
            output=(f32(),),
        ),
        3 * MACS,
        2 * 3 * MACS + L * (6 * M + 1),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
