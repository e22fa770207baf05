"""What a tensor looks like, without the tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

#: What an operator returned, in its own nesting: ``None``, a number, a spec, or a tuple of these.
Nested = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Shape, dtype (``"float32"``) and strides of a tensor.

    Attributes:
        density: what part of a mask is true, as far as that can be known without values: a one-hot encoding over 8
            classes is nonzero in an eighth. Of indices: what part of them points at one place, if they spread evenly.
            Of sparse tensors, which have no strides: what part of the elements is stored.
        values: what is in it, where that decides on what an operator costs, and is known: where packed sequences end.
        numel: number of elements.
    """

    shape: tuple[int, ...]
    dtype: str
    strides: tuple[int, ...]
    density: Fraction | int = field(default=1, repr=False)
    values: tuple[int, ...] | None = field(default=None, repr=False)
    numel: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Worked out once for what is asked of every weight that has this spec.
        object.__setattr__(self, "numel", math.prod(self.shape))


def specs_in(value: Nested) -> Iterator[TensorSpec]:
    """Every :class:`TensorSpec` in nested tuples, lists and mappings, in order."""
    if isinstance(value, TensorSpec):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from specs_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from specs_in(item)
