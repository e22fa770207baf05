"""An independent measure of what operators move: run a model for real, and look at the memory of the tensors.

Nothing here comes from thoplw. In inference mode a dispatch mode sees every operator before torch takes it apart. What
an input or output occupies is found by listing the addresses of its elements; whether the output is a view, by asking
whose memory it lies in; how much a write in place touches, by doing it to a tensor of zeros.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from checks.nested import tensors_in
from checks.releases import plain_attention_layers
from torch.utils._python_dispatch import TorchDispatchMode

#: They overwrite their target without reading it.
_OVERWRITE = set("copy_ fill_ zero_ normal_ uniform_ random_ bernoulli_ exponential_".split())

#: They look at the shape of what they are given.
_SHAPE_ONLY = set("zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty rand_like".split())

#: They make a tensor and leave it as it is.
_UNTOUCHED = set("empty empty_like new_empty empty_strided new_empty_strided empty_permuted".split())

#: They read of their first tensor as many elements as come out, as far as there are so many.
_LOOKUPS = set("embedding index index_select gather take take_along_dim _unsafe_index".split())

#: They do nothing in inference, or change what is known of a tensor, not the tensor.
_IDLE = set("dropout_ feature_dropout_ detach_".split())

#: They are no kernels: torch takes them apart on every device.
_COMPOSITE = set("einsum".split())

_PUTS = set("index_put_ index_copy_ index_add_ scatter_ scatter_add_".split())


def bytes_touched(model: torch.nn.Module, *args: Any, **kwargs: Any) -> Counter[str]:
    """Operator -> bytes that it read and wrote while ``model(*args, **kwargs)`` really ran, as in inference."""
    watch = _Watch()
    model.eval()
    with torch.inference_mode(), plain_attention_layers(), watch:
        model(*args, **kwargs)
    return watch.found


class _Watch(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.partition("::")[2]
        if name in _IDLE:
            return func(*args, **kwargs)
        if name in _COMPOSITE:
            with self:
                return func.decompose(*args, **kwargs)
        given = list(tensors_in((args, kwargs)))
        target = given[0] if func._schema.is_mutable and given else None
        touched = 0 if target is None else _touched(name, func, target, args, kwargs)
        read = sum(map(occupied, given))
        out = func(*args, **kwargs)
        made = list(tensors_in(out))
        if target is not None:
            unread = name in _OVERWRITE or name in _PUTS
            reads_again = touched if name in ("index_add_", "scatter_add_") else 0
            self.found[name] += read - (occupied(target) if unread else 0) + reads_again + touched
            return out
        if made and {*map(_memory, made)} <= {*map(_memory, given)}:
            return out  # views, or what was given
        if name in _UNTOUCHED or (made and not sum(tensor.numel() for tensor in made)):
            return out
        if name in _SHAPE_ONLY:
            read -= occupied(given[0])
        if name in _LOOKUPS:
            read += min(occupied(made[0]), occupied(given[0])) - occupied(given[0])
        self.found[name] += read + sum(map(occupied, made))
        return out


def occupied(tensor: torch.Tensor) -> int:
    """Bytes of the distinct elements of a tensor, by their addresses."""
    if not tensor.numel():
        return 0
    stride = tensor.stride()
    if tensor.is_contiguous():
        return tensor.numel() * tensor.element_size()
    with torch.utils._python_dispatch._disable_current_modes():
        places = torch.zeros((), dtype=torch.int64)
        for size, step in zip(tensor.shape, stride, strict=True):
            places = (places.unsqueeze(-1) + torch.arange(size) * step).flatten().unique()
        return places.numel() * tensor.element_size()


def _touched(name: str, func: Any, target: torch.Tensor, args: Any, kwargs: Any) -> int:
    if name not in _PUTS:
        return occupied(target)
    with torch.utils._python_dispatch._disable_current_modes():
        blank = torch.zeros(target.shape, dtype=torch.bool)
        *rest, values = args[1:]
        ones = torch.ones_like(values, dtype=torch.bool) if isinstance(values, torch.Tensor) else True
        getattr(torch.Tensor, {"index_add_": "index_copy_", "scatter_add_": "scatter_"}.get(name, name))(
            blank, *rest, ones
        )
        return int(blank.sum()) * target.element_size()


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata
