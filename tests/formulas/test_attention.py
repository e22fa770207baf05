"""Work of fused attention: scores, softmax (5), scaling (1) and weighted values."""

from __future__ import annotations

import pytest
from checks.calls import Case, call, check, f32

from thoplw.record import Call, TensorSpec

N, H, L, S, E, V = 2, 4, 5, 7, 8, 3
SCORES = N * H * L * S
MACS = SCORES * (E + V)
QUERY, KEY, VALUE, OUT = f32(N, H, L, E), f32(N, H, S, E), f32(N, H, S, V), f32(N, H, L, V)
PACKED = f32(5, H, E), f32(5, H, E), f32(5, H, V)


def i32(count: int, values: tuple[int, ...] | None = None) -> TensorSpec:
    return TensorSpec(shape=(count,), dtype="int32", strides=(1,), values=values)


ENDS = i32(3, values=(0, 3, 5))


def packed(pairs: int) -> tuple[int, int]:
    """The work of so many pairs of positions in each head."""
    macs = pairs * H * (E + V)
    return macs, 2 * macs + 6 * pairs * H


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
    "no samples, to which a key is broadcast": (
        call(SDPA, f32(0, H, L, E), f32(1, H, S, E), f32(1, H, S, V), out=f32(0, H, L, V)),
        0,
        0,
    ),
    # Lengths 3 and 2: 9 and 4 pairs in each head.
    "packed": (
        call("_flash_attention_forward", *PACKED, ENDS, ENDS, 3, 3, 0.0, False, False, out=(f32(5, H, V),)),
        *packed(9 + 4),
    ),
    "packed, of a batch of one": (
        call(
            "_efficient_attention_forward",
            *(f32(1, *tensor.shape) for tensor in PACKED),
            *(None, ENDS, ENDS, 3, 3, 0.0, 0),
            out=(f32(1, 5, H, V),),
        ),
        *packed(9 + 4),
    ),
    "packed, ends not known": (
        call("_flash_attention_forward", *PACKED, i32(3), i32(3), 3, 3, 0.0, False, False, out=(f32(5, H, V),)),
        *packed(2 * 5 * 5 // 4),
    ),
    "packed, of which 2 and 1 keys are used": (
        Call(
            target="torch_attn._varlen_attn",
            args=(*PACKED, ENDS, None, 3, 3, False, None, None, False, i32(2, values=(2, 1))),
            output=(f32(5, H, V),),
        ),
        *packed(3 * 2 + 2 * 1),
    ),
    "positions first": (
        call(
            "_flash_attention_forward",
            *(f32(N, L, H, E), f32(N, S, H, E), f32(N, S, H, V)),
            *(None, None, L, S, 0.0, False, False),
            out=(f32(N, L, H, V),),
        ),
        MACS,
        2 * MACS + 6 * SCORES,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
