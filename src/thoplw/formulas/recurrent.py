"""Recurrent layers and cells.

Every weight matrix is multiplied once with the input (or the state) of every time step of every sequence: layers,
directions and projections only add matrices. Sources: Hochreiter & Schmidhuber (1997) with forget gates, and Cho et al.
(2014), as written in the documentation of ``torch.nn.LSTM`` and ``torch.nn.GRU``.
"""

from __future__ import annotations

import math
from functools import partial

from thoplw.formulas.common import Table, contraction
from thoplw.record import Call, TensorSpec, Work, specs_in

#: Per element of the state: gates in the weights' rows, and operations beyond the products and biases. Both products
#: of a gate are added (LSTM 4, GRU 3, RNN 1). LSTM: 3 sigmoids, 2 tanh, 3 multiplications, 1 addition. GRU: 2 sigmoids,
#: tanh, 3 multiplications, a subtraction and an addition. RNN: its nonlinearity.
_LSTM, _GRU, _RNN = (4, 13), (3, 11), (1, 2)


def weights(call: Call) -> tuple[TensorSpec, ...]:
    """The weights and biases among the arguments, of all layers and directions."""
    if call.target.endswith("_cell"):
        return tuple(specs_in(call.args[2:]))
    return tuple(specs_in(call.args[3] if call.overload == "data" else call.args[2]))


def steps(call: Call) -> int:
    """Time steps, summed over the sequences; packed sequences have theirs in one dimension."""
    return math.prod(call.args[0].shape[:-1])


def biases(call: Call) -> int:
    """Additions of biases."""
    return steps(call) * sum(weight.numel for weight in weights(call) if len(weight.shape) == 1)


def recurrent(gates: tuple[int, int], call: Call) -> Work:
    """``[T, N, I] -> [T, N, H]``: ``T N`` times the sizes of all weight matrices."""
    per_gate, operations = gates
    matrices = [weight for weight in weights(call) if len(weight.shape) == 2]
    macs = steps(call) * sum(weight.numel for weight in matrices)
    # Both matrices of a cell have its gates as rows; the matrix of a projection has fewer.
    rows = sum(weight.shape[0] for weight in matrices if weight.shape[0] == matrices[0].shape[0]) // 2
    return contraction(call, macs, biases(call) + steps(call) * rows // per_gate * operations)


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
}
