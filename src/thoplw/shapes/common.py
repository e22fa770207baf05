"""What shape rules share."""

from __future__ import annotations

from functools import cache
from typing import Final

from thoplw.records import TensorSpec


class _Same:
    def __repr__(self) -> str:
        return "SAME"


#: The operator hands back its first argument.
SAME: Final = _Same()

Shape = tuple[int, ...]

QUANTISED = frozenset({"qint8", "quint8", "qint32"})

FLOATING = frozenset({"float32", "float64", "float16", "bfloat16"})


@cache
def dense(shape: Shape) -> Shape:
    """Strides of a contiguous tensor."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def dense_like(spec: TensorSpec) -> Shape:
    """Strides without gaps, with dimensions in the order in which they lie in memory."""
    order = sorted(range(len(spec.shape)), key=lambda dim: (-spec.strides[dim], dim))
    steps = dict(zip(order, dense(tuple(spec.shape[dim] for dim in order)), strict=True))
    return tuple(steps[dim] for dim in range(len(spec.shape)))


def contiguous(shape: Shape, dtype: str) -> TensorSpec:
    """A contiguous tensor."""
    return TensorSpec(shape=shape, dtype=dtype, strides=dense(shape))


def is_contiguous(*tensors: TensorSpec | None) -> bool:
    """Whether all of these (that are there) are contiguous."""
    return all(tensor is None or tensor.strides == dense(tensor.shape) for tensor in tensors)


def pair(value: int | Shape, rank: int) -> Shape:
    """A number per spatial dimension: operators take one for all as well."""
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return sizes * rank if len(sizes) == 1 else sizes


def axis(index: int, rank: int) -> int | None:
    """A dimension counted from the front, ``None`` where there is no such one."""
    return index % rank if -rank <= index < rank else None
