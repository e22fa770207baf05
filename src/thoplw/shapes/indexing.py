"""Shape rules of looking things up by their numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes import layouts
from thoplw.shapes.common import QUANTISED, Shape, contiguous, is_contiguous
from thoplw.shapes.views import permute, reshape

#: The dtypes of numbers that index; masks index too, and become numbers before.
_NUMBERS = frozenset({"int32", "int64"})


def index(x: TensorSpec, indices: tuple[TensorSpec | None, ...]) -> TensorSpec | None:
    """``[*, A, B, *] [*] [*] -> [*, *, *]``, as ``x[:, rows, columns]``.

    The dimensions of the indices take the place of those that they index, or come first if a slice is between these.
    They lie in memory as torch's ``TensorIterator`` lays out an elementwise output of ``x``, which repeats one element
    in all of them, and of the indices.
    """
    rank = len(x.shape)
    places = [dim for dim, each in enumerate(indices) if each is not None]
    given = [each for each in indices if each is not None]
    if not given or len(indices) > rank or 0 in x.shape or x.dtype in QUANTISED or not x.strides:
        return None
    chosen = layouts.broadcast(*[each.shape for each in given])
    if chosen is None or not _NUMBERS.issuperset([each.dtype for each in given]):
        return None
    together = places == [*range(places[0], places[-1] + 1)]
    first = places[0] if together else 0
    others = [dim for dim in range(rank) if dim not in places]
    sliced = permute(x, (*others[:first], *places, *others[first:]))
    assert sliced is not None  # these are all dimensions
    before, after = (slice(first), slice(first + len(places), None))
    shape = (*sliced.shape[before], *chosen, *sliced.shape[after])
    repeated = (*sliced.strides[before], *(0 for _ in chosen), *sliced.strides[after])
    ones = (1,) * first, (1,) * (rank - first - len(places))
    operands = [_among(each, chosen, ones) for each in given]
    strides = layouts.iterated(shape, TensorSpec(shape=shape, dtype=x.dtype, strides=repeated), *operands)
    return TensorSpec(shape=shape, dtype=x.dtype, strides=strides)


def _among(index: TensorSpec, chosen: Shape, ones: tuple[Shape, Shape]) -> TensorSpec:
    """Return an index, broadcast with the others, and with a dimension for each that is not indexed."""
    broadcast = TensorSpec(shape=chosen, dtype=index.dtype, strides=layouts.stretched(index, chosen))
    return reshape(broadcast, (*ones[0], *chosen, *ones[1])) or broadcast


def embedding(weight: TensorSpec, indices: TensorSpec, *options: Any) -> TensorSpec | None:
    """``[V, D] [*] -> [*, D]``."""
    if len(weight.shape) != 2 or not is_contiguous(indices) or indices.dtype not in _NUMBERS:
        return None
    return contiguous((*indices.shape, weight.shape[1]), weight.dtype)


def one_hot(indices: TensorSpec, classes: int = -1) -> TensorSpec | None:
    """``[*] -> [*, classes]``."""
    return contiguous((*indices.shape, classes), "int64") if classes > 0 and indices.dtype == "int64" else None


RULES: Mapping[str, Callable[..., Any]] = {"index": index, "embedding": embedding, "one_hot": one_hot}
