"""Interpolation: operations per output element.

Separable interpolation over ``d`` dimensions with ``t`` taps each takes ``t^d + ... + t`` multiply-accumulates:
bilinear 4 + 2, trilinear 8 + 4 + 2, bicubic 16 + 4. They are floating-point operations, not contractions with weights.
"""

from __future__ import annotations

from functools import partial

from thoplw.formulas.common import Table, per_output

FORMULAS: Table = {
    **{f"aten.upsample_nearest{rank}d": partial(per_output, 0) for rank in (1, 2, 3)},
    **{f"aten._upsample_nearest_exact{rank}d": partial(per_output, 0) for rank in (1, 2, 3)},
    "aten.upsample_linear1d": partial(per_output, 2 * 2),
    "aten.upsample_bilinear2d": partial(per_output, 2 * 6),
    "aten._upsample_bilinear2d_aa": partial(per_output, 2 * 6),
    "aten.upsample_trilinear3d": partial(per_output, 2 * 14),
    "aten.upsample_bicubic2d": partial(per_output, 2 * 20),
    "aten._upsample_bicubic2d_aa": partial(per_output, 2 * 20),
    "aten.grid_sampler": partial(per_output, 2 * 6),
    "aten.grid_sampler_2d": partial(per_output, 2 * 6),
    "aten.grid_sampler_3d": partial(per_output, 2 * 14),
}
