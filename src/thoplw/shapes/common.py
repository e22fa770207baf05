"""What shape rules share."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from thoplw.record import TensorSpec


class _Same:
    def __repr__(self) -> str:
        return "SAME"


#: The operator hands back its first argument.
SAME: Final = _Same()

Shape = tuple[int, ...]

QUANTISED = frozenset({"qint8", "quint8", "qint32"})

#: How many shapes are remembered: those of many models, yet not of every length that a service ever meets.
_SHAPES = 2**14

FLOATING = frozenset({"float32", "float64", "float16", "bfloat16"})


@lru_cache(maxsize=_SHAPES)
def dense(shape: Shape) -> Shape:
    """Strides of a contiguous tensor."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size or 1
    return tuple(strides[::-1])


@lru_cache(maxsize=_SHAPES)
def contiguous(shape: Shape, dtype: str) -> TensorSpec:
    """A contiguous tensor."""
    return TensorSpec(shape=shape, dtype=dtype, strides=dense(shape))


def laid_out(x: TensorSpec, strides: Shape) -> TensorSpec:
    """A tensor like another one, with these strides and a density of 1: the other itself, if that is so."""
    if strides == x.strides and x.density == 1:
        return x
    return TensorSpec(shape=x.shape, dtype=x.dtype, strides=strides)


def is_contiguous(*tensors: TensorSpec | None) -> bool:
    """Whether all of these (that are there) are contiguous; the stride of a dimension of one element is never used."""
    for tensor in tensors:
        if tensor is not None:
            steps = dense(tensor.shape)
            if tensor.strides != steps and _steps(tensor) != _steps(tensor, steps):
                return False
    return True


def _steps(tensor: TensorSpec, strides: Shape | None = None) -> list[int]:
    """The strides of dimensions of more than one element; the others are never used."""
    return [step for size, step in zip(tensor.shape, strides or tensor.strides, strict=True) if size != 1]


def pair(value: int | Shape, rank: int) -> Shape:
    """A number per spatial dimension: operators take one for all as well."""
    if isinstance(value, int):
        return (value,) * rank
    return tuple(value) * rank if len(value) == 1 else tuple(value)


def axis(index: int, rank: int) -> int | None:
    """A dimension counted from the front; ``None`` if it is out of range."""
    return index % rank if -rank <= index < rank else None
