"""Recurrent layers and cells.

Every weight matrix is multiplied once with the input (or the state) of every time step of every sequence: layers,
directions and projections only add matrices. Sources: Hochreiter & Schmidhuber (1997) with forget gates, and Cho et al.
(2014), as written in the documentation of ``torch.nn.LSTM`` and ``torch.nn.GRU``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from thoplw.formulas.common import Table, contraction
from thoplw.record import Call, TensorSpec, Work, specs_in


class Kind(NamedTuple):
    """What a kind of recurrent layer has for each element of its state.

    Attributes:
        gates: gates, which are rows of the weights.
        forward: operations beyond the products and biases. Both products of a gate are added (LSTM 4, GRU 3, RNN 1).
            LSTM: 3 sigmoids, 2 tanh, 3 multiplications, 1 addition. GRU: 2 sigmoids, tanh, 3 multiplications, a
            subtraction and an addition. RNN: its nonlinearity.
        backward: operations from the gradient of the state to those of the gates, as
            :mod:`thoplw.formulas.backward` has them for cells. RNN: ``g (1 - h h)``.
    """

    gates: int
    forward: int
    backward: int


_LSTM, _GRU, _RNN = Kind(4, 13, 23), Kind(3, 11, 16), Kind(1, 2, 3)

#: Kinds by the number that kernels have for them: RNN with relu and with tanh, LSTM, GRU.
MODES = (_RNN, _RNN, _LSTM, _GRU)


def weights(call: Call) -> tuple[TensorSpec, ...]:
    """Return the weights and biases among the arguments, of all layers and directions."""
    if call.target.endswith("_cell"):
        return tuple(specs_in(call.args[2:]))
    if call.target.endswith("_rnn"):
        return tuple(specs_in(call.args[1]))
    if call.target == "aten.mkldnn_rnn_layer":
        return tuple(specs_in(call.args[1:5] if call.args[12] else call.args[1:3]))
    return tuple(specs_in(call.args[3] if call.overload == "data" else call.args[2]))


def steps(call: Call) -> int:
    """Time steps, summed over the sequences; packed sequences have theirs in one dimension."""
    return math.prod(call.args[0].shape[:-1])


def matrices(weights: Iterable[TensorSpec]) -> list[TensorSpec]:
    """Return the weights without the biases."""
    return [weight for weight in weights if len(weight.shape) == 2]


def state(kind: Kind, products: Sequence[TensorSpec]) -> int:
    """Elements of the state of all layers, from their matrices.

    Both matrices of a cell have its gates as rows; the matrix of a projection has fewer.
    """
    rows = sum(weight.shape[0] for weight in products if weight.shape[0] == products[0].shape[0]) // 2
    return rows // kind.gates


def biases(call: Call) -> int:
    """Additions of biases."""
    return steps(call) * sum(weight.numel for weight in weights(call) if len(weight.shape) == 1)


def recurrent(kind: Kind, call: Call) -> Work:
    """``[T, N, I] -> [T, N, H]``: ``T N`` times the sizes of all weight matrices."""
    products = matrices(weights(call))
    macs = steps(call) * sum(weight.numel for weight in products)
    return contraction(call, macs, biases(call) + steps(call) * state(kind, products) * kind.forward)


def kernel(mode: int, call: Call) -> Work:
    """The kernel behind one layer or all; the argument at this position tells its kind."""
    return recurrent(MODES[call.args[mode]], call)


def cell(kind: Kind, call: Call) -> Work:
    """``[N, G H] [N, G H] [N, H] bias bias``: the work after the products, which other operators compute."""
    size = call.args[2].numel
    return Work(flops=size * (kind.forward + kind.gates * sum(bool(call.arg(position)) for position in (3, 4))))


FORMULAS: Table = {
    "aten.lstm": partial(recurrent, _LSTM),
    "aten.quantized_lstm": partial(recurrent, _LSTM),
    "aten.quantized_gru": partial(recurrent, _GRU),
    "aten.lstm_cell": partial(recurrent, _LSTM),
    "aten.gru": partial(recurrent, _GRU),
    "aten.gru_cell": partial(recurrent, _GRU),
    "aten.rnn_tanh": partial(recurrent, _RNN),
    "aten.rnn_relu": partial(recurrent, _RNN),
    "aten.rnn_tanh_cell": partial(recurrent, _RNN),
    "aten.rnn_relu_cell": partial(recurrent, _RNN),
    "aten.mkldnn_rnn_layer": partial(kernel, 9),
    "aten._cudnn_rnn": partial(kernel, 6),
    "aten.miopen_rnn": partial(kernel, 5),
    "aten._thnn_fused_lstm_cell": partial(cell, _LSTM),
    "aten._thnn_fused_gru_cell": partial(cell, _GRU),
}
