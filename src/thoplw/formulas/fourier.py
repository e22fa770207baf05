"""Fast Fourier transforms.

A complex transform of length n takes ``5 n log2 n`` floating-point operations (Van Loan, "Computational Frameworks for
the Fast Fourier Transform", 1992), a real one half as many. They are no contractions with weights: no MACs.
"""

from __future__ import annotations

import math
from functools import partial

from thoplw.formulas.common import Table
from thoplw.record import Call, Work


def transform(per_point: float, call: Call) -> Work:
    """``[*, n] -> [*, n]`` along some dimensions: ``per_point * log2`` of the transform's size for every element."""
    signal = max(call.args[0], call.outputs[0], key=lambda spec: spec.numel)
    length = math.prod(signal.shape[dim] for dim in call.args[1])
    return Work(flops=round(per_point * signal.numel * math.log2(length)) if length > 1 else 0)


FORMULAS: Table = {
    "aten._fft_c2c": partial(transform, 5),
    "aten._fft_r2c": partial(transform, 2.5),
    "aten._fft_c2r": partial(transform, 2.5),
}
