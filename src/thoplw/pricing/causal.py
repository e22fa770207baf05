"""``macs-causal``: as ``macs``, but of causal attention only what the mask leaves: about half.

It holds for attention that torch is told to be causal (``is_causal=True``), also over packed sequences, where a window
leaves less; and for flex attention with a block mask, of which the blocks count that are computed. A mask given as a
tensor counts in full, as what it hides is not in its shape; so does a block mask that is not known without running the
model.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from operator import mul
from typing import NamedTuple

from thoplw.formulas import FORMULAS
from thoplw.formulas.attention import packed_lengths
from thoplw.pricing.convention import Convention
from thoplw.record import Call, Work

#: How long a sequence is; a fraction where that is not known.
Length = int | Fraction

#: Operator -> position of its argument ``is_causal``.
_IS_CAUSAL = {
    "aten.scaled_dot_product_attention": 5,
    "aten._scaled_dot_product_attention_math": 5,
    "aten._scaled_dot_product_flash_attention": 4,
    "aten._scaled_dot_product_flash_attention_for_cpu": 4,
    "aten._scaled_dot_product_efficient_attention": 6,
    "aten._scaled_dot_product_cudnn_attention": 6,
    "aten._scaled_dot_product_fused_attention_overrideable": 5,
    "aten._scaled_dot_product_flash_attention_backward": 11,
    "aten._scaled_dot_product_flash_attention_for_cpu_backward": 7,
    "aten._scaled_dot_product_efficient_attention_backward": 11,
    "aten._scaled_dot_product_cudnn_attention_backward": 14,
    "aten._scaled_dot_product_fused_attention_overrideable_backward": 13,
}


class Band(NamedTuple):
    """The keys that a query sees: from ``left`` before its own to ``right`` behind it; ``None`` is without end.

    Its own key is the one at its position, or, ``aligned_last``, the one as far from the last key as the query is from
    the last query.
    """

    left: int | None
    right: int | None
    aligned_last: bool = True


def _flash_band(position: int) -> Callable[[Call], Band]:
    """The band of a kernel that takes ``is_causal`` at a position, and its windows by name; -1 is no window."""

    def band(call: Call) -> Band:
        left, right = (call.kwargs.get(f"window_size_{side}") for side in ("left", "right"))
        return _windows(call.arg(position), left, right)

    return band


def _variable_band(position: int, windows: int) -> Callable[[Call], Band]:
    """The band of a kernel that takes ``is_causal`` and both windows by position."""

    def band(call: Call) -> Band:
        return _windows(call.arg(position), *(call.arg(windows) or (None, None)))

    return band


def _windows(is_causal: bool | None, left: int | None, right: int | None) -> Band:
    left, right = (None if window is None or window < 0 else window for window in (left, right))
    return Band(left, 0 if is_causal else right)


def _efficient_band(position: int) -> Callable[[Call], Band]:
    """The band of a kernel whose mask is 0 for none, 1 for causal from the first key, 2 for causal to the last one.

    Its window is a number of keys, of which the query's own is one.
    """

    def band(call: Call) -> Band:
        mask, window = call.arg(position, 0), call.kwargs.get("window_size")
        return Band(window - 1 if mask and window else None, 0 if mask else None, mask != 1)

    return band


#: Kernel of packed sequences -> the band of a call.
_BAND: dict[str, Callable[[Call], Band]] = {
    "aten._flash_attention_forward": _flash_band(8),
    "aten._flash_attention_forward_no_dropout_inplace": _flash_band(9),
    "aten._flash_attention_backward": _flash_band(11),
    "aten._efficient_attention_forward": _efficient_band(9),
    "aten._efficient_attention_backward": _efficient_band(14),
    "torch_attn._varlen_attn": _variable_band(7, 9),
    "torch_attn._varlen_attn_out": _variable_band(8, 10),
    "torch_attn._varlen_attn_backward": _variable_band(10, 13),
}

#: Operator -> position of its block mask.
_BLOCK_MASK = {"higher_order.flex_attention": 4, "higher_order.flex_attention_backward": 9}


def _unmasked(target: str, position: int) -> Callable[[Call], Work]:
    """``[*, L, E] [*, S, E]``: the scores at and below the diagonal, ``L (L + 1) / 2`` of ``L S`` where ``L <= S``."""
    full = FORMULAS[target]
    assert full is not None  # of every kind of attention

    def price(call: Call) -> Work:
        work = full(call)
        if not call.arg(position, False):
            return work
        first = 1 if target.endswith("_backward") else 0  # behind the gradient
        queries, keys = (each.shape[-2] for each in call.args[first : first + 2])
        return _part(work, _kept(queries, keys, Band(None, 0, aligned_last=False)), queries * keys)

    return price


def _in_band(target: str, band: Callable[[Call], Band]) -> Callable[[Call], Work]:
    """``[sum of L, H, E] [sum of S, H, E]``: of each sequence the scores in a band."""
    full = FORMULAS[target]
    assert full is not None  # of every kind of attention

    def price(call: Call) -> Work:
        work, seen = full(call), band(call)
        if seen.left is None and seen.right is None:
            return work
        queries, keys = packed_lengths(call)
        kept = sum(_kept(*lengths, seen) for lengths in zip(queries, keys, strict=True))
        return _part(work, kept, sum(map(mul, queries, keys)))

    return price


def _part(work: Work, kept: Length, all_: Length) -> Work:
    """The work of some of the scores."""
    return Work(macs=int(work.macs * kept // all_), flops=int(work.flops * kept // all_)) if all_ else work


def _kept(queries: Length, keys: Length, band: Band) -> Length:
    """Number of scores in a band."""
    shift = keys - queries if band.aligned_last else 0
    kept = queries * keys if band.right is None else _up_to(shift + band.right, queries, keys)
    return kept if band.left is None else kept - _up_to(shift - band.left - 1, queries, keys)


def _up_to(diagonal: Length, queries: Length, keys: Length) -> Length:
    """Number of scores up to a diagonal: of query ``i``, those of the first ``i + diagonal + 1`` keys."""
    beyond = diagonal - keys
    return _sum_to(diagonal + queries) - _sum_to(diagonal) - _sum_to(beyond + queries) + _sum_to(beyond)


def _sum_to(number: Length) -> Length:
    """``1 + 2 + ... + number``."""
    return number * (number + 1) // 2 if number > 0 else 0


def _of_blocks(target: str, position: int) -> Callable[[Call], Work]:
    """``[B, H, L, E] [B, H, S, E] [B, H, S, V]``: the scores in blocks that the mask leaves, in part or in full."""
    full = FORMULAS[target]
    assert full is not None  # of every kind of attention

    def price(call: Call) -> Work:
        work, mask = full(call), call.arg(position)
        if not mask:
            return work
        part = mask[2].density
        return Work(macs=int(work.macs * part), flops=int(work.flops * part))

    return price


CONVENTION = Convention(
    "macs-causal",
    {
        **FORMULAS,
        **{target: _unmasked(target, position) for target, position in _IS_CAUSAL.items()},
        **{target: _in_band(target, band) for target, band in _BAND.items()},
        **{target: _of_blocks(target, position) for target, position in _BLOCK_MASK.items()},
    },
    unit="MAC",
)
