"""Work of recurrent layers: ``T`` steps of ``N`` sequences, ``I`` features in, ``H`` in the state."""

from __future__ import annotations

import pytest
from checks.calls import Case, call, check, f32

T, N, I, H, P = 5, 3, 4, 6, 2  # noqa: E741
STEPS = T * N
X = f32(T, N, I)


def cell(gates: int, features: int, state: int = H, bias: bool = True) -> tuple:
    """Weights and biases of one layer in one direction."""
    rows = gates * H
    return (f32(rows, features), f32(rows, state), *((f32(rows), f32(rows)) if bias else ()))


def layer(name: str, *weights: object, width: int = H) -> object:
    return call(name, X, (f32(1, N, H),), weights, True, 1, 0.0, False, False, False, out=f32(T, N, width))


def macs(gates: int, features: int, state: int = H) -> int:
    return STEPS * gates * H * (features + state)


def other(gates: int, pointwise: int, biases: int = 2) -> int:
    """Both biases; the sum of both products, and what follows."""
    return STEPS * H * (gates * biases + pointwise)


CASES: dict[str, Case] = {
    "lstm": (layer("lstm", *cell(4, I)), macs(4, I), 2 * macs(4, I) + other(4, 13)),
    "lstm without bias": (
        layer("lstm", *cell(4, I, bias=False)),
        macs(4, I),
        2 * macs(4, I) + other(4, 13, biases=0),
    ),
    "two layers": (
        layer("lstm", *cell(4, I), *cell(4, H)),
        macs(4, I) + macs(4, H),
        2 * (macs(4, I) + macs(4, H) + other(4, 13)),
    ),
    "two directions": (
        layer("gru", *cell(3, I), *cell(3, I), width=2 * H),
        2 * macs(3, I),
        2 * (2 * macs(3, I) + other(3, 11)),
    ),
    "projected": (
        layer("lstm", *cell(4, I, P), f32(P, H), width=P),
        macs(4, I, P) + STEPS * P * H,
        2 * (macs(4, I, P) + STEPS * P * H) + other(4, 13),
    ),
    "kernel of a layer": (
        call(
            "mkldnn_rnn_layer", X, *cell(4, I), *[f32(N, H)] * 2, False, (), 2, H, 1, True, False, False, True, out=()
        ),
        macs(4, I),
        2 * macs(4, I) + other(4, 13),
    ),
    "kernel of a layer without bias": (
        call(
            "mkldnn_rnn_layer", X, *cell(4, I), *[f32(N, H)] * 2, False, (), 2, H, 1, False, False, False, True, out=()
        ),
        macs(4, I),
        2 * macs(4, I) + other(4, 13, biases=0),
    ),
    "kernel of all layers": (
        call("_cudnn_rnn", X, (*cell(3, I), *cell(3, H)), 4, None, f32(2, N, H), None, 3, H, 0, 2, False, out=()),
        macs(3, I) + macs(3, H),
        2 * (macs(3, I) + macs(3, H) + other(3, 11)),
    ),
    # the products are made before
    "kernel of a cell": (
        call("_thnn_fused_lstm_cell", f32(N, 4 * H), f32(N, 4 * H), f32(N, H), f32(4 * H), f32(4 * H), out=()),
        0,
        N * H * (13 + 2 * 4),
    ),
    "kernel of a gru's cell": (call("_thnn_fused_gru_cell", *[f32(N, 3 * H)] * 2, f32(N, H), out=()), 0, N * H * 11),
    "gru": (layer("gru", *cell(3, I)), macs(3, I), 2 * macs(3, I) + other(3, 11)),
    "rnn": (layer("rnn_tanh", *cell(1, I)), macs(1, I), 2 * macs(1, I) + other(1, 2)),
    "packed": (
        call("lstm", f32(7, I), f32(T), (), cell(4, I), True, 1, 0.0, False, False, out=f32(7, H), overload="data"),
        macs(4, I) // STEPS * 7,
        (2 * macs(4, I) + other(4, 13)) // STEPS * 7,
    ),
    "lstm cell": (
        call("lstm_cell", f32(N, I), (f32(N, H), f32(N, H)), *cell(4, I), out=(f32(N, H), f32(N, H))),
        macs(4, I) // T,
        (2 * macs(4, I) + other(4, 13)) // T,
    ),
    "gru cell": (
        call("gru_cell", f32(N, I), f32(N, H), *cell(3, I), out=f32(N, H)),
        macs(3, I) // T,
        (2 * macs(3, I) + other(3, 11)) // T,
    ),
    "lstm cell of no inputs: the state is multiplied all the same": (
        call("lstm_cell", f32(N, 0), (f32(N, H), f32(N, H)), *cell(4, 0), out=(f32(N, H), f32(N, H))),
        macs(4, 0) // T,
        (2 * macs(4, 0) + other(4, 13)) // T,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)
