"""Take composite operators apart, under autograd, into the kernels of a device that differ from those of the CPU.

Below autograd a run sees composites, such as attention, as one operator. Under autograd they fall apart before it sees
them, and into what depends on the device: with dropout, attention is written out on the CPU, and is one kernel on CUDA,
whose backward computes the scores anew. A run has tensors of the CPU, whatever device it is for, so that the kernels of
another are called for it here.

The rules are those of torch's own dispatch (``aten/src/ATen/native``, named at each function), for a card of compute
capability 8.0 or newer, and a torch with cuDNN. There is no flash attention of cuDNN here: it has the same products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import get_ident
from typing import Any

import torch
from torch.nn.functional import pad

from thoplw.capture.answers.higher_order import trained_of_scores
from thoplw.capture.torch_internals import flex_attention_trained, foreach_on_cpu, kernels_instead

#: From the arguments of a composite to the output of its kernels; ``NotImplemented`` if they are those of the CPU.
Kernels = Callable[..., Any]

_HALF = (torch.float16, torch.bfloat16)

# -- CUDA --------------------------------------------------------------------------------------------------------------


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Flash attention, else the efficient kernel, else products and a softmax: ``transformers/cuda/sdp_utils.cpp``."""
    width, given = query.shape[-1], (query, key, value)
    fits = all(each.dim() == 4 and each.numel() and each.stride(-1) == 1 for each in given)
    allowed: Any = torch.backends.cuda  # torch leaves its functions untyped
    if fits and allowed.flash_sdp_enabled() and _is_flash(*given, attn_mask, is_causal):
        scale = width**-0.5 if scale is None else scale
        padded = (pad(each, (0, -width % 8)) if width % 8 else each for each in given)
        out = torch.ops.aten._scaled_dot_product_flash_attention(*padded, dropout_p, is_causal, False, scale=scale)[0]
        return out[..., :width]
    if fits and allowed.mem_efficient_sdp_enabled() and _is_efficient(*given):
        keeps = torch.is_grad_enabled() and any(each.requires_grad for each in given)
        added = None if attn_mask is None else _added(attn_mask, query, key)
        return torch.ops.aten._scaled_dot_product_efficient_attention(
            *given, added, keeps, dropout_p, is_causal, scale=scale
        )[0]
    shared = {"enable_gqa": True} if enable_gqa else {}  # torch 2.4 does not know it
    return torch.ops.aten._scaled_dot_product_attention_math(
        *given, attn_mask, dropout_p, is_causal, scale=scale, **shared
    )[0]


def _is_flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, is_causal: bool
) -> bool:
    widths = {each.shape[-1] for each in (query, key, value)}
    square = query.shape[-2] == key.shape[-2]
    return (
        query.dtype in _HALF and mask is None and len(widths) == 1 and max(widths) <= 256 and (square or not is_causal)
    )


def _is_efficient(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether the efficient kernel takes these: rows of whole 16 bytes, and as many heads of keys as of queries."""
    aligned = 8 if query.dtype in _HALF else 4
    return (
        query.dtype in (*_HALF, torch.float32)
        and query.shape[:2] == key.shape[:2] == value.shape[:2]
        and not query.shape[-1] % aligned
        and not value.shape[-1] % aligned
    )


def _added(mask: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Return a mask as the numbers that are added to scores."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill(mask.logical_not(), -torch.inf)
    return mask.expand(*query.shape[:2], query.shape[-2], key.shape[-2])


def _dropout(x: torch.Tensor, p: float, train: bool) -> Any:
    """One kernel, which keeps the mask: ``Dropout.cpp``."""
    return torch.native_dropout(x, p, train)[0] if train and 0 < p < 1 and x.numel() else NotImplemented


def _batch_norm(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    """The kernel of cuDNN, which computes all three gradients or none: ``Normalization.cpp``."""
    known = running_mean is not None and running_var is not None
    largest = 880_801 if training else 65_535
    if (
        not cudnn_enabled
        or weight is None
        or bias is None
        or not (known or training)
        or x.dim() < 3
        or not 0 < x.shape[0] <= largest
    ):
        return NotImplemented
    return torch.cudnn_batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps)[0]


def _lstm_cell(
    x: torch.Tensor,
    hx: list[torch.Tensor],
    w_ih: torch.Tensor,
    w_hh: torch.Tensor,
    b_ih: torch.Tensor | None = None,
    b_hh: torch.Tensor | None = None,
) -> Any:
    """Both products without their biases, and a kernel for the rest: ``RNN.cpp``."""
    made = torch.ops.aten._thnn_fused_lstm_cell(x @ w_ih.t(), hx[0] @ w_hh.t(), hx[1], b_ih, b_hh)
    return made[0], made[1]


def _recurrent(
    mode: int,
    x: torch.Tensor,
    hx: Any,
    weights: list[torch.Tensor],
    has_biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    """One kernel of cuDNN for all layers and steps, which always computes the gradient of its input: ``RNN.cpp``."""
    state, cell = hx if isinstance(hx, (list, tuple)) else (hx, None)
    if not torch.backends.cudnn.enabled or not x.numel() or x.dtype not in _OF_RECURRENT:
        return NotImplemented
    width = (state if cell is None else cell).shape[2]
    projected = state.shape[2] if state.shape[2] != width else 0
    stride = (4 if has_biases else 2) + bool(projected)
    buffer = x.new_empty(sum(weight.numel() for weight in weights))
    made = torch.ops.aten._cudnn_rnn(
        *(x, weights, stride, buffer, state, cell, mode, width, projected),
        *(layers, batch_first, dropout, train, bidirectional, [], None),
    )
    return made[:2] if cell is None else made[:3]


#: Dtypes that the recurrent kernels of cuDNN take on every GPU.
_OF_RECURRENT = (torch.float16, torch.float32, torch.float64)

#: Device -> composite operator -> its kernels there.
DEVICE_KERNELS: Mapping[str, Mapping[str, Kernels]] = {
    "cpu": {},
    "cuda": {
        "scaled_dot_product_attention": _attention,
        "dropout": _dropout,
        "batch_norm": _batch_norm,
        "lstm_cell": _lstm_cell,
        "rnn_relu.input": partial(_recurrent, 0),
        "rnn_tanh.input": partial(_recurrent, 1),
        "lstm.input": partial(_recurrent, 2),
        "gru.input": partial(_recurrent, 3),
    },
}

# -- how a run gets them -----------------------------------------------------------------------------------------------


@contextmanager
def decomposed_for(device: str, belongs: Callable[[int], bool]) -> Iterator[None]:
    """Take composite operators apart as on a device, in the threads for which ``belongs`` is true."""
    kernels = DEVICE_KERNELS.get(device, {})
    with ExitStack() as stack:
        if kernels:
            stack.enter_context(foreach_on_cpu())
            stack.enter_context(kernels_instead(kernels, lambda: belongs(get_ident())))
            stack.enter_context(flex_attention_trained(lambda: belongs(get_ident()), trained_of_scores))
        yield
