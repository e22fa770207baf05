"""What a model of transformers really costs when it generates, call by call, and what its cache really holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

import thoplw

#: The names by which ``generate`` hands on what a call has left.
NAMES = ("cache", "past_key_values", "cache_params", "mems", "past_buckets_states", "state")


def generated(
    model: Any, ids: torch.Tensor, new: int, convention: str = "macs", **options: Any
) -> tuple[list[int], list[int]]:
    """The cost of each call of a real ``generate``, and the bytes of the cache before each but the first."""
    sizes: list[int] = []
    own = {id(tensor) for _, tensor in _plain(model)}

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        sizes.append(_bytes([kwargs.get(name) for name in NAMES], model, own))

    hook = model.register_forward_pre_hook(before, with_kwargs=True)
    try:
        with torch.no_grad(), thoplw.count(convention) as counted:
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=new,
                min_new_tokens=new,
                do_sample=False,
                num_beams=1,
                num_return_sequences=1,
                pad_token_id=0,
                **options,
            )
    finally:
        hook.remove()
    calls = [info for info in counted.calls if info.profile.about.model == type(model).__name__]
    return [info.total_macs for info in calls], sizes[1:]


def _bytes(held: list[Any], model: nn.Module, own: set[int]) -> int:
    tensors = [tensor for each in held for tensor in _inside(each, set())]
    tensors += [tensor for _, tensor in _plain(model) if id(tensor) not in own]
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors if each.dim()}
    return sum(storages.values())


def _plain(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                yield name, value


def _inside(value: Any, seen: set[int]) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        parts = value.__tensor_flatten__()[0] if hasattr(value, "__tensor_flatten__") else ()
        if parts:  # it is made of others, as one of quanto is of values, scales and shifts
            for part in parts:
                yield from _inside(getattr(value, part), seen)
        else:
            yield value
    elif id(value) not in seen and not isinstance(value, (nn.Module, type, str)):
        seen.add(id(value))
        inner = [*value] if isinstance(value, (list, tuple)) else [*value.values()] if isinstance(value, dict) else []
        for each in [*inner, *getattr(value, "__dict__", {}).values()]:
            yield from _inside(each, seen)
