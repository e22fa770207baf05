"""Packages of quantised caches, where they do what a run without values cannot follow.

hqq searches for better scales until an error, which is a value, no longer shrinks; quanto packs two numbers into a byte
where what it is given is of the class ``torch.Tensor`` and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any

from thoplw.capture.abstract import AbstractTensor


@contextmanager
def followed(cache: str) -> Iterator[None]:
    """Have the package of a kind of cache work without values; afterwards it is as it was."""
    if cache not in _INSTEAD:
        yield
        return
    file, name, method, instead = _INSTEAD[cache]
    cls = getattr(import_module(file), name)
    before = vars(cls)[method]
    setattr(cls, method, instead(getattr(cls, method)))
    try:
        yield
    finally:
        setattr(cls, method, before)


def _without_search(quantize: Callable[..., Any]) -> Callable[..., Any]:
    """``Quantizer.quantize`` with the scales that the search begins with."""
    return partial(quantize, optimize=False)


def _packed(init: Callable[..., None]) -> Callable[..., None]:
    """``WeightQBitsTensor.__init__``, which packs tensors without values as well."""

    def pack(
        self: Any, qtype: Any, axis: Any, group_size: Any, size: Any, stride: Any, data: Any, *others: Any
    ) -> None:
        if type(data) is AbstractTensor:
            data = import_module("optimum.quanto.tensor.packed").PackedTensor.pack(data, qtype.bits)
        init(self, qtype, axis, group_size, size, stride, data, *others)

    return pack


#: Kind of cache -> file, class and method of its package, and what makes another method of that.
_INSTEAD: Mapping[str, tuple[str, str, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = MappingProxyType(
    {
        "hqq": ("hqq.core.quantize", "Quantizer", "quantize", _without_search),
        "quanto": ("optimum.quanto.tensor.weights.qbits", "WeightQBitsTensor", "__init__", _packed),
    }
)
