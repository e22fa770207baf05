"""Normalisation and softmax: no contractions, a fixed number of floating-point operations per element."""

from __future__ import annotations

from functools import partial

from thoplw.formulas.common import Table, per_output
from thoplw.record import Call, Work

#: Maximum, subtraction, exponential, sum, division.
SOFTMAX_FLOPS = 5


def elements(call: Call) -> int:
    """Number of elements that are normalised."""
    return int(call.args[0].numel)


def is_affine(call: Call, weight: int) -> bool:
    """Whether the argument at this position, the scale, is there."""
    return call.arg(weight) is not None


def batch_norm(call: Call) -> Work:
    """``[N, C, *] -> [N, C, *]`` with known statistics: subtract the mean, divide; scale and shift if affine.

    Ioffe & Szegedy (2015), algorithm 2. Statistics of the batch itself take as much as those of another norm.
    """
    training = call.arg(3 if call.overload == "no_stats" else 5)
    if training is True:
        return moments(1, call)
    return Work(flops=elements(call) * (4 if is_affine(call, 1) else 2))


def moments(weight: int, call: Call) -> Work:
    """Mean (1), centre (1), variance (2), divide (1), and 2 if affine: Ba et al. (2016), eq. 3; Wu & He (2018)."""
    return Work(flops=elements(call) * (7 if is_affine(call, weight) else 5))


def root_mean_square(call: Call) -> Work:
    """Mean square (2), divide (1), and 1 if scaled: Zhang & Sennrich (2019), eq. 4."""
    return Work(flops=elements(call) * (4 if is_affine(call, 2) else 3))


def weight_norm(call: Call) -> Work:
    """``v g -> w``: squares and their sums (2), and a product with ``g / |v|``; Salimans & Kingma (2016), eq. 2."""
    return Work(flops=3 * elements(call))


def softmax(call: Call) -> Work:
    """``[*] -> [*]``."""
    return per_output(SOFTMAX_FLOPS, call)


FORMULAS: Table = {
    "aten.batch_norm": batch_norm,
    "aten.native_batch_norm": batch_norm,
    "aten._native_batch_norm_legit": batch_norm,
    "aten._native_batch_norm_legit_no_training": batch_norm,
    "aten._batch_norm_no_update": batch_norm,
    "aten._batch_norm_with_update": partial(moments, 1),
    "aten.cudnn_batch_norm": batch_norm,
    "aten.miopen_batch_norm": batch_norm,
    "aten.instance_norm": partial(moments, 1),
    "aten.layer_norm": partial(moments, 2),
    "aten.native_layer_norm": partial(moments, 2),
    "aten.group_norm": partial(moments, 2),
    "aten.native_group_norm": partial(moments, 1),
    "aten.rms_norm": root_mean_square,
    "aten._fused_rms_norm": root_mean_square,
    "aten._weight_norm_interface": weight_norm,
    "aten._weight_norm": weight_norm,
    "aten.softmax": softmax,
    "aten._softmax": softmax,
    "aten._sparse_softmax": softmax,
    "aten._sparse_log_softmax": softmax,
    "aten._safe_softmax": softmax,
    "aten.log_softmax": softmax,
    "aten._log_softmax": softmax,
}
