"""What an abstract run assumes where values would decide on a shape.

Each assumption is a sentence, for the report, and a function from the operator's arguments to what it returns then.
Positions come back as real tensors, so that they can go on steering the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor
from thoplw.record import TensorSpec

Assume = Callable[..., Any]

#: Which output has a density, and which; nothing where none is known.
Density = tuple[int, Fraction | int] | None

#: What is assumed, in words, and the values that follow; nothing where none are.
Values = tuple[str, torch.Tensor] | None

#: Said everywhere, as the user may have set another default device.
_HERE = torch.device("cpu")


class Positions:
    """Where masks hold, for all that is known of them: in the first places, in as many as their density says.

    Counts are whole, and what one mask has too little of the next one like it has more of, so that experts who share
    1,024 tokens get 1,024 of them together, however many they are.
    """

    def __init__(self) -> None:
        self._left: dict[TensorSpec, Fraction | int] = {}

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """``[*] -> [count, rank]``."""
        every = torch.ones(tuple(x.shape), dtype=torch.bool, device=_HERE).nonzero()
        if density_of(x) == 1:
            return every
        assert type(x) is AbstractTensor  # or nothing would be known of its density
        if x.places is None:  # a mask that is asked again answers the same
            due = self._left.get(x.spec, 0) + x.spec.numel * x.spec.density
            x.places = int(due)
            self._left[x.spec] = due - x.places
        return every[: x.places]


def density_of(x: torch.Tensor) -> Fraction | int:
    """What part of a mask is true, for all that is known."""
    return x.spec.density if type(x) is AbstractTensor else 1


def density_after(target: str, args: tuple[Any, ...]) -> Density:
    """Which output of an operator has a density, and which, from arguments as records have them."""
    density = DENSITIES.get(target)
    if density is None or not args:
        return None
    first = args[0]
    if isinstance(first, tuple) and first:  # of several tensors that are stacked
        first = first[0]
    return density(first, args) if isinstance(first, TensorSpec) and first.shape else None


def _kept_density(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    """What comes out holds the values that went in, or says of each whether it is this or that."""
    return (0, x.density) if x.density != 1 else None


def _one_hot(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    if len(args) < 2 or args[1] < 1:
        return None
    return 0, x.density if x.density != 1 else Fraction(1, args[1])


def _scattered(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    """Ones, into zeros as a rule."""
    return (0, Fraction(args[2].numel, x.numel)) if args[3] == 1 and isinstance(args[2], TensorSpec) else None


def _positive(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    return _kept_density(x, args) if args[1] == 0 else None


def _chosen(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    """Indices of the best."""
    return 1, Fraction(1, x.shape[args[2] if len(args) > 2 else -1])


def _largest(x: TensorSpec, args: tuple[Any, ...]) -> Density:
    return (0, Fraction(1, x.shape[args[1]])) if len(args) > 1 and args[1] is not None else None


def _either(mask: TensorSpec, args: tuple[Any, ...]) -> Density:
    """Whether one of several holds, of which no two hold at once: a token chooses different experts."""
    dims = _dims(mask, args)
    several = math.prod(mask.shape[dim] for dim in dims)
    return (0, min(Fraction(1), mask.density * Fraction(several))) if dims and mask.density != 1 else None


def _added(mask: TensorSpec, args: tuple[Any, ...]) -> Density:
    """The same in numbers. Of all tokens: what part of the classes anything falls into.

    That is all of them, but for the one that some models have more than experts.
    """
    dims = _dims(mask, args)
    left = [size for dim, size in enumerate(mask.shape) if dim not in dims]
    if mask.density == 1 or len(left) != 1:
        return _either(mask, args)
    experts = 1 / Fraction(mask.density) if mask.density else 0
    return (0, Fraction(experts, left[0])) if left[0] == experts + 1 else None


def _dims(x: TensorSpec, args: tuple[Any, ...]) -> set[int]:
    """The dimensions that a reduction is over; none where it is over all."""
    dims = args[1] if len(args) > 1 and args[1] is not None else ()
    return {dim % len(x.shape) for dim in ((dims,) if isinstance(dims, int) else dims)}


#: Operator -> which of its outputs has a density, and which. A product with another mask (the capacity of an expert,
#: say) is taken to leave it.
DENSITIES: Mapping[str, Callable[[TensorSpec, tuple[Any, ...]], Density]] = MappingProxyType(
    {
        **{
            f"aten.{name}": _kept_density
            for name in (
                "_to_copy alias bool clone contiguous detach eq expand flatten index mul permute reshape select "
                "slice squeeze stack t to transpose unsqueeze view"
            ).split()
        },
        "aten.any": _either,
        "aten.argmax": _largest,
        "aten.greater": _positive,
        "aten.gt": _positive,
        "aten.one_hot": _one_hot,
        "aten.scatter": _scattered,
        "aten.sum": _added,
        "aten.topk": _chosen,
    }
)


def _boxes(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """``[N, 4] [N] -> [N]``."""
    return torch.arange(boxes.shape[0], device=_HERE)


def _distinct(x: torch.Tensor, *options: Any, **more: Any) -> tuple[torch.Tensor, ...]:
    """``[*] -> [N] [*] [N]``: values, and for each element of the input where it went, and how often each came."""
    values = torch.empty(x.numel(), dtype=x.dtype, device="meta")
    places = torch.empty(tuple(x.shape), dtype=torch.int64, device="meta")
    return values, places, torch.empty(x.numel(), dtype=torch.int64, device="meta")


def _histogram(x: torch.Tensor, weights: torch.Tensor | None = None, minlength: int = 0) -> Any:
    """``[N] -> [minlength]``: as many of each kind, where it is known how many kinds there are."""
    if weights is not None or not minlength or density_of(x) != Fraction(1, minlength):
        return NotImplemented
    return _spread(x.numel(), minlength)


def _spread(total: int, parts: int) -> torch.Tensor:
    """Whole numbers that are as equal as can be."""
    each, rest = divmod(total, parts)
    counts = torch.full((parts,), each, device=_HERE)
    counts[:rest] += 1
    return counts


def _holds(x: torch.Tensor) -> torch.Tensor:
    """``[*] -> []``: a check that fails would end the run."""
    return torch.tensor(True, device=_HERE)


def _packed(x: torch.Tensor, lengths: torch.Tensor, batch_first: bool) -> Any:
    """``[T, N, *] [N] -> [sum of lengths, *] [T]``: the lengths decide, and are known as a rule."""
    if not _has_values(lengths):
        return NotImplemented
    _, sizes = torch._pack_padded_sequence(torch.empty(*x.shape[:2], 1, device=_HERE), lengths, batch_first)
    return torch.empty(int(lengths.sum()), *x.shape[2:], dtype=x.dtype, device="meta"), sizes


def _padded(x: torch.Tensor, sizes: torch.Tensor, batch_first: bool, value: float, total: int) -> Any:
    """``[sum of lengths, *] [T] -> [T, N, *] [N]``: the other way round."""
    if not _has_values(sizes):
        return NotImplemented
    shape, lengths = torch._pad_packed_sequence(
        torch.empty(x.shape[0], 1, device=_HERE), sizes, batch_first, value, total
    )
    return torch.empty(*shape.shape[:2], *x.shape[1:], dtype=x.dtype, device="meta"), lengths


def _has_values(tensor: torch.Tensor) -> bool:
    return type(tensor) is not AbstractTensor and not tensor.is_meta


_EVERY = "every candidate is kept"

#: Instead of that, of a mask whose density is known.
_EVENLY = "routing is spread evenly"


def kept(mask: torch.Tensor) -> str:
    """What is assumed of the positions where a mask holds."""
    return _EVERY if density_of(mask) == 1 else _EVENLY


#: How many values are made up, at most: counts are of images and of experts.
_FEW = 2**12


def values_after(target: str, args: tuple[Any, ...], output: Any) -> Values:
    """What the values of an output are taken for, should they be asked for, and the words for that."""
    values = VALUES.get(target)
    if values is None or not (args and isinstance(args[0], TensorSpec) and isinstance(output, TensorSpec)):
        return None
    return values(args[0], output)


def _counts(mask: TensorSpec, output: TensorSpec) -> Values:
    """How often a mask holds, in every row of it."""
    is_mask = mask.dtype == "bool" or mask.density != 1
    if not is_mask or output.dtype != "int64" or not 0 < output.numel <= _FEW:
        return None
    counts = _spread(round(mask.numel * mask.density), output.numel)
    return _EVERY if mask.density == 1 else _EVENLY, counts.view(output.shape)


def _everywhere(mask: TensorSpec, output: TensorSpec) -> Values:
    if mask.dtype != "bool" or mask.density != 1 or output.shape:
        return None
    return "a mask holds everywhere", torch.tensor(True, device=_HERE)


def _somewhere(mask: TensorSpec, output: TensorSpec) -> Values:
    """Some token goes to every expert; to how many places a mask points is asked of it elsewhere."""
    return (_EVENLY, torch.tensor(True, device=_HERE)) if mask.density != 1 and not output.shape else None


#: Operator -> the values that its output is taken to have.
VALUES: Mapping[str, Callable[[TensorSpec, TensorSpec], Values]] = MappingProxyType(
    {"aten.all": _everywhere, "aten.any": _somewhere, "aten.sum": _counts}
)


#: Operator -> what is assumed (nothing, where it could not be otherwise), and what it returns then; ``aten.nonzero``
#: has :class:`Positions`. Of a number that is read nothing is assumed: once it is a Python number, there is no telling
#: whether it becomes a factor or a length.
ASSUMPTIONS: Mapping[str, tuple[str, Assume]] = MappingProxyType(
    {
        "aten._is_all_true": ("", _holds),
        "aten._pack_padded_sequence": ("", _packed),
        "aten._pad_packed_sequence": ("", _padded),
        "aten._unique2": ("all values are distinct", _distinct),
        "aten.bincount": (_EVENLY, _histogram),
        "torchvision.nms": (_EVERY, _boxes),
    }
)
