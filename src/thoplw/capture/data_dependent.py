"""Answer operators whose result depends on values: an abstract run has none.

For example ``x[mask]`` has as many rows as ``mask`` has places that hold. Each assumption is a sentence, for the
report, and a function from the operator's arguments to what it returns then. Positions come back as real tensors, so
that they can go on steering the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from thoplw.capture.abstract import AbstractTensor, abstract
from thoplw.capture.density import density_of
from thoplw.capture.known_values import KnownValues
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import target_of
from thoplw.capture.run import Run
from thoplw.capture.torch_internals import real_type
from thoplw.errors import DataDependentError
from thoplw.record import TensorSpec

Assume = Callable[..., Any]

#: What is assumed of values, in words, and the values that follow; nothing where none are.
Taken = tuple[str, torch.Tensor] | None

#: Said everywhere, as the user may have set another default device.
_HERE = torch.device("cpu")

#: What these return is the value of a tensor of one element.
_READS = frozenset({"aten._local_scalar_dense", "aten.is_nonzero"})

#: What these read of the model's own weights is known: a number, or whether two are equal, as TorchScript asks of the
#: constants of a graph.
_READS_OF_WEIGHTS = frozenset({"aten._local_scalar_dense", "aten.equal"})


class Decisions:
    """The assumptions that one run makes in place of values.

    A run hands itself to each method, and is not kept: two objects that keep each other stay until garbage is
    collected, and collection is off meanwhile.
    """

    def __init__(self, values: KnownValues) -> None:
        self._values = values
        self._positions = Positions()

    def answer(self, run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return an assumed output of an operator that depends on values.

        Raises:
            DataDependentError: nothing is assumed of it.
        """
        target = target_of(func)
        if target in _READS and type(args[0]) is AbstractTensor and args[0].assumed is not None:
            return args[0].assumed().item()
        if target in _READS_OF_WEIGHTS and all(map(partial(self._is_weight, run), args)):
            return run.execute(func, args, kwargs)
        if target == "aten.masked_select":
            if args[1].dtype is not torch.bool:
                raise RuntimeError(f"masked_select takes a mask of torch.bool, and this one is of {args[1].dtype}")
            with run:  # an index by a mask, which may be known
                x, mask = torch.broadcast_tensors(*args[:2])  # type: ignore[no-untyped-call] # torch's own gap
                return x[mask]
        statement, assumed = self._assume(target, args, kwargs)
        if assumed is NotImplemented:
            given = ", ".join(str(tuple(tensor.shape)) for tensor in tensors_in(args))
            raise run.refuse(
                DataDependentError(
                    f"{func} {run.where()} needs the values of tensors of shape {given}, and this run computes only "
                    "shapes. execute=True counts it on real tensors."
                )
            )
        if statement:
            run.assume(statement, target)
        output = map_tensors(assumed, partial(_made_up, run))
        run.record(run.call(func, args, kwargs, output))
        return output

    def _is_weight(self, run: Run, value: Any) -> bool:
        """Whether this is a weight of the model that no operator has written to."""
        return id(value) in run.weights.tensors and self._values.has(value)

    def _assume(self, target: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Any]:
        """Return the assumption in words, and the output; ``NotImplemented`` as output if there is no assumption."""
        if target == "aten.nonzero":
            return kept(args[0]), self._positions(args[0])
        if target not in ASSUMPTIONS:
            return "", NotImplemented
        statement, assume = ASSUMPTIONS[target]
        return statement, assume(*args, **kwargs)

    def without_masks(
        self, run: Run, x: torch.Tensor, indices: Sequence[torch.Tensor | None]
    ) -> list[torch.Tensor | None]:
        """Return indices with every boolean mask replaced by the positions where it is true, or may be.

        Raises:
            IndexError: a mask has another shape than the dimensions that it is for.
        """
        plain: list[torch.Tensor | None] = []
        for index in indices:
            if index is not None and _is_mask(index):
                _check_mask(index, x, len(plain))
            if index is None or not _is_mask(index):
                plain.append(index)
            elif self._values.has(index):
                plain += index.nonzero().unbind(1)
            else:
                run.assume(kept(index), "aten.index")
                plain += [_made_up(run, column) for column in self._positions(index).unbind(1)]
        return plain


def _check_mask(mask: torch.Tensor, x: torch.Tensor, first: int) -> None:
    taken = tuple(x.shape[first : first + mask.dim()])
    if tuple(mask.shape) != taken:
        raise IndexError(
            f"a mask of shape {tuple(mask.shape)} at dimension {first} of a tensor of shape {tuple(x.shape)} does not "
            "fit"
        )


def has_masks(indices: Sequence[torch.Tensor | None]) -> bool:
    """Whether a boolean mask is among some indices."""
    return any(index is not None and _is_mask(index) for index in indices)


def take_for_granted(run: Run, target: str, statement: str, values: torch.Tensor) -> torch.Tensor:
    """Return assumed values of an output, and note the assumption, as somebody now reads them."""
    run.assume(statement, target)
    return values


