"""Shape rules: what an operator returns, by plain arithmetic on shapes.

A rule takes what the operator takes, with a :class:`~thoplw.record.TensorSpec` for every tensor, and returns the spec
of the output (or a tuple of specs), :data:`SAME` where the first argument itself comes back, or ``None`` where the case
is not one that it knows: then torch's meta kernel answers, which is slower and raises torch's own errors. So a rule
treats the common case and checks that it is one. Rules are shortcuts: leaving one out changes no result, as
:func:`layout_of` corrects what meta kernels say of strides.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from thoplw.shapes import (
    detection,
    gradients,
    indexing,
    linalg,
    matmul,
    norm,
    odd,
    pointwise,
    pooling,
    quantized,
    views,
)
from thoplw.shapes.common import SAME
from thoplw.shapes.layouts import layout_of

__all__ = ["RULES", "SAME", "layout_of"]

#: Operator (without overload) -> rule.
RULES: MappingProxyType[str, Callable[..., Any]] = MappingProxyType(
    {
        f"aten.{name}": rule
        for family in (gradients, indexing, linalg, matmul, norm, odd, pointwise, pooling, views)
        for name, rule in family.RULES.items()
    }
    | dict(detection.RULES)
    | dict(quantized.RULES)
    | {
        "higher_order.flex_attention": matmul.flex_attention,
        "higher_order.flex_attention_backward": matmul.flex_attention_backward,
    }
)
