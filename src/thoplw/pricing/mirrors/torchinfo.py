"""``torchinfo``: a layer costs its parameters, times the samples, or the positions, that it returned.

A layer is a module that holds no other. Rules are in its ``layer_info.py`` and ``model_statistics.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from thoplw.errors import InputError
from thoplw.pricing.convention import Convention
from thoplw.pricing.keys import MODULE
from thoplw.pricing.mirrors.common import blind_but
from thoplw.record import ModuleCall, Trace, Weight, Work


def _layer(seen: ModuleCall) -> Work | None:
    """Every weight and bias, by its name, as many times as there are samples, or more."""
    if not seen.leaf or not seen.info.parameters or not seen.outputs:
        return None
    shape = seen.outputs[0].shape
    convolution = "Conv" in seen.info.class_name
    samples, positions, steps = shape[0], math.prod((*shape[:1], *shape[2:])), math.prod(shape[:2])
    macs = 0
    for weight in seen.info.parameters:
        if weight.name in ("weight", "bias"):
            macs += weight.spec.numel * (positions if convolution else samples)
        elif "weight" in weight.name or "bias" in weight.name:  # of recurrent layers, as a rule
            macs += weight.spec.numel * steps
    return Work(macs=macs)


def _every_layers(trace: Trace) -> Iterator[tuple[int, Weight]]:
    """All parameters of the model, once; those of a layer that ran, even if another has them too."""
    holders = {info.parent for info in trace.modules}
    layers = {scope.module for scope in trace.scopes} - holders
    counted = set()
    for index in (*sorted(layers), *(index for index in range(len(trace.modules)) if index not in layers)):
        for weight in trace.modules[index].parameters:
            if index in layers or weight.key not in counted:
                counted.add(weight.key)
                yield index, weight


class Sizes(NamedTuple):
    """What torchinfo prints below its table, in bytes.

    Attributes:
        input: what the inputs hold: "Input size", ``total_input``. torchinfo adds the Python object of each storage.
        passes: "Forward/backward pass size", ``total_output_bytes``.
        params: "Params size", ``total_param_bytes``.
    """

    input: int
    passes: int
    params: int

    @property
    def total(self) -> int:
        """The sum: "Estimated Total Size"."""
        return sum(self)


def sizes(trace: Trace) -> Sizes:
    """The sizes by torchinfo: of inputs, of the outputs of layers with parameters, twice, and of parameters of layers.

    For example, ``Sequential(Linear(4, 4), ReLU())`` on two samples of float32 has an input of 32 bytes, passes of 64,
    as the ReLU has no parameters, and parameters of 80.

    Args:
        trace: the record of a forward.

    Raises:
        InputError: the record has a backward pass as well, which torchinfo does not run.
    """
    if any(trace.phases):
        raise InputError(
            "torchinfo's sizes are of a forward alone, and this run has a backward pass: take them from "
            "thoplw.profile(model, inputs, mode='train', memory=True)"
        )
    holders = {info.parent for info in trace.modules}
    # It has no hooks in scripted modules: they count as they stand, and what they return is not seen.
    layers = {index for index, info in enumerate(trace.modules) if info.opaque} - holders
    passes = 0
    for scope in trace.scopes:
        info = trace.modules[scope.module]
        if scope.module in holders or info.opaque:
            continue
        layers.add(scope.module)
        if scope.outputs and any(weight.spec.numel for weight in info.parameters):
            passes += 2 * scope.outputs[0].nbytes
    params = 0
    for index in layers:
        own = {weight.key: weight.spec for weight in trace.modules[index].parameters}
        params += sum(spec.nbytes for spec in own.values())
    return Sizes(sum(spec.nbytes for spec in trace.inputs), passes, params)


CONVENTION = Convention(
    "torchinfo",
    blind_but({MODULE: _layer}),
    unit="MAC",
    parameters=_every_layers,
    mirrors="torchinfo 1.8.0",
)
