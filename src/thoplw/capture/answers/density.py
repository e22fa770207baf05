"""Track which part of a mask is true. For example, an eighth of a one-hot encoding over 8 classes is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.record import Call, TensorSpec

#: The index of the output that has a density, and the density; ``None`` if none is known.
Density = tuple[int, Fraction | int] | None


def density_of(x: torch.Tensor) -> Fraction | int:
    """Return the part of a mask that is true; 1 if that is not known."""
    return x.spec.density if type(x) is AbstractTensor else 1


def density_after(target: str, args: tuple[Any, ...]) -> Density:
    """Return which output of an operator has a density, and the density, from recorded arguments."""
    density = DENSITIES.get(target)
    if density is None or not args:
        return None
    first = args[0]
    if isinstance(first, tuple) and first:  # of several tensors that are stacked
        first = next((each for each in first if each.density != 0), first[0])
    return density(first, args) if isinstance(first, TensorSpec) else None


def with_density(specs: Specs, call: Call, position: int, density: Fraction | int) -> Call:
    """Return the record with the density of one output."""
    outputs = list(call.output) if isinstance(call.output, tuple) else [call.output]
    outputs[position] = specs.intern(replace(outputs[position], density=density))
    return replace(call, output=tuple(outputs) if isinstance(call.output, tuple) else outputs[0])


def _kept_density(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    """The output has the values of the input, or compares each of them with a number."""
    return (0, x.density) if x.density != 1 else None


def _equal(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    return None if x.density == 0 and args[1] == 0 else _kept_density(x, args)


def _nowhere(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    """No value is taken to be NaN or infinite."""
    return 0, 0


def _still_nowhere(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    """What a mask has none of, a reduction of it or a union of two has none of."""
    masks = [each for each in args if isinstance(each, TensorSpec)]
    return (0, 0) if all(each.density == 0 and each.numel for each in masks) else None


def _one_hot(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    if len(args) < 2 or args[1] < 1:
        return None
    return 0, x.density if x.density != 1 else Fraction(1, args[1])


def _scattered(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    """Ones are scattered, usually into zeros."""
    known = args[3] == 1 and isinstance(args[2], TensorSpec) and args[2].numel and x.numel
    return (0, Fraction(args[2].numel, x.numel)) if known else None


def _positive(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    return _kept_density(x, args) if args[1] == 0 else None


def _chosen(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    """The indices of the largest values: each class is taken to be chosen equally often."""
    several = _size(x, args[2] if len(args) > 2 else -1)
    return (1, Fraction(1, several)) if several else None


def _largest(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    several = _size(x, args[1]) if len(args) > 1 and args[1] is not None else 0
    return (0, Fraction(1, several)) if several else None


def _extreme(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    """The indices along a dimension, beside the values; none of two tensors, or of a whole tensor."""
    several = _size(x, args[1]) if len(args) > 1 and isinstance(args[1], int) else 0
    return (1, Fraction(1, several)) if several else None


def _either(mask: TensorSpec, args: tuple[Any, ...]) -> Density:
    """Whether one of several is true, of which no two are true at once: a token chooses different experts."""
    if mask.density == 0:
        return 0, 0
    dims = _dims(mask, args)
    several = math.prod(mask.shape[dim] for dim in dims)
    return (0, min(Fraction(1), mask.density * Fraction(several))) if dims and mask.density != 1 else None


def _added(mask: TensorSpec, args: tuple[Any, ...]) -> Density:
    """As :func:`_either`, as numbers. Summed over all tokens, it is the part of the classes that get any token.

    This is every class, except that some models have one class more than experts.
    """
    dims = _dims(mask, args)
    left = [size for dim, size in enumerate(mask.shape) if dim not in dims]
    if mask.density in (0, 1) or len(left) != 1:
        return _either(mask, args)
    experts = 1 / Fraction(mask.density)
    return (0, Fraction(experts, left[0])) if left[0] == experts + 1 else None


def _dims(x: TensorSpec, args: tuple[Any, ...]) -> set[int]:
    """Return the dimensions over which a reduction goes; nothing if it goes over all."""
    dims = args[1] if len(args) > 1 and args[1] is not None else ()
    return {dim % len(x.shape) for dim in ((dims,) if isinstance(dims, int) else dims) if x.shape}


def _size(x: TensorSpec, dim: int) -> int:
    """Return the size of a dimension; 0 of a tensor that has none."""
    return x.shape[dim] if x.shape else 0


#: Operator -> a function that returns which output has a density, and the density. A product with another mask, such as
#: the capacity of an expert, is taken to leave the density as it is.
DENSITIES: Mapping[str, Callable[[TensorSpec, tuple[Any, ...]], Density]] = MappingProxyType(
    {
        **{
            f"aten.{name}": _kept_density
            for name in (
                "_to_copy alias bool clone contiguous detach expand flatten index mul permute reshape select "
                "slice squeeze stack t to transpose unsqueeze view"
            ).split()
        },
        **{f"aten.{name}": _nowhere for name in ("isinf", "isnan", "isneginf", "isposinf")},
        **{f"aten.{name}": _still_nowhere for name in "__or__ all bitwise_or count_nonzero logical_or mean".split()},
        "aten.any": _either,
        "aten.argmax": _largest,
        "aten.argmin": _largest,
        "aten.eq": _equal,
        "aten.greater": _positive,
        "aten.gt": _positive,
        "aten.max": _extreme,
        "aten.min": _extreme,
        "aten.one_hot": _one_hot,
        "aten.scatter": _scattered,
        "aten.sort": _kept_density,
        "aten.sum": _added,
        "aten.topk": _chosen,
    }
)