def _is_mask(index: torch.Tensor) -> bool:
    return index.dtype in (torch.bool, torch.uint8)


def _made_up(run: Run, tensor: torch.Tensor) -> torch.Tensor:
    """Turn an assumed result into what the model sees: meta tensors become abstract."""
    return abstract(run.specs.of(tensor), run.device) if tensor.is_meta else tensor.to(run.device)


class Positions:
    """Positions at which masks are assumed to be true: the first ones, as many as the density says.

    Counts are whole, and what one mask has too little of the next one like it has more of, so that experts who share
    1,024 tokens get 1,024 of them together, however many they are.
    """

    def __init__(self) -> None:
        self._left: dict[TensorSpec, Fraction | int] = {}

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """``[*] -> [count, rank]``."""
        if density_of(x) == 1:
            return first_positions(tuple(x.shape), x.numel())
        assert type(x) is AbstractTensor  # or nothing would be known of its density
        if x.places is None:  # a mask that is asked again answers the same
            due = self._left.get(x.spec, 0) + x.spec.numel * x.spec.density
            x.places = int(due)
            self._left[x.spec] = due - x.places
        return first_positions(tuple(x.shape), x.places)


def first_positions(shape: tuple[int, ...], count: int) -> torch.Tensor:
    """The first positions in a tensor of some shape, row by row, laid out as torch does: ``[count, rank]``.

    More than memory is for have a shape only, on the meta device.
    """
    if count > _MANY:
        return torch.empty(len(shape), count, dtype=torch.int64, device="meta").t()
    rest = torch.arange(count, device=_HERE)
    columns = []
    for size in reversed(shape):
        columns.append(rest % size)
        rest = rest // size
    return torch.stack(columns[::-1]).t() if columns else rest.new_empty(count, 0)


