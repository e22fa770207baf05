"""Shape rules for odd cases, in which torch's meta kernel is missing or differs from its real kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes import layouts
from thoplw.shapes.common import FLOATING, Shape, contiguous, is_contiguous, pair


def loss(x: TensorSpec, target: TensorSpec, reduction: int = 1, *options: Any) -> TensorSpec | None:
    """``[*] [*] -> []``, or ``[*]`` without reduction: of two dtypes it has the input's, whichever is wider."""
    if x.dtype == target.dtype or x.shape != target.shape or not is_contiguous(x, target):
        return None
    if x.dtype not in FLOATING or target.dtype not in FLOATING:
        return None
    return contiguous(() if reduction else x.shape, x.dtype)


def gradient_of_input(gradient: TensorSpec, x: TensorSpec, *options: Any) -> TensorSpec:
    """``[*] [*] -> [*]``, the gradient of a loss or a maximum in that of its input: contiguous whatever came in."""
    return contiguous(x.shape, x.dtype)


def group_norm(
    x: TensorSpec, weight: TensorSpec | None, bias: TensorSpec | None, samples: int, *sizes: Any
) -> tuple[TensorSpec, TensorSpec, TensorSpec] | None:
    """``[N, C, *] -> [N, C, *] [N, G] [N, G]`` under autocast: halves, whose statistics have the weights' dtype."""
    of = weight or bias
    if not _mixed(x, of) or of is None:
        return None
    groups = sizes[2]
    statistics = contiguous((samples, groups), of.dtype)
    return TensorSpec(shape=x.shape, dtype=x.dtype, strides=layouts.suggested(x, x.shape)), statistics, statistics


def group_norm_backward(
    gradient: TensorSpec,
    x: TensorSpec,
    mean: TensorSpec,
    scale: TensorSpec,
    weight: TensorSpec | None,
    samples: int,
    channels: int,
    size: int,
    groups: int,
    mask: tuple[bool, ...],
) -> tuple[TensorSpec, TensorSpec, TensorSpec] | None:
    """``[N, C, *] [N, C, *] -> [N, C, *] [C] [C]``: all three gradients, each in the dtype of what it is of."""
    if weight is None or not _mixed(x, weight) or gradient.dtype != x.dtype or not all(mask):
        return None
    of_weights = contiguous((channels,), weight.dtype)
    of_input = TensorSpec(shape=x.shape, dtype=x.dtype, strides=layouts.suggested(x, x.shape))
    return of_input, of_weights, of_weights


def _mixed(x: TensorSpec, weight: TensorSpec | None) -> bool:
    """Whether weights of float32 meet an input of half as many bytes."""
    return weight is not None and weight.dtype == "float32" and x.dtype in ("bfloat16", "float16") and 0 not in x.shape


def recurrent_backward(
    x: TensorSpec,
    weights: tuple[TensorSpec, ...],
    stride: int,
    buffer: TensorSpec,
    state: TensorSpec,
    cell: TensorSpec | None,
    *options: Any,
) -> Any:
    """Gradients of what cuDNN's recurrent kernel takes, each of its shape; without a cell that of none is empty."""
    of_cell = contiguous((0,) if cell is None else cell.shape, x.dtype)
    of_weights = tuple([contiguous(weight.shape, weight.dtype) for weight in weights])
    return contiguous(x.shape, x.dtype), contiguous(state.shape, x.dtype), of_cell, of_weights


def unshuffled(x: TensorSpec, factor: int) -> TensorSpec | None:
    """``[*, C, H, W]`` of no elements comes back as it is."""
    if 0 not in x.shape or len(x.shape) < 3 or factor < 1:
        return None
    return x if not x.shape[-1] % factor and not x.shape[-2] % factor else None


def max_pool3d(
    x: TensorSpec,
    kernel: int | Shape,
    stride: int | Shape = (),
    padding: int | Shape = 0,
    dilation: int | Shape = 1,
    ceil_mode: bool = False,
) -> tuple[TensorSpec, TensorSpec] | None:
    """``[N, C, D, H, W] -> [N, C, D', H', W']``, and the positions: no meta kernel up to torch 2.0."""
    window = pair(kernel, 3)
    windows = (window, pair(stride, 3) or window, pair(padding, 3), pair(dilation, 3))
    if len(x.shape) != 5 or x.dtype not in FLOATING or 0 in x.shape or not is_contiguous(x) or ceil_mode:
        return None
    if any(
        2 * pad > each or pad < 0 or min(each, step, reach) < 1 for each, step, pad, reach in zip(*windows, strict=True)
    ):
        return None
    sizes = [
        (size + 2 * pad - reach * (each - 1) - 1) // step + 1
        for size, each, step, pad, reach in zip(x.shape[2:], *windows, strict=True)
    ]
    shape = (*x.shape[:2], *sizes)
    strides = layouts.suggested(x, shape)  # a volume of one channel may have it last
    out, positions = (TensorSpec(shape=shape, dtype=dtype, strides=strides) for dtype in (x.dtype, "int64"))
    return (out, positions) if min(sizes) > 0 else None


