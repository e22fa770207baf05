"""The shape, dtype and strides of a tensor, without the tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

from thoplw.errors import InputError

#: What an operator returned, in its own nesting: ``None``, a number, a spec, or a tuple of these.
Nested = Any

_SIZES = {
    1: (
        "bool uint8 int8 quint8 qint8 quint4x2 quint2x4 bits1x8 bits2x4 bits4x2 bits8 "
        "uint1 uint2 uint3 uint4 uint5 uint6 uint7 int1 int2 int3 int4 int5 int6 int7 "
        "float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu"
    ),
    2: "float16 bfloat16 int16 uint16 bits16",
    4: "float32 int32 uint32 qint32 complex32 bcomplex32",
    8: "float64 int64 uint64 complex64",
    16: "complex128",
}

#: Name of a dtype -> bytes that torch keeps for an element of it.
ITEM_SIZES: Mapping[str, int] = MappingProxyType(
    {name: size for size, names in _SIZES.items() for name in names.split()}
)

#: Short name of a dtype, as people write it -> its name.
SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "fp64": "float64", "fp8": "float8_e4m3fn"}
)


# Nothing changes a spec, as Final tells type checkers. Frozen it is not: each one would take twice as long to make.
@dataclass(slots=True, kw_only=True, repr=False, unsafe_hash=True)
class TensorSpec:
    """Shape, dtype (``"float32"``) and strides of a tensor.

    Attributes:
        density: what part of a mask is true, as far as that can be known without values: a one-hot encoding over 8
            classes is nonzero in an eighth. Of indices: what part of them points at one place, if they spread evenly.
            Of sparse tensors, which have no strides: what part of the elements is stored. Of the counts of blocks of
            flex attention's mask: what part of the scores is in these blocks.
        values: its values, if an operator's cost depends on them and they are known: where packed sequences end.
        numel: number of elements.
    """

    shape: Final[tuple[int, ...]]
    dtype: Final[str]
    strides: Final[tuple[int, ...]]
    density: Final[Fraction | int] = 1
    values: Final[tuple[int, ...] | None] = None
    numel: Final[int] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # Computed once, as many weights share a spec.
        self.numel = math.prod(self.shape)  # type: ignore[misc] # this is where it is set

    def __repr__(self) -> str:
        """All that tells it from others, without what most do not have."""
        density = "" if self.density == 1 else f", density={self.density!r}"
        values = "" if self.values is None else f", values={self.values!r}"
        return f"TensorSpec(shape={self.shape!r}, dtype={self.dtype!r}, strides={self.strides!r}{density}{values})"

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, those in the same memory too, as ``torch.Tensor.nbytes``.

        Raises:
            InputError: see :attr:`itemsize`.
        """
        return self.numel * self.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of one element.

        Raises:
            InputError: the dtype is of a torch that is newer than the table of sizes.
        """
        try:
            return ITEM_SIZES[self.dtype]
        except KeyError:
            raise InputError(
                f"a tensor of shape {self.shape} has dtype {self.dtype!r}, whose size in bytes thoplw does not know: "
                "please report it; until then, add it to ITEM_SIZES in thoplw/record/spec.py"
            ) from None


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
