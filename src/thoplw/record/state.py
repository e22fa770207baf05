"""A tensor that one call of a model leaves to the next, such as the keys that a cache holds for a layer."""

from __future__ import annotations

from typing import NamedTuple

from thoplw.record.spec import TensorSpec


class Held(NamedTuple):
    """A tensor of a cache.

    Attributes:
        layer: the first index on the way to it: ``3`` for ``cache.layers[3].keys``; -1 where there is none.
        owner: the class of the object that holds it, ``DynamicLayer`` say; of a plain list of tensors its name.
        name: in that object: ``keys``, or ``states[0]`` where that is a list or a dictionary.
        spec: its shape and type.
        bytes: of the storage that it keeps alive, of which it may show a part; where other tensors of the cache lie in
            that too, its part of them, so that all parts add up to the storage.
    """

    layer: int
    owner: str
    name: str
    spec: TensorSpec
    bytes: int