def _boxes(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """``[N, 4] [N] -> [N]``."""
    return torch.arange(boxes.shape[0], device=_HERE)


def _distinct(x: torch.Tensor, *options: Any, **more: Any) -> tuple[torch.Tensor, ...]:
    """``[*] -> [N] [*] [N]``: values, and for each element of the input where it went, and how often each came."""
    values = torch.empty(x.numel(), dtype=x.dtype, device="meta")
    places = torch.empty(tuple(x.shape), dtype=torch.int64, device="meta")
    return values, places, torch.empty(x.numel(), dtype=torch.int64, device="meta")


def _distinct_slices(
    x: torch.Tensor, dim: int, ordered: bool = True, *options: Any, **more: Any
) -> tuple[torch.Tensor, ...]:
    """The same of slices along a dimension, with places and counts for each, asked for or not."""
    places, counts = (torch.empty(x.shape[dim], dtype=torch.int64, device="meta") for _ in range(2))
    return torch.empty(tuple(x.shape), dtype=x.dtype, device="meta"), places, counts


def _distinct_neighbours(
    x: torch.Tensor, inverse: bool = False, counts: bool = False, dim: int | None = None
) -> tuple[torch.Tensor, ...]:
    """The same of neighbours, or of neighbouring slices."""
    if dim is not None:
        return _distinct_slices(x, dim)
    values, places, times = _distinct(x)
    nothing = torch.empty(0, dtype=torch.int64, device="meta")
    return values, places if inverse else nothing, times if counts else nothing


def _least_squares(a: torch.Tensor, b: torch.Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """``[*, M, N] [*, M, K] -> [*, N, K]``, residuals, ranks and singular values, those that the driver gives.

    Residuals of ``gelsd`` and ``gelss`` are there if all ranks are full: with these the values do decide.
    """
    driver = driver or "gelsy"
    *batch, rows, columns = a.shape
    if driver in ("gelsd", "gelss") and rows > columns:
        return NotImplemented
    is_vectors = b.dim() == a.dim() - 1
    sides = 1 if is_vectors else b.shape[-1]
    # The kernel works in a place for the right sides, column by column, where the solution stays.
    place = torch.empty(*batch, sides, max(rows, columns), dtype=a.dtype, device="meta").mT[..., :columns, :]
    residuals = torch.empty((*batch, sides) if driver == "gels" and rows > columns else 0, dtype=a.dtype, device="meta")
    ranks = torch.empty(0 if driver == "gels" else batch, dtype=torch.int64, device="meta")
    values = torch.empty((*batch, min(rows, columns)) if driver in ("gelsd", "gelss") else 0, device="meta")
    return place.squeeze(-1) if is_vectors else place, residuals, ranks, values.to(real_type(a.dtype))


def _alignments(probabilities: torch.Tensor, targets: torch.Tensor, steps: Any, lengths: Any, *options: Any) -> Any:
    """``[T, N, C] [N, S] -> [N] [N, T, 2 S + 1]``: the longest target decides, and is known as a rule."""
    if isinstance(lengths, torch.Tensor):
        if not _has_values(lengths):
            return NotImplemented
        lengths = lengths.tolist()
    time, batch = probabilities.shape[:2]
    longest = max(lengths, default=0)
    return (
        torch.empty(batch, dtype=probabilities.dtype, device="meta"),
        torch.empty(batch, time, 2 * longest + 1, dtype=probabilities.dtype, device="meta"),
    )


def _histogram(x: torch.Tensor, weights: torch.Tensor | None = None, minlength: int = 0) -> Any:
    """``[N] -> [minlength]``: as many of each kind, where it is known how many kinds there are."""
    if weights is not None or not minlength or density_of(x) != Fraction(1, minlength):
        return NotImplemented
    return _spread(x.numel(), minlength)


def _spread(total: int, parts: int) -> torch.Tensor:
    """Split a total into whole numbers that differ by at most one."""
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
    sizes = pack_padded_sequence(torch.empty(*x.shape[:2], 1, device=_HERE), lengths, batch_first).batch_sizes
    return torch.empty(int(lengths.sum()), *x.shape[2:], dtype=x.dtype, device="meta"), sizes


def _padded(x: torch.Tensor, sizes: torch.Tensor, batch_first: bool, value: float, total: int) -> Any:
    """``[sum of lengths, *] [T] -> [T, N, *] [N]``: the other way round."""
    if not _has_values(sizes):
        return NotImplemented
    packed = PackedSequence(torch.empty(x.shape[0], 1, device=_HERE), sizes)
    shape, lengths = pad_packed_sequence(packed, batch_first, value, None if total < 0 else total)
    return torch.empty(*shape.shape[:2], *x.shape[1:], dtype=x.dtype, device="meta"), lengths


def _has_values(tensor: torch.Tensor) -> bool:
    return type(tensor) is not AbstractTensor and not tensor.is_meta


_EVERY = "every candidate is kept"

_DISTINCT = "all values are distinct"

#: Instead of that, of a mask whose density is known.
_EVENLY = "routing is spread evenly"


def kept(mask: torch.Tensor) -> str:
    """Return the assumption about the positions at which a mask is true, in words."""
    return _EVERY if density_of(mask) == 1 else _EVENLY


#: How many positions are made up, at most: they take 8 bytes for each dimension.
_MANY = 2**26

#: How many values are made up, at most: counts are of images and of experts.
_FEW = 2**12


def values_after(target: str, args: tuple[Any, ...], output: Any) -> Taken:
    """Return assumed values of an output, and the assumption in words, for when the model reads them."""
    values = VALUES.get(target)
    if values is None or not (args and isinstance(args[0], TensorSpec) and isinstance(output, TensorSpec)):
        return None
    return values(args[0], output)


def _counts(mask: TensorSpec, output: TensorSpec) -> Taken:
    """Count how often a mask is true, evenly spread over the output."""
    is_mask = mask.dtype == "bool" or mask.density != 1
    if not is_mask or output.dtype != "int64" or not 0 < output.numel <= _FEW:
        return None
    counts = _spread(round(mask.numel * mask.density), output.numel)
    return _EVERY if mask.density == 1 else _EVENLY, counts.view(output.shape)


def _everywhere(mask: TensorSpec, output: TensorSpec) -> Taken:
    if mask.dtype != "bool" or mask.density != 1 or output.shape:
        return None
    return "a mask holds everywhere", torch.tensor(True, device=_HERE)


def _somewhere(mask: TensorSpec, output: TensorSpec) -> Taken:
    """Assume that every expert gets a token; other code asks how many."""
    return (_EVENLY, torch.tensor(True, device=_HERE)) if mask.density != 1 and not output.shape else None


#: Operator -> the values that its output is taken to have.
VALUES: Mapping[str, Callable[[TensorSpec, TensorSpec], Taken]] = MappingProxyType(
    {"aten.all": _everywhere, "aten.any": _somewhere, "aten.sum": _counts}
)


#: Operator -> what is assumed (nothing, where it could not be otherwise), and what it returns then; ``aten.nonzero``
#: has :class:`Positions`. Of a number that is read nothing is assumed: once it is a Python number, there is no telling
#: whether it becomes a factor or a length.
ASSUMPTIONS: Mapping[str, tuple[str, Assume]] = MappingProxyType(
    {
        "aten._ctc_loss": ("", _alignments),
        "aten._is_all_true": ("", _holds),
        "aten._pack_padded_sequence": ("", _packed),
        "aten._pad_packed_sequence": ("", _padded),
        "aten._unique2": (_DISTINCT, _distinct),
        "aten.bincount": (_EVENLY, _histogram),
        "aten.linalg_lstsq": ("", _least_squares),
        "aten.unique_consecutive": (_DISTINCT, _distinct_neighbours),
        "aten.unique_dim": (_DISTINCT, _distinct_slices),
        "torchvision.nms": (_EVERY, _boxes),
    }
)
