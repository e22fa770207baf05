"""Shape rules for odd cases, in which torch's meta kernel is missing or differs from its real kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import FLOATING, contiguous, is_contiguous


def loss(x: TensorSpec, target: TensorSpec, reduction: int = 1, *options: Any) -> TensorSpec | None:
    """``[*] [*] -> []``, or ``[*]`` without reduction: of two dtypes it has the input's, whichever is wider."""
    if x.dtype == target.dtype or x.shape != target.shape or not is_contiguous(x, target):
        return None
    if x.dtype not in FLOATING or target.dtype not in FLOATING:
        return None
    return contiguous(() if reduction else x.shape, x.dtype)


def unshuffled(x: TensorSpec, factor: int) -> TensorSpec | None:
    """``[*, C, H, W]`` of no elements comes back as it is."""
    return x if 0 in x.shape and len(x.shape) >= 3 and factor > 0 and is_contiguous(x) else None


def histogram(x: TensorSpec, bins: int | TensorSpec = 100, **options: Any) -> tuple[TensorSpec, TensorSpec] | None:
    """``[*] -> [bins] [bins + 1]``: counts, and the edges of bins, which can be given."""
    count = bins if isinstance(bins, int) else bins.numel - 1
    if x.dtype not in FLOATING or count < 1 or (isinstance(bins, TensorSpec) and len(bins.shape) != 1):
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


RULES: Mapping[str, Callable[..., Any]] = {
    "_histogramdd_bin_edges": edges_of_bins,
    "_histogramdd_from_bin_cts": counts_in_bins,
    "_histogramdd_from_bin_tensors": counts_between,
    "histogram": histogram,
    "huber_loss": loss,
    "pixel_unshuffle": unshuffled,
    "soft_margin_loss": loss,
}
