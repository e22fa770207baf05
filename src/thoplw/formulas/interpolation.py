"""Interpolation: operations per output element.

Separable interpolation over ``d`` dimensions with ``t`` taps each takes ``t^d + ... + t`` multiply-accumulates:
bilinear 4 + 2, trilinear 8 + 4 + 2, bicubic 16 + 4, Lanczos (of three lobes) 36 + 6. They are floating-point
operations, not contractions with weights.
"""

from __future__ import annotations

from functools import partial

from thoplw.formulas.common import Table, per_output

#: Operator -> operations per output element.
PER_OUTPUT = {
    "upsample_linear1d": 2 * 2,
    "upsample_bilinear2d": 2 * 6,
    "_upsample_bilinear2d_aa": 2 * 6,
    "upsample_trilinear3d": 2 * 14,
    "upsample_bicubic2d": 2 * 20,
    "_upsample_bicubic2d_aa": 2 * 20,
    "_upsample_lanczos2d_aa": 2 * 42,
    "grid_sampler": 2 * 6,
    "grid_sampler_2d": 2 * 6,
    "grid_sampler_3d": 2 * 14,
}

FORMULAS: Table = {
    **{f"aten.upsample_nearest{rank}d": partial(per_output, 0) for rank in (1, 2, 3)},
    **{f"aten._upsample_nearest_exact{rank}d": partial(per_output, 0) for rank in (1, 2, 3)},
    **{f"aten.{name}": partial(per_output, flops) for name, flops in PER_OUTPUT.items()},
}