def weight_norm(v: TensorSpec, g: TensorSpec, dim: int = 0) -> tuple[TensorSpec, TensorSpec] | None:
    """``[*] [N] -> [*] [N]``: a weight of direction v and length g, and the lengths of v: no meta kernel up to 2.2."""
    return (v, g) if v.dtype == g.dtype and v.dtype in ("float32", "float64") and is_contiguous(v, g) else None


def weight_norm_backward(
    gradient: TensorSpec, v: TensorSpec, g: TensorSpec, lengths: TensorSpec, dim: int
) -> tuple[TensorSpec, TensorSpec] | None:
    """``[*] [*] [N] -> [*] [N]``: gradients of directions and lengths: no meta kernel up to torch 2.5."""
    return weight_norm(v, g) if gradient.shape == v.shape else None


def histogram(x: TensorSpec, bins: int | TensorSpec = 100, **options: Any) -> tuple[TensorSpec, TensorSpec] | None:
    """``[*] -> [bins] [bins + 1]``: counts, and the edges of bins, which can be given."""
    count = bins if isinstance(bins, int) else bins.numel - 1
    if x.dtype not in FLOATING or count < 1 or (isinstance(bins, TensorSpec) and len(bins.shape) != 1):
        return None
    if isinstance(bins, TensorSpec) and bins.dtype != x.dtype:
        return None
    weight = options.get("weight")
    if weight is not None and (weight.numel, weight.dtype) != (x.numel, x.dtype):
        return None
    return contiguous((count,), x.dtype), contiguous((count + 1,), x.dtype)


def edges_of_bins(x: TensorSpec, bins: tuple[int, ...], **options: Any) -> tuple[TensorSpec, ...] | None:
    """``[*, D]``, D numbers of bins ``-> [bins + 1]`` for each: their edges."""
    return tuple([contiguous((count + 1,), x.dtype) for count in bins]) if _fits(x, bins) else None


def counts_in_bins(x: TensorSpec, bins: tuple[int, ...], **options: Any) -> TensorSpec | None:
    """``[*, D]``, D numbers of bins ``-> bins``."""
    return contiguous(tuple(bins), x.dtype) if _fits(x, bins) else None


def counts_between(x: TensorSpec, edges: tuple[TensorSpec, ...], **options: Any) -> TensorSpec | None:
    """The same, with the edges of bins in place of their number."""
    return counts_in_bins(x, tuple([each.numel - 1 for each in edges]))


def _fits(x: TensorSpec, bins: tuple[int, ...]) -> bool:
    return x.dtype in FLOATING and len(x.shape) > 1 and len(bins) == x.shape[-1] and min(bins, default=0) > 0


def embedding_bag(
    weight: TensorSpec,
    indices: TensorSpec,
    offsets: TensorSpec,
    scaled: bool = False,
    mode: int = 0,
    sparse: bool = False,
    each: TensorSpec | None = None,
    with_last: bool = False,
    padding: int = -1,
) -> tuple[TensorSpec, ...] | None:
    """``[V, D] [N] [B] -> [B, D]``, then the bag of each index, sizes of bags, and which were the largest.

    What sums without padding needs no bags. Meta kernels give the last three the sizes that they have on a GPU.
    """
    if len(indices.shape) != 1 or len(offsets.shape) != 1 or mode not in (0, 1, 2) or not is_contiguous(weight):
        return None
    bags, width = offsets.numel - with_last, weight.shape[1]
    return (
        contiguous((bags, width), weight.dtype),
        contiguous((0 if mode == 0 and padding < 0 else indices.numel,), offsets.dtype),
        contiguous((bags,), offsets.dtype),
        contiguous((bags, width) if mode == 2 else (bags,), offsets.dtype),
    )


RULES: Mapping[str, Callable[..., Any]] = {
    "_ctc_loss_backward": gradient_of_input,
    "multi_margin_loss_backward": gradient_of_input,
    "multilabel_margin_loss_backward": gradient_of_input,
    "_cudnn_rnn_backward": recurrent_backward,
    "_embedding_bag": embedding_bag,
    "_embedding_bag_forward_only": embedding_bag,
    "_weight_norm_interface": weight_norm,
    "_weight_norm_interface_backward": weight_norm_backward,
    "fractional_max_pool3d_backward": gradient_of_input,
    "_histogramdd_bin_edges": edges_of_bins,
    "_histogramdd_from_bin_cts": counts_in_bins,
    "_histogramdd_from_bin_tensors": counts_between,
    "histogram": histogram,
    "huber_loss": loss,
    "native_group_norm": group_norm,
    "native_group_norm_backward": group_norm_backward,
    "max_pool3d_with_indices": max_pool3d,
    "pixel_unshuffle": unshuffled,
    "soft_margin_loss": loss,
}
