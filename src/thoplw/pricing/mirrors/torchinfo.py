"""``torchinfo``: a layer costs its parameters, times the samples, or the positions, that it returned.

A layer is a module that holds no other. Rules are in its ``layer_info.py`` and ``model_statistics.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from thoplw.pricing.convention import Convention
from thoplw.pricing.keys import MODULE
from thoplw.pricing.mirrors.common import blind_but
from thoplw.record import ModuleCall, Trace, Weight, Work


def _layer(seen: ModuleCall) -> Work | None:
    """Every weight and bias, by its name, so many times as there are samples, or more."""
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
    """All parameters of the model, once; those of a layer that ran, though another has them too."""
    holders = {info.parent for info in trace.modules}
    layers = {scope.module for scope in trace.scopes} - holders
    counted = set()
    for index in (*sorted(layers), *(index for index in range(len(trace.modules)) if index not in layers)):
        for weight in trace.modules[index].parameters:
            if index in layers or weight.key not in counted:
                counted.add(weight.key)
                yield index, weight


CONVENTION = Convention(
    "torchinfo",
    blind_but({MODULE: _layer}),
    unit="MAC",
    parameters=_every_layers,
    mirrors="torchinfo 1.8.0",
)
