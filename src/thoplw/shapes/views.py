"""Shape rules of the view family."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import SAME, Shape, axis, contiguous, dense, is_contiguous
from thoplw.shapes.layouts import suggested


def _view(x: TensorSpec, shape: Shape, strides: Shape) -> TensorSpec:
    return TensorSpec(shape=shape, dtype=x.dtype, strides=strides)


def view(x: TensorSpec, size: Shape) -> TensorSpec | None:
    """``[*] -> size``, with one size to infer."""
    if not isinstance(size, tuple):  # a dtype is a view, too
        return None
    shape = _sizes(x, size)
    return None if shape is None else _viewed(x, shape)


def _viewed(x: TensorSpec, shape: Shape) -> TensorSpec | None:
    if x.strides == dense(x.shape):  # as most are
        return contiguous(shape, x.dtype)
    strides = _strides_of_view(x, shape)
    return None if strides is None else _view(x, shape, strides)


def _sizes(x: TensorSpec, size: Shape) -> Shape | None:
    """Replace the size -1 in a shape by the inferred one."""
    unknown = size.count(-1)
    known = math.prod(size) * (-1) ** unknown
    if unknown > 1 or known <= 0 or min(size, default=0) < -1 or 0 in x.shape:
        return None
    if not unknown:
        return size if x.numel == known else None
    inferred, rest = divmod(x.numel, known)
    return None if rest else tuple([inferred if n == -1 else n for n in size])


def _strides_of_view(x: TensorSpec, shape: Shape) -> Shape | None:
    """Strides that view the memory of ``x`` in this shape; ``None`` if that needs a copy."""
    if not x.shape:
        return (1,) * len(shape)
    strides: list[int] = []
    wanted = list(shape)  # what is left of it, the last dimension last
    step, room, used = x.strides[-1], 1, 1  # of dimensions that lie in memory as one, the innermost first
    for dim in reversed(range(len(x.shape))):
        room *= x.shape[dim]
        if dim and (x.shape[dim - 1] == 1 or x.strides[dim - 1] == room * step):
            continue
        while wanted and (used < room or wanted[-1] == 1):
            strides.append(used * step)
            used *= wanted.pop()
        if used != room:
            return None
        step, room, used = x.strides[dim - 1], 1, 1
    return None if wanted else tuple(reversed(strides))


def reshape(x: TensorSpec, size: Shape) -> TensorSpec | None:
    """``[*] -> size``; a copy where the strides do not allow a view."""
    shape = _sizes(x, size)
    return None if shape is None else _viewed(x, shape) or contiguous(shape, x.dtype)


def flatten(x: TensorSpec, start: int = 0, end: int = -1) -> Any:
    """``[*, A, B, *] -> [*, A * B, *]``."""
    first, last = axis(start, len(x.shape)), axis(end, len(x.shape))
    if first is None or last is None or first > last:
        return None
    if first == last:
        return SAME
    joined = math.prod(x.shape[first : last + 1])
    return reshape(x, (*x.shape[:first], joined, *x.shape[last + 1 :]))


def unflatten(x: TensorSpec, dim: int, sizes: Shape) -> TensorSpec | None:
    """``[*, A * B, *] -> [*, A, B, *]``."""
    where = axis(dim, len(x.shape)) if isinstance(dim, int) else None
    if where is None or not sizes or 0 in x.shape:
        return None
    inner = _sizes(contiguous((x.shape[where],), x.dtype), sizes)
    return None if inner is None else view(x, (*x.shape[:where], *inner, *x.shape[where + 1 :]))


def make_contiguous(x: TensorSpec, *, memory_format: Any = None) -> Any:
    """``[*] -> [*]``."""
    if memory_format is not None and memory_format.name != "contiguous_format":
        return None
    return SAME if is_contiguous(x) else contiguous(x.shape, x.dtype)


def permute(x: TensorSpec, dims: Shape) -> TensorSpec | None:
    """``[A, B, C] -> [C, A, B]``."""
    rank = len(x.shape)
    order = [dim + rank if dim < 0 else dim for dim in dims]
    if sorted(order) != [*range(rank)]:
        return None
    return _view(x, tuple([x.shape[dim] for dim in order]), tuple([x.strides[dim] for dim in order]))


def transpose(x: TensorSpec, a: int, b: int) -> TensorSpec | None:
    """``[*, A, *, B, *] -> [*, B, *, A, *]``."""
    if not isinstance(a, int) or not isinstance(b, int):  # dimensions may have names
        return None
    first, second = axis(a, len(x.shape)), axis(b, len(x.shape))
    if first is None or second is None:
        return None
    shape, strides = [*x.shape], [*x.strides]
    for each in (shape, strides):
        each[first], each[second] = each[second], each[first]
    return _view(x, tuple(shape), tuple(strides))


def matrix_transpose(x: TensorSpec) -> TensorSpec | None:
    """``[*, A, B] -> [*, B, A]``."""
    return transpose(x, -2, -1) if len(x.shape) == 2 else None


def unsqueeze(x: TensorSpec, dim: int) -> TensorSpec | None:
    """``[A, B] -> [A, 1, B]``."""
    where = axis(dim, len(x.shape) + 1)
    if where is None:
        return None
    stride = x.shape[where] * x.strides[where] if where < len(x.shape) else 1
    return _view(x, (*x.shape[:where], 1, *x.shape[where:]), (*x.strides[:where], stride, *x.strides[where:]))


def squeeze(x: TensorSpec, dim: int | Shape | None = None) -> TensorSpec | None:
    """``[A, 1, B] -> [A, B]``, of all dimensions or of these."""
    rank = len(x.shape)
    dims = range(rank) if dim is None else (dim,) if isinstance(dim, int) else dim
    gone = [axis(each, rank) if isinstance(each, int) else None for each in dims]
    if None in gone or len(set(gone)) != len(gone):
        return None
    kept = [each for each in range(rank) if each not in gone or x.shape[each] != 1]
    return _view(x, tuple(x.shape[each] for each in kept), tuple(x.strides[each] for each in kept))


def select(x: TensorSpec, dim: int, index: int) -> TensorSpec | None:
    """``[*, A, *] -> [*, *]``."""
    where = axis(dim, len(x.shape)) if isinstance(dim, int) else None
    if where is None or not -x.shape[where] <= index < x.shape[where]:
        return None
    return _view(x, x.shape[:where] + x.shape[where + 1 :], x.strides[:where] + x.strides[where + 1 :])


def slice_(
    x: TensorSpec, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> TensorSpec | None:
    """``[*, A, *] -> [*, (end - start) / step, *]``."""
    where = axis(dim, len(x.shape))
    if where is None or step < 1:
        return None
    size = len(range(*slice(start, end).indices(x.shape[where])))
    shape = (*x.shape[:where], -(-size // step), *x.shape[where + 1 :])
    return _view(x, shape, (*x.strides[:where], x.strides[where] * step, *x.strides[where + 1 :]))


def expand(x: TensorSpec, size: Shape, *, implicit: bool = False) -> TensorSpec | None:
    """``[1, A] -> [B, A]``."""
    if len(size) != len(x.shape):
        return None
    shape, strides = list(size), [0] * len(size)
    for dim, wanted in enumerate(size):
        if wanted in (-1, x.shape[dim]):
            shape[dim], strides[dim] = x.shape[dim], x.strides[dim]
        elif x.shape[dim] != 1 or wanted < 0:
            return None
    return _view(x, tuple(shape), tuple(strides))


def chunks(x: TensorSpec, sizes: Shape, where: int) -> tuple[TensorSpec, ...]:
    """The pieces of ``x`` with these sizes along one dimension."""
    return tuple(_view(x, (*x.shape[:where], size, *x.shape[where + 1 :]), x.strides) for size in sizes)


def split(x: TensorSpec, size: int | Shape, dim: int = 0) -> tuple[TensorSpec, ...] | None:
    """``[*, A + B, *] -> [*, A, *] [*, B, *]``."""
    where = axis(dim, len(x.shape))
    if where is None:
        return None
    length = x.shape[where]
    if isinstance(size, int):
        if size <= 0 or length == 0:
            return None
        size = (*((size,) * (length // size)), *((length % size,) if length % size else ()))
    return chunks(x, tuple(size), where) if sum(size) == length and min(size, default=-1) >= 0 else None


def chunk(x: TensorSpec, count: int, dim: int = 0) -> tuple[TensorSpec, ...] | None:
    """``[*, A, *] -> count times [*, A / count, *]``."""
    where = axis(dim, len(x.shape))
    return None if where is None or count < 1 else split(x, -(-x.shape[where] // count), where)


def unbind(x: TensorSpec, dim: int = 0) -> tuple[TensorSpec, ...] | None:
    """``[*, A, *] -> A times [*, *]``."""
    where = axis(dim, len(x.shape)) if isinstance(dim, int) else None
    if where is None:
        return None
    piece = select(x, where, 0)
    return None if piece is None else (piece,) * x.shape[where]


def shuffle_channels(x: TensorSpec, groups: int) -> TensorSpec | None:
    """``[N, C, *] -> [N, C, *]``: a copy, with channels last in memory where they were."""
    if len(x.shape) < 3 or groups < 1 or x.shape[1] % groups or 0 in x.shape:
        return None
    return _view(x, x.shape, suggested(x, x.shape))


def detach(x: TensorSpec) -> TensorSpec:
    """``[*] -> [*]``."""
    return x


RULES: Mapping[str, Callable[..., Any]] = {
    "alias": detach,
    "channel_shuffle": shuffle_channels,
    "chunk": chunk,
    "contiguous": make_contiguous,
    "detach": detach,
    "expand": expand,
    "flatten": flatten,
    "permute": permute,
    "reshape": reshape,
    "select": select,
    "slice": slice_,
    "split": split,
    "squeeze": squeeze,
    "split_with_sizes": split,
    "t": matrix_transpose,
    "transpose": transpose,
    "unbind": unbind,
    "unflatten": unflatten,
    "unsqueeze": unsqueeze,
    "view": view,
    "_unsafe_view": view,
}
