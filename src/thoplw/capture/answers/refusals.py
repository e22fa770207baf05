"""Refuse calls that torch refuses on real tensors, although its meta kernels answer them.

For example, ``embedding(weight, ids)`` is refused if a real id is 30,000 and the weight has 30,000 rows, and a
convolution if its padding is -1. A check takes the arguments of an operator and returns why the call is refused, or
``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch

from thoplw.shapes.common import pair

#: A function that tells whether a tensor has values.
HasValues = Callable[[torch.Tensor], bool]

#: Why a call is refused; ``None`` if it is not.
Reason = str | None


def _is_real(value: Any, has: HasValues) -> bool:
    return isinstance(value, torch.Tensor) and value.numel() > 0 and has(value)


def _outside(index: torch.Tensor, size: int, low: int = 0) -> Reason:
    """Return why indices are out of bounds, if they are."""
    smallest, largest = _once(index).aminmax()
    for found in (int(smallest), int(largest)):
        if not low <= found < size:
            return f"index {found} is out of bounds for a dimension of size {size}"
    return None


def _once(tensor: torch.Tensor) -> torch.Tensor:
    """Return each element in memory once. An expanded tensor, such as the distances of all heads, may be huge."""
    kept = (
        0 if size and not stride else slice(None) for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
    )
    return tensor[tuple(kept)]


def _rows(table: int, ids: int, has: HasValues, *args: Any, **kwargs: Any) -> Reason:
    """Check ids of rows of a table."""
    return _outside(args[ids], args[table].shape[0]) if _is_real(args[ids], has) else None


def _places(has: HasValues, x: torch.Tensor, dim: int, index: torch.Tensor, *args: Any, **kwargs: Any) -> Reason:
    """Check indices into one dimension; a number has one of one element."""
    return _outside(index, x.shape[dim] if x.dim() else 1) if _is_real(index, has) and x.numel() else None


def _filled(has: HasValues, x: torch.Tensor, dim: int, index: torch.Tensor, *args: Any, **kwargs: Any) -> Reason:
    """The same of indices that may count from the end."""
    size = x.shape[dim] if x.dim() else 1
    return _outside(index, size, -size) if _is_real(index, has) and x.numel() else None


def _positions(
    has: HasValues, x: torch.Tensor, indices: Sequence[torch.Tensor | None], *args: Any, **kwargs: Any
) -> Reason:
    """Check indices into several dimensions, which may count from the end."""
    for size, index in zip(x.shape, indices, strict=False):
        if index is not None and index.dtype in (torch.bool, torch.uint8):
            return None  # a mask indexes several dimensions at once
        if index is not None and _is_real(index, has):
            reason = _outside(index, size, -size)
            if reason is not None:
                return reason
    return None


def _flat_indices(has: HasValues, x: torch.Tensor, index: torch.Tensor) -> Reason:
    """Check indices into all elements, which may count from the end."""
    return _outside(index, x.numel(), -x.numel()) if _is_real(index, has) else None


def _bags(has: HasValues, table: torch.Tensor, ids: torch.Tensor, offsets: Any = None, *args: Any, **_: Any) -> Reason:
    """Check ids of rows of a table, and where bags of them begin."""
    reason = _rows(0, 1, has, table, ids)
    if reason is None and _is_real(offsets, has) and int(offsets[0]) != 0:
        return f"the first bag begins at {int(offsets[0])}, and should at 0"
    if reason is None and _is_real(offsets, has) and int(offsets[-1]) > ids.numel():
        return f"the last bag begins at {int(offsets[-1])}, and there are {ids.numel()} ids"
    return reason


def _classes(has: HasValues, x: torch.Tensor, target: torch.Tensor, *args: Any, **kwargs: Any) -> Reason:
    """Check the classes that a loss looks up, without the ignored one."""
    if not _is_real(target, has):
        return None
    left = target[target != args[2]]  # args are weight, reduction and the ignored class
    return _outside(left, x.shape[1 if x.dim() > 1 else 0]) if left.numel() else None


def _scattered(has: HasValues, x: torch.Tensor, mask: torch.Tensor, source: torch.Tensor) -> Reason:
    """Refuse a source with fewer elements (features of a picture) than the mask has places (its tokens)."""
    if mask.dtype != torch.bool:
        return f"the mask is of {mask.dtype}, not of torch.bool"
    if not has(mask):
        return None
    once = _once(mask)
    places = int(once.sum()) * (x.numel() // max(once.numel(), 1))
    if places <= source.numel():
        return None
    return (
        f"there are {places} places for {source.numel()} elements: do the tokens in the input fit the features of "
        "pictures or sounds?"
    )


#: Operator -> a check of values, made at every call.
OF_VALUES: Mapping[str, Callable[..., Reason]] = MappingProxyType(
    {
        "aten.embedding": partial(_rows, 0, 1),
        "aten._embedding_bag": _bags,
        "aten._embedding_bag_forward_only": _bags,
        **{
            f"aten.{name}{in_place}": _places
            for name in (
                "gather index_select scatter scatter_add scatter_reduce index_add index_copy index_reduce"
            ).split()
            for in_place in ("", "_")
        },
        "aten.index_fill": _filled,
        "aten.index_fill_": _filled,
        "aten.index": _positions,
        "aten.index_put": _positions,
        "aten.index_put_": _positions,
        "aten.take": _flat_indices,
        "aten.nll_loss_forward": _classes,
        "aten.nll_loss2d_forward": _classes,
        "aten.masked_scatter": _scattered,
        "aten.masked_scatter_": _scattered,
    }
)


def _convolution(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = (),
    padding: Any = (),
    dilation: Any = (),
    *args: Any,
    **kwargs: Any,
) -> Reason:
    groups = kwargs.get("groups", args[-1] if args else 1)
    turned = len(args) > 1 and args[0]  # the kernel is told whether it is transposed
    reason = _steps(weight.dim() - 2, stride=(stride, 1), padding=(padding, 0), dilation=(dilation, 1))
    if reason is not None:
        return reason
    if groups < 1 or weight.shape[0] % groups:
        return f"a weight of shape {tuple(weight.shape)} cannot be divided into {groups} groups"
    return _bias(bias, weight.shape[1] * groups if turned else weight.shape[0]) or _nothing(weight.dim() - 2, x)


def _steps(rank: int, **options: tuple[Any, int]) -> Reason:
    """Refuse numbers for each dimension that are too small, or of which there are too many or too few."""
    for what, (sizes, least) in options.items():
        if isinstance(sizes, str):
            continue
        if any(size < least for size in sizes):
            return f"{what} is {tuple(sizes)}, and should be {least} or more"
        if len(sizes) not in (0, 1, rank):
            return f"{what} is {tuple(sizes)}, and should be one number or {rank}"
    return None


def _bias(bias: Any, channels: int) -> Reason:
    if bias is None or tuple(bias.shape) == (channels,):
        return None
    return f"a bias of shape {tuple(bias.shape)} is not one number for each of {channels} channels"


def _transposed(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = (1,),
    padding: Any = (0,),
    output_padding: Any = (0,),
    groups: int = 1,
    dilation: Any = (1,),
) -> Reason:
    reason = _steps(weight.dim() - 2, output_padding=(output_padding, 0))
    if reason is not None:
        return reason
    channels = x.shape[1 - weight.dim()]
    if channels != weight.shape[0]:
        return f"the input has {channels} channels, and the weight takes {weight.shape[0]}"
    rank = weight.dim() - 2
    for more, step, spread in zip(*(pair(each, rank) for each in (output_padding, stride, dilation)), strict=True):
        if more >= max(step, spread):
            return f"output_padding is {tuple(output_padding)}, and should be less than stride or dilation"
    reason = _convolution(x, weight, None, stride, padding, dilation, groups)
    return reason or _bias(bias, weight.shape[1] * groups)


def _unfolded(x: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Reason:
    return _steps(2, kernel_size=(kernel, 1), dilation=(dilation, 1), padding=(padding, 0), stride=(stride, 1))


def _windows(
    x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,), *options: Any, **more: Any
) -> Reason:
    return _steps(3, kernel_size=(kernel, 1), stride=(stride, 1), padding=(padding, 0), dilation=(dilation, 1))


def _random_windows(rank: int, x: Any, kernel: Any, size: Any, samples: Any) -> Reason:
    return _steps(rank, kernel_size=(kernel, 1), output_size=(size, 0))


def _sorted(x: Any, dim: int = -1, *options: Any, **more: Any) -> Reason:
    return _has_dimension(x, dim)


def _part(view: Callable[..., torch.Tensor], x: Any, source: Any, *where: Any, **more: Any) -> Reason:
    """Refuse a source that has another shape than the part of a tensor that it is written to."""
    part = view(torch.empty(x.shape, device="meta"), *where, **more)
    if source.shape == part.shape:
        return None
    return f"the source, of shape {tuple(source.shape)}, does not fit the part, of shape {tuple(part.shape)}"


def _slice(x: torch.Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> torch.Tensor:
    return torch.ops.aten.slice(x, dim, start, end, step)  # type: ignore[no-any-return] # torch's own gap


def _smooth(x: Any, target: Any, reduction: int = 1, beta: float = 1.0) -> Reason:
    return f"beta is {beta}, and should not be negative" if beta < 0 else None


def _side(
    edges: Any, x: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None, sorter: Any = None
) -> Reason:
    known = side in (None, "left", "right")
    return None if known else f"side is {side!r}, and should be 'left' or 'right'"


def _rows_alike(a: Any, b: Any, rcond: float | None = None, *, driver: str | None = None) -> Reason:
    if driver not in (None, *_DRIVERS):
        return f"driver is {driver!r}, and should be one of {', '.join(_DRIVERS)}"
    vectors = b.dim() == 1 or tuple(b.shape) == tuple(a.shape[:-1])
    rows = b.shape[-1 if vectors else -2]
    return None if rows == a.shape[-2] else f"there are {a.shape[-2]} equations and {rows} right sides"


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _vector(x: Any, dim: int, index: Any, *source: Any, **more: Any) -> Reason:
    if index.dtype not in (torch.int32, torch.int64):
        return f"the index is of {index.dtype}, not of integers"
    return None if index.dim() < 2 else f"the index has {index.dim()} dimensions, and should have 1"


def _dropped(x: Any, probability: float = 0.0, *options: Any, **more: Any) -> Reason:
    return None if 0 <= probability <= 1 else f"{probability} is no probability of dropout"


def _attended(
    query: Any, key: Any, value: Any, mask: Any = None, dropout_p: float = 0.0, *options: Any, **more: Any
) -> Reason:
    return _dropped(query, dropout_p)


def _divided(x: Any, alpha: float = 1.0) -> Reason:
    return None if alpha else "alpha is 0, and something is divided by it"


def _nothing(dimensions: int, x: Any, *args: Any, **kwargs: Any) -> Reason:
    """Refuse an input that is empty in one of its last dimensions; an empty batch is allowed."""
    if 0 not in x.shape[-dimensions:]:
        return None
    return f"the input, of shape {tuple(x.shape)}, is empty in one of its last {dimensions} dimensions"


def _pooled(dimensions: int, x: Any, size: Any, *args: Any, **kwargs: Any) -> Reason:
    """The same, unless the mean of everything is asked for."""
    return None if all(each == 1 for each in size) else _nothing(dimensions, x)


def _no_steps(x: Any, *args: Any, **kwargs: Any) -> Reason:
    """Refuse a sequence without steps; packed sequences have two dimensions."""
    batch_first = args[-1] if type(args[-1]) is bool else False
    return "the sequence has no steps" if x.dim() == 3 and not x.shape[batch_first] else None


def _probabilities(x: Any, target: Any, *args: Any, **kwargs: Any) -> Reason:
    return None if x.dtype == target.dtype else f"the input is of {x.dtype}, and the target of {target.dtype}"


def _has_dimension(x: Any, dim: int, *args: Any, **kwargs: Any) -> Reason:
    rank = max(len(x.shape), 1)
    return None if -rank <= dim < rank else f"there is no dimension {dim} in {tuple(x.shape)}"


def _chosen(of_nothing: bool, x: Any, dim: Any = None, *args: Any, **kwargs: Any) -> Reason:
    """Refuse to choose one of no elements. Some operators may do so if they choose among all elements."""
    if type(dim) is int and len(x.shape) and x.shape[dim] == 0:
        return f"dimension {dim} of {tuple(x.shape)} has no elements to choose from"
    if dim is None and 0 in x.shape and not of_nothing:
        return f"a tensor of shape {tuple(x.shape)} has no elements to choose from"
    return None


def _gelu(x: Any, *, approximate: str = "none") -> Reason:
    known = approximate in ("none", "tanh")
    return None if known else f"approximate is {approximate!r}, and should be 'none' or 'tanh'"


def _uniform(x: Any, low: float = 0, high: float = 1, **kwargs: Any) -> Reason:
    return f"the interval is from {low} to {high}" if low > high else None


def _drawn(x: Any, count: int, replacement: bool = False, **kwargs: Any) -> Reason:
    if count < 1:
        return f"{count} samples are to be drawn"
    classes = x.shape[-1] if x.shape else 0
    if count > classes and not replacement:
        return f"{count} samples are to be drawn of {classes} without replacement"
    return None


def _boundaries(x: Any, boundaries: Any, *args: Any, **kwargs: Any) -> Reason:
    rank = len(boundaries.shape)
    return None if rank == 1 else f"the boundaries have {rank} dimensions, and should have 1"


def _alike(x: Any, dim: int, index: Any, source: Any, *args: Any, **kwargs: Any) -> Reason:
    """Refuse a source whose sizes differ from those of its target outside of the indexed dimension."""
    if not x.shape or not source.shape:
        return None
    sizes = [(*each.shape[: dim % len(each.shape)], *each.shape[dim % len(each.shape) + 1 :]) for each in (x, source)]
    if sizes[0] == sizes[1]:
        return None
    return f"the source, of shape {tuple(source.shape)}, does not fit {tuple(x.shape)} but for dimension {dim}"


def _parts(real: Any, imaginary: Any, **kwargs: Any) -> Reason:
    if real.dtype == imaginary.dtype:
        return None
    return f"the parts are of {real.dtype} and {imaginary.dtype}"


#: Operator -> a check of shapes and options, made once for all equal calls. It is made only if no shape rule gives the
#: output, because a rule has checked as much.
OF_SHAPES: Mapping[str, Callable[..., Reason]] = MappingProxyType(
    {
        "aten.binary_cross_entropy": _probabilities,
        "aten.bucketize": _boundaries,
        "aten.complex": _parts,
        **{f"aten.{name}": _convolution for name in ("conv1d", "conv2d", "conv3d", "convolution")},
        **{f"aten.conv_transpose{rank}d": _transposed for rank in (1, 2, 3)},
        **{f"aten.adaptive_avg_pool{rank}d": partial(_pooled, rank) for rank in (1, 2, 3)},
        **{f"aten._adaptive_avg_pool{rank}d": partial(_pooled, rank) for rank in (2, 3)},
        **{
            f"aten.upsample_{mode}{rank}d": partial(_nothing, rank + 1)
            for mode, rank in (("nearest", 1), ("nearest", 2), ("nearest", 3), ("linear", 1), ("trilinear", 3))
        },
        **{f"aten.upsample_{mode}2d": partial(_nothing, 3) for mode in ("bilinear", "bicubic")},
        **{f"aten.{name}": _no_steps for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")},
        **{f"aten.{name}": partial(_chosen, False) for name in ("max", "min")},
        **{f"aten.{name}": partial(_chosen, True) for name in ("median", "mode", "nanmedian")},
        **{f"aten.{name}": _has_dimension for name in ("softmax", "log_softmax", "_softmax", "_log_softmax")},
        **{f"aten.{name}{in_place}": _divided for name in ("celu",) for in_place in ("", "_")},
        **{f"aten.{name}{in_place}": _dropped for name in ("dropout", "feature_dropout") for in_place in ("", "_")},
        "aten.diagonal_scatter": partial(_part, torch.diagonal),
        "aten.select_scatter": partial(_part, torch.select),
        "aten.slice_scatter": partial(_part, _slice),
        "aten.fractional_max_pool2d": partial(_random_windows, 2),
        "aten.fractional_max_pool3d": partial(_random_windows, 3),
        "aten.im2col": _unfolded,
        "aten.index_select": _vector,
        "aten.linalg_lstsq": _rows_alike,
        **{f"aten.{name}": _windows for name in ("max_pool3d", "max_pool3d_with_indices")},
        "aten.scaled_dot_product_attention": _attended,
        "aten.searchsorted": _side,
        "aten.smooth_l1_loss": _smooth,
        "aten.sort": _sorted,
        "aten.gelu": _gelu,
        "aten.gelu_": _gelu,
        "aten.index_add": _alike,
        "aten.index_add_": _alike,
        "aten.multinomial": _drawn,
        "aten.uniform": _uniform,
        "aten.uniform_": _uniform,
    }
)
