"""``thop``: layers of classes that thop has a rule for, by exact class; the work of functions is not seen.

Rules are in its ``profile.py``, ``vision/basic_hooks.py``, ``vision/calc_func.py`` and ``rnn_hooks.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from operator import truediv

from thoplw.pricing.convention import Convention
from thoplw.pricing.mirrors.common import blind_but
from thoplw.pricing.mirrors.layers import layers
from thoplw.record import ZERO, Call, ModuleCall, TensorSpec, Trace, Weight, Work

Rule = Callable[[ModuleCall], Work]

#: Per output element. Other modes are free there.
_UPSAMPLING = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259}

_UPSAMPLING_OPERATORS = {
    f"aten.upsample_{mode}{rank}d": per_output
    for mode, per_output in _UPSAMPLING.items()
    for rank in ((1, 2, 3) if mode == "nearest" else (1,) if mode == "linear" else (2,))
}


def _free(seen: ModuleCall) -> Work:
    return ZERO


def _convolution(seen: ModuleCall) -> Work:
    """For each output element, a window of the channels of a group, transposed or not; no bias."""
    call = _first(seen, *(f"aten.conv{kind}{rank}d" for kind in ("", "_transpose") for rank in (1, 2, 3)))
    weight: TensorSpec = call.args[1]
    channels = seen.inputs[0].shape[1] // call.arg(6, 1)
    return Work(macs=seen.outputs[0].numel * channels * math.prod(weight.shape[2:]))


def _linear(seen: ModuleCall) -> Work:
    """No bias."""
    return Work(macs=seen.outputs[0].numel * seen.inputs[0].shape[-1])


def _norm(seen: ModuleCall) -> Work:
    """4 per element, 2 without affine."""
    return Work(macs=seen.inputs[0].numel * (4 if seen.info.parameters else 2))


def _prelu(seen: ModuleCall) -> Work:
    return Work(macs=seen.inputs[0].numel)


def _softmax(seen: ModuleCall) -> Work:
    """For ``n`` features, ``n`` exponentials, ``n - 1`` additions and ``n`` divisions."""
    (x,) = seen.inputs
    features = x.shape[_first(seen, "aten.softmax").args[1]]
    return Work(macs=x.numel // features * (3 * features - 1) if features else 0)


def _average(seen: ModuleCall) -> Work:
    """1 per output element, however large the window."""
    return Work(macs=seen.outputs[0].numel)


def _adaptive_average(seen: ModuleCall) -> Work:
    """For each output element, the mean size of its window and a division, in floats that are cut, as in thop."""
    x, y = seen.inputs[0], seen.outputs[0]
    window = math.prod(map(truediv, x.shape[2:], y.shape[2:]))
    return Work(macs=int((window + 1) * y.numel))


def _upsampling(seen: ModuleCall) -> Work:
    factors = (_UPSAMPLING_OPERATORS.get(call.target, 0) for call in seen.calls)
    return Work(macs=max(factors, default=0) * seen.outputs[0].numel)


def _gates(gates: int, others: int) -> Callable[[int, int, bool], int]:
    """One step of a cell with some gates, and some other operations per element of its state."""

    def step(inputs: int, hidden: int, bias: bool) -> int:
        return gates * hidden * (inputs + hidden + 1 + 2 * bias) + others * hidden

    return step


def _recurrent(gates: int, others: int) -> Rule:
    """Each layer and direction at each step of each sequence; a projection is not seen."""
    step = _gates(gates, others)

    def rule(seen: ModuleCall) -> Work:
        names = [weight.name for weight in seen.info.parameters]
        first = seen.weight("weight_ih_l0")
        assert first is not None  # of every recurrent layer
        hidden, inputs, bias = first.shape[0] // gates, first.shape[1], "bias_ih_l0" in names
        directions = 2 if "weight_ih_l0_reverse" in names else 1
        deeper = sum(name.startswith("weight_ih") for name in names) - directions
        work = directions * step(inputs, hidden, bias) + deeper * step(directions * hidden, hidden, bias)
        return Work(macs=work * _steps(seen))

    return rule


def _steps(seen: ModuleCall) -> int:
    """Steps times sequences; packed sequences all count as long as the longest."""
    steps, sequences, *_ = seen.inputs[0].shape
    if any(call.overload == "data" for call in seen.calls):
        steps, sequences = seen.inputs[1].numel, seen.outputs[2].shape[1]
    return steps * sequences


def _cell(gates: int, others: int) -> Rule:
    step = _gates(gates, others)

    def rule(seen: ModuleCall) -> Work:
        weight, bias = seen.weight("weight_ih"), seen.weight("bias_ih")
        assert weight is not None  # of every cell
        return Work(macs=seen.inputs[0].shape[0] * step(weight.shape[1], weight.shape[0] // gates, bias is not None))

    return rule


def _first(seen: ModuleCall, *targets: str) -> Call:
    call = seen.call_of(*targets)
    assert call is not None  # modules of exactly these classes call it
    return call


#: Gates, and operations besides per element of the state.
_RNN, _GRU, _LSTM = (1, 0), (3, 4), (4, 4)

#: Rule -> classes.
_RULES: dict[Rule, str] = {
    _convolution: "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    _linear: "Linear",
    _norm: ("BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm LayerNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d"),
    _prelu: "PReLU",
    _softmax: "Softmax",
    _average: "AvgPool1d AvgPool2d AvgPool3d",
    _adaptive_average: "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d",
    _upsampling: "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
    _recurrent(*_RNN): "RNN",
    _recurrent(*_GRU): "GRU",
    _recurrent(*_LSTM): "LSTM",
    _cell(*_RNN): "RNNCell",
    _cell(*_GRU): "GRUCell",
    _cell(*_LSTM): "LSTMCell",
    _free: (
        "ReLU ReLU6 LeakyReLU Dropout ZeroPad2d PixelShuffle MaxPool1d MaxPool2d MaxPool3d "
        "AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d"
    ),
}

_PRICES = {name: rule for rule, names in _RULES.items() for name in layers(names)}


def _of_known_layers(trace: Trace) -> Iterator[tuple[int, Weight]]:
    """Parameters of layers that ran and have a rule, counted in each layer; those of the model itself are not seen."""
    for index in sorted({scope.module for scope in trace.scopes} - {0}):
        info = trace.modules[index]
        if info.classes[0] in _PRICES:
            for weight in info.parameters:
                yield index, weight


CONVENTION = Convention(
    "thop",
    blind_but(_PRICES),
    unit="MAC",
    parameters=_of_known_layers,
    mirrors="thop 0.1.1.post2209072238",
    whole_only=True,
    subclasses=False,
)
