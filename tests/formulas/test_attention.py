"""Work of fused attention: scores, softmax (5), scaling (1) and weighted values."""

from __future__ import annotations

import pytest
from checks.calls import Case, call, check, f32

N, H, L, S, E, V = 2, 4, 5, 7, 8, 3
SCORES = N * H * L * S
MACS = SCORES * (E + V)
QUERY, KEY, VALUE, OUT = f32(N, H, L, E), f32(N, H, S, E), f32(N, H, S, V), f32(N, H, L, V)
SDPA = "scaled_dot_product_attention"

CASES: dict[str, Case] = {
    "plain": (call(SDPA, QUERY, KEY, VALUE, out=OUT), MACS, 2 * MACS + 6 * SCORES),
    "causal, in full": (call(SDPA, QUERY, KEY, VALUE, None, 0.0, True, out=OUT), MACS, 2 * MACS + 6 * SCORES),
    "masked": (call(SDPA, QUERY, KEY, VALUE, f32(L, S), out=OUT), MACS, 2 * MACS + 7 * SCORES),
    "grouped query": (
        call(SDPA, QUERY, f32(N, 2, S, E), f32(N, 2, S, V), out=OUT),
        MACS,
        2 * MACS + 6 * SCORES,
    ),
    "one head": (
        call(SDPA, f32(N, L, E), f32(N, S, E), f32(N, S, V), out=f32(N, L, V)),
        MACS // H,
        (2 * MACS + 6 * SCORES) // H,
    ),
    **{
        kernel: (call(kernel, QUERY, KEY, VALUE, out=(OUT, f32(N, H, L))), MACS, 2 * MACS + 6 * SCORES)
        for kernel in (
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_attention_math",
        )
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
