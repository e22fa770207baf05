"""Shape rules held against real kernels: arguments as rules take them, and answers as a model can observe them."""

from __future__ import annotations

from typing import Any

import torch

from thoplw.capture.abstract import Specs
from thoplw.record import TensorSpec
from thoplw.shapes import RULES


def frozen(value: Any) -> Any:
    """Arguments as rules take them."""
    if isinstance(value, torch.Tensor):
        return Specs().of(value)
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def observable(value: Any) -> Any:
    """Shape, dtype and strides of what a rule or an operator returned: those of dimensions of several elements."""
    value = frozen(value)
    if isinstance(value, TensorSpec):
        steps = [step for size, step in zip(value.shape, value.strides, strict=True) if size > 1 and value.numel]
        return value.shape, value.dtype, steps
    return list(map(observable, value))


def by_rule_and_kernel(name: str, args: tuple[Any, ...]) -> tuple[Any, Any]:
    """What a model can observe of the answer of an operator's shape rule, and of what its kernel returns."""
    return observable(RULES[f"aten.{name}"](*frozen(args))), observable(getattr(torch.ops.aten, name)(*args))
