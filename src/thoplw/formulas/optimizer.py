"""The update of a training step: operators on lists of tensors, and whole optimizers in one kernel.

A list counts as one tensor with the elements of all: ``_foreach_add`` is ``add``. An optimizer in one kernel takes as
many operations for each element of a parameter as the operators that it is fused of.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from thoplw.formulas import free, matmul, pointwise
from thoplw.formulas.common import Formula, Table, is_complex
from thoplw.record import ZERO, Call, TensorSpec, Work

# -- lists of tensors --------------------------------------------------------------------------------------------------


def over_lists(price: Formula, call: Call) -> Work:
    """An element-wise operator, or one that makes a number of each tensor, over lists: as if these were one tensor."""
    lists = [arg for arg in call.args if isinstance(arg, tuple)]
    kinds = [any(map(is_complex, parts)) for parts in zip(*lists, strict=False)]
    work = ZERO
    for kind in set(kinds):  # complex numbers take more
        at = [index for index, each in enumerate(kinds) if each is kind]
        args = tuple(_joined([arg[index] for index in at]) if isinstance(arg, tuple) else arg for arg in call.args)
        results = call.output or lists[0]  # in place nothing is returned
        work += price(Call(target=call.target, args=args, output=_joined([results[index] for index in at])))
    return work


def _joined(parts: list[Any]) -> Any:
    """One tensor for many; of numbers, of which there is one for each tensor, the first."""
    first = parts[0]
    if not isinstance(first, TensorSpec):
        return first
    return TensorSpec(shape=(sum(part.numel for part in parts),), dtype=first.dtype, strides=(1,))


def each(price: Formula, call: Call) -> Work:
    """An operator for the members of each list in turn."""
    work = ZERO
    for args, output in zip(zip(*call.args, strict=True), call.output, strict=True):
        work += price(Call(target=call.target, args=args, output=output))
    return work


_ELEMENTWISE = (
    "abs acos add addcdiv addcmul asin atan ceil clamp_max clamp_min clone copy cos cosh div erf erfc exp expm1 floor "
    "frac lerp lgamma log log10 log1p log2 max maximum minimum mul neg norm pow reciprocal round rsqrt sigmoid sign "
    "sin sinh sqrt sub tan tanh trunc zero"
)


def _over_lists(name: str) -> Formula | None:
    price = {**free.FORMULAS, **pointwise.FORMULAS}[f"aten.{name}"]
    return None if price is None else partial(over_lists, price)


# -- optimizers in one kernel ------------------------------------------------------------------------------------------


def fused(operations: int, call: Call) -> Work:
    """``parameters gradients states ...``: some operations for each element, and those that options add.

    Each of weight decay, ``amsgrad`` (a maximum), ``maximize`` (a sign) and the division by a scale adds one.
    """
    given = call.kwargs
    options = [given.get("weight_decay"), given.get("amsgrad"), given.get("maximize"), given.get("grad_scale")]
    return Work(flops=_size(call) * (operations + sum(map(_is_given, options))))


def descent(call: Call) -> Work:
    """SGD, ``parameters gradients buffers``: a step (1); momentum takes 2, but in the first step, and Nesterov's 1."""
    given = call.kwargs
    momentum = 2 if given["momentum"] and not given["is_first_step"] else 0
    return fused(1 + momentum + bool(given["momentum"] and given["nesterov"]), call)


def _is_given(option: object) -> bool:
    return option is not None and (isinstance(option, TensorSpec) or bool(option))


def _size(call: Call) -> int:
    return sum(spec.numel for spec in call.args[0])


#: Adam: both averages (2 and 3), the root, divided and with epsilon added (3), and the step (2): Kingma & Ba (2015),
#: algorithm 1. Adagrad: a square added (2), its root with epsilon added (2), and the step (2): Duchi et al. (2011).
_OPERATIONS: Mapping[str, int] = {"_fused_adam": 10, "_fused_adamw": 10, "_fused_adagrad": 6}

FORMULAS: Table = {
    **{f"aten._foreach_{name}": _over_lists(name) for name in _ELEMENTWISE.split()},
    "aten._foreach_powsum": partial(over_lists, partial(pointwise.reduction, 2)),
    "aten._foreach_mm": partial(each, matmul.product),
    "aten._fused_sgd": descent,
    **{f"aten.{name}": partial(fused, operations) for name, operations in _OPERATIONS.items()},
    # of each gradient's elements: is it finite, and a product with the inverse of the scale
    "aten._amp_foreach_non_finite_check_and_unscale": partial(over_lists, partial(pointwise.reduction, 2)),
    "aten._amp_update_scale": partial(pointwise.reduction, 3),  # two comparisons and a product, of the scale alone
}
