"""What formulas share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from thoplw.record import Call, TensorSpec, Work

Formula = Callable[[Call], Work]

#: Operator (``library.name``) -> formula, or ``None`` for an operator that is free.
Table = Mapping[str, Formula | None]


#: Multiply-accumulates of real numbers in one of complex numbers: ``(a + bi)(c + di) = (ac - bd) + (ad + bc)i``. A
#: kernel may do with three and more additions, as torch's convolutions do; the definition has four.
_COMPLEX = 4

_COMPLEX_TYPES = frozenset({"complex32", "complex64", "complex128"})


def is_complex(spec: object) -> bool:
    """Whether this is a tensor of complex numbers."""
    return isinstance(spec, TensorSpec) and spec.dtype in _COMPLEX_TYPES


def takes_complex(call: Call) -> bool:
    """Whether a tensor among the arguments is of complex numbers."""
    return not _COMPLEX_TYPES.isdisjoint([spec.dtype for spec in call.inputs])


def real_products(call: Call) -> int:
    """How many multiply-accumulates of real numbers one of this call's is: 4 if its tensors are complex, else 1."""
    return _COMPLEX if takes_complex(call) else 1


def contraction(call: Call, macs: int, other: int = 0) -> Work:
    """Work of ``macs`` multiply-accumulates, and of ``other`` additions, of the numbers that the call is given."""
    times = real_products(call)
    return Work(macs=macs * times, flops=2 * macs * times + other * (1 if times == 1 else 2))


def elements(call: Call) -> int:
    """Number of elements of the (first) output."""
    outputs = call.outputs
    return outputs[0].numel if outputs else 0


def per_output(flops: int, call: Call) -> Work:
    """Return work of some floating-point operations for each element of all outputs."""
    return Work(flops=flops * sum(map(stored_elements, call.outputs)))


def stored_elements(spec: TensorSpec) -> int:
    """Number of elements of a tensor; of a sparse one, which has no strides, those that are stored."""
    return spec.numel if spec.strides or not spec.shape else int(spec.numel * spec.density)


def product(sizes: object, rank: int) -> int:
    """Number of elements of a window given as one number for each of ``rank`` dimensions, or one for all."""
    if isinstance(sizes, int):
        return int(sizes**rank)
    if isinstance(sizes, tuple):
        return int(math.prod(sizes) ** (rank if len(sizes) == 1 else 1))
    raise TypeError(f"a window is a number or a tuple of numbers, not {sizes!r}")
