"""Answer operators whose result depends on values, which an abstract run does not have, by an assumption.

For example, ``x[mask]`` has as many rows as ``mask`` has true elements, and every element is assumed to be true. An
assumption is a sentence, for the report, and a function from the arguments of the operator to its assumed output.
Positions are returned as real tensors, so that they can go on steering the model.
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
from thoplw.capture.answers.density import density_of
from thoplw.capture.answers.known_values import KnownValues
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import places_of, target_of
from thoplw.capture.run import Run
from thoplw.capture.torch_internals import asked_by_a_check, real_type
from thoplw.errors import DataDependentError
from thoplw.record import TensorSpec
from thoplw.traffic.usage import EVENLY

Assume = Callable[..., Any]

#: An assumption in words, and the values that are assumed; ``None`` if nothing is assumed.
Taken = tuple[str, torch.Tensor] | None

#: The device of every tensor made here. It is always named, because the user may have set another default device.
_HERE = torch.device("cpu")

#: Else the model would raise an error.
_PASSED = "values pass the checks of torch's functions"

#: Comparisons that hold where a check of torch passes: weights of ``cov`` are not negative, and their sum is not 0.
_HOLD = frozenset({"aten.ge", "aten.ne"})

#: Operators that return the value of a tensor of one element.
_READS = frozenset({"aten._local_scalar_dense", "aten.is_nonzero"})


class Decisions:
    """The assumptions that one run makes in place of values.

    A run passes itself to each method, and no attribute refers to it: two objects that refer to each other would stay
    until garbage is collected, and collection is off during a run.
    """

    def __init__(self, values: KnownValues) -> None:
        self._values = values
        self._positions = Positions()

    def answer(self, run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return an assumed output of an operator that depends on values.

        Raises:
            DataDependentError: there is no assumption for the operator.
        """
        if places := places_of(func):
            return self._answer_into(run, func, args, kwargs, places)
        target = target_of(func)
        if target in _READS and type(args[0]) is AbstractTensor and args[0].assumed is not None:
            return args[0].assumed().item()
        if target in _READS and density_of(args[0]) == 0:
            run.assume(_FINITE, target)
            return torch.zeros((), dtype=args[0].dtype, device=_HERE).item()
        if target in _READS and asked_by_a_check():
            run.assume(_PASSED, target)
            return False
        if target == "aten.equal":
            if all(map(partial(self._is_weight, run), args)):  # TorchScript asks this of the constants of a graph
                return run.execute(func, args, kwargs)
            if (equal := _are_equal(run, *args)) is not None:
                run.record(run.call(func, args, kwargs, equal))
                return equal
        if target == "aten.masked_select":
            if args[1].dtype is not torch.bool:
                raise RuntimeError(f"masked_select takes a mask of torch.bool, and this one is of {args[1].dtype}")
            with run:  # record it as an index by a mask, whose values may be known
                x, mask = torch.broadcast_tensors(*args[:2])  # type: ignore[no-untyped-call] # torch's own gap
                return x[mask]
        statement, assumed = self._assume(target, args, kwargs)
        if assumed is NotImplemented:
            given = ", ".join(str(tuple(tensor.shape)) for tensor in tensors_in(args))
            raise run.refuse(
                DataDependentError(
                    f"{func} {run.where()} needs the values of tensors of shape {given}, and this run computes only "
                    "shapes. execute=True counts it on real tensors"
                )
            )
        if statement:
            run.assume(statement, target)
        output = map_tensors(assumed, partial(_made_up, run))
        run.record(run.call(func, args, kwargs, output))
        return output

    def _answer_into(
        self, run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], places: Sequence[str]
    ) -> Any:
        """Answer without ``out=``, and make what is given there as large as the output."""
        plain = {name: value for name, value in kwargs.items() if name not in places}
        output = self.answer(run, func.overloadpacket.default, args, plain)
        self._values.lose(func, args, kwargs)
        outputs = output if isinstance(output, tuple) else (output,)
        filled = [run.reshaped(func, kwargs[name], each) for name, each in zip(places, outputs, strict=True)]
        return tuple(filled) if isinstance(output, tuple) else filled[0]

    def _is_weight(self, run: Run, value: Any) -> bool:
        """Whether this is a weight of the model that no operator has written to."""
        return id(value) in run.weights.tensors and self._values.has(value)

    def _assume(self, target: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Any]:
        """Return the assumption in words, and the output; ``NotImplemented`` as output if there is no assumption."""
        if target == "aten.nonzero":
            return kept(density_of(args[0])), self._positions(args[0])
        if target not in ASSUMPTIONS:
            return "", NotImplemented
        statement, assume = ASSUMPTIONS[target]
        return statement, assume(*args, **kwargs)

    def without_masks(
        self, run: Run, x: torch.Tensor, indices: Sequence[torch.Tensor | None]
    ) -> list[torch.Tensor | None]:
        """Return indices with every boolean mask replaced by the positions where it is true, or assumed to be.

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
                run.assume(kept(density_of(index)), "aten.index")
                plain += [_made_up(run, column) for column in self._positions(index).unbind(1)]
        return plain


def _are_equal(run: Run, left: torch.Tensor, right: torch.Tensor) -> bool | None:
    """Return whether two tensors are equal; ``None`` if that depends on values."""
    if left.shape != right.shape:
        return False
    if left is right:  # torch compares no values then, but looks for NaN
        return True
    if left.dtype is torch.bool and not left.shape and run.steps and run.steps[-1][0].target == "aten.new_ones":
        # So torch's C++ reads a flag, most often one that says that a check failed: the window of ``istft`` has gaps,
        # for example.
        run.assume(_PASSED, "aten.equal")
        return len(run.steps) > 1 and run.steps[-2][0].target in _HOLD
    return None


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
    """Note the assumption about an output, whose values somebody reads now, and return the assumed values."""
    run.assume(statement, target)
    return values


def _is_mask(index: torch.Tensor) -> bool:
    return index.dtype in (torch.bool, torch.uint8)


def _made_up(run: Run, tensor: torch.Tensor) -> torch.Tensor:
    """Turn an assumed output into what the model gets: meta tensors become abstract, others go to the device."""
    return abstract(run.specs.of(tensor), run.device) if tensor.is_meta else tensor.to(run.device)


class Positions:
    """Positions at which masks are assumed to be true: the first ones, as many as the density says.

    Counts are whole numbers. The fraction that one mask has too few is added to the next mask with the same spec. So
    experts that share 1,024 tokens get 1,024 of them together, however many experts there are.
    """

    def __init__(self) -> None:
        self._left: dict[TensorSpec, Fraction | int] = {}

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """``[*] -> [count, rank]``."""
        if density_of(x) == 1:
            return first_positions(tuple(x.shape), x.numel())
        assert type(x) is AbstractTensor  # other tensors have a density of 1
        if x.places is None:  # else this mask was asked before, and gets the same answer
            due = self._left.get(x.spec, 0) + x.spec.numel * x.spec.density
            x.places = int(due)
            self._left[x.spec] = due - x.places
        return first_positions(tuple(x.shape), x.places)


def first_positions(shape: tuple[int, ...], count: int) -> torch.Tensor:
    """Return the first positions in a tensor of some shape, row by row, laid out as torch does: ``[count, rank]``.

    If there are too many for memory, the result is on the meta device.
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
    """``[*] -> [N] [*] [N]``: the values, the index of each element among them, and how often each value came."""
    values = torch.empty(x.numel(), dtype=x.dtype, device="meta")
    places = torch.empty(tuple(x.shape), dtype=torch.int64, device="meta")
    return values, places, torch.empty(x.numel(), dtype=torch.int64, device="meta")


def _distinct_slices(
    x: torch.Tensor, dim: int, ordered: bool = True, *options: Any, **more: Any
) -> tuple[torch.Tensor, ...]:
    """As :func:`_distinct`, of slices along a dimension. Indices and counts are returned even if not asked for."""
    places, counts = (torch.empty(x.shape[dim], dtype=torch.int64, device="meta") for _ in range(2))
    return torch.empty(tuple(x.shape), dtype=x.dtype, device="meta"), places, counts


def _distinct_neighbours(
    x: torch.Tensor, inverse: bool = False, counts: bool = False, dim: int | None = None
) -> tuple[torch.Tensor, ...]:
    """As :func:`_distinct`, of neighbouring elements or slices."""
    if dim is not None:
        return _distinct_slices(x, dim)
    values, places, times = _distinct(x)
    nothing = torch.empty(0, dtype=torch.int64, device="meta")
    return values, places if inverse else nothing, times if counts else nothing


def _least_squares(a: torch.Tensor, b: torch.Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """``[*, M, N] [*, M, K] -> [*, N, K]``, residuals, ranks and singular values, as far as the driver returns them.

    ``gelsd`` and ``gelss`` return residuals only if all ranks are full. That depends on values, and is not assumed.
    """
    driver = driver or "gelsy"
    *batch, rows, columns = a.shape
    if driver in ("gelsd", "gelss") and rows > columns:
        return NotImplemented
    is_vectors = b.dim() == a.dim() - 1
    sides = 1 if is_vectors else b.shape[-1]
    # The kernel copies the right sides to a buffer, column by column, and leaves the solution in it.
    place = torch.empty(*batch, sides, max(rows, columns), dtype=a.dtype, device="meta").mT[..., :columns, :]
    residuals = torch.empty((*batch, sides) if driver == "gels" and rows > columns else 0, device="meta")
    ranks = torch.empty(0 if driver == "gels" else batch, dtype=torch.int64, device="meta")
    values = torch.empty((*batch, min(rows, columns)) if driver in ("gelsd", "gelss") else 0, device="meta")
    return (
        place.squeeze(-1) if is_vectors else place,
        residuals.to(real_type(a.dtype)),
        ranks,
        values.to(real_type(a.dtype)),
    )


def _alignments(probabilities: torch.Tensor, targets: torch.Tensor, steps: Any, lengths: Any, *options: Any) -> Any:
    """``[T, N, C] [N, S] -> [N] [N, T, 2 S + 1]``, where S is the longest target, whose length is usually known."""
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
    """``[N] -> [minlength]``: equally many of each class, if the density tells how many classes there are."""
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
    """``[*] -> []``: true, because the model would raise an error otherwise."""
    return torch.tensor(True, device=_HERE)


def _packed(x: torch.Tensor, lengths: torch.Tensor, batch_first: bool) -> Any:
    """``[T, N, *] [N] -> [sum of lengths, *] [T]``: needs the lengths, which are usually known."""
    if not _has_values(lengths):
        return NotImplemented
    sizes = pack_padded_sequence(torch.empty(*x.shape[:2], 1, device=_HERE), lengths, batch_first).batch_sizes
    return torch.empty(int(lengths.sum()), *x.shape[2:], dtype=x.dtype, device="meta"), sizes


def _padded(x: torch.Tensor, sizes: torch.Tensor, batch_first: bool, value: float, total: int) -> Any:
    """``[sum of lengths, *] [T] -> [T, N, *] [N]``: the inverse of :func:`_packed`."""
    if not _has_values(sizes):
        return NotImplemented
    packed = PackedSequence(torch.empty(x.shape[0], 1, device=_HERE), sizes)
    shape, lengths = pad_packed_sequence(packed, batch_first, value, None if total < 0 else total)
    return torch.empty(*shape.shape[:2], *x.shape[1:], dtype=x.dtype, device="meta"), lengths


def _has_values(tensor: torch.Tensor) -> bool:
    return type(tensor) is not AbstractTensor and not tensor.is_meta


_EVERY = "every candidate is kept"

_DISTINCT = "all values are distinct"

_FINITE = "no value is NaN or infinite"


def kept(density: Fraction | int) -> str:
    """Return the assumption about the positions at which a mask of some density is true, in words."""
    return _FINITE if density == 0 else _EVERY if density == 1 else EVENLY


#: The most positions that are returned as real tensors: each takes 8 bytes for each dimension.
_MANY = 2**26

#: The most values that are assumed: they count images or experts.
_FEW = 2**12


def values_after(target: str, args: tuple[Any, ...], output: Any) -> Taken:
    """Return the assumption about the values of an output in words, and the values, for when the model reads them."""
    values = VALUES.get(target)
    if values is None or not (args and isinstance(args[0], TensorSpec) and isinstance(output, TensorSpec)):
        return None
    return values(args[0], output)


def _counts(mask: TensorSpec, output: TensorSpec) -> Taken:
    """Assume that the true elements of a mask are spread evenly over the output of a sum."""
    is_mask = mask.dtype == "bool" or mask.density != 1
    if not is_mask or output.dtype != "int64" or not 0 < output.numel <= _FEW:
        return None
    counts = _spread(round(mask.numel * mask.density), output.numel)
    return kept(mask.density), counts.view(output.shape)


def _everywhere(mask: TensorSpec, output: TensorSpec) -> Taken:
    if mask.dtype != "bool" or mask.density != 1 or output.shape:
        return None
    return "every element of a mask is true", torch.tensor(True, device=_HERE)


def _somewhere(mask: TensorSpec, output: TensorSpec) -> Taken:
    """Assume that every expert gets a token."""
    return (EVENLY, torch.tensor(True, device=_HERE)) if mask.density not in (0, 1) and not output.shape else None


def _finite(x: TensorSpec, output: TensorSpec) -> Taken:
    return None if output.shape else (_FINITE, torch.tensor(True, device=_HERE))


#: Operator -> the values that are assumed of its output.
VALUES: Mapping[str, Callable[[TensorSpec, TensorSpec], Taken]] = MappingProxyType(
    {"aten.all": _everywhere, "aten.any": _somewhere, "aten.isfinite": _finite, "aten.sum": _counts}
)


#: Operator -> the assumption in words (empty if the output follows without one), and a function that returns that.
#: ``aten.nonzero`` has :class:`Positions`. Nothing is assumed of a number that the model reads: nobody can tell whether
#: it becomes a factor or a length.
ASSUMPTIONS: Mapping[str, tuple[str, Assume]] = MappingProxyType(
    {
        "aten._ctc_loss": ("", _alignments),
        "aten._is_all_true": ("", _holds),
        "aten._pack_padded_sequence": ("", _packed),
        "aten._pad_packed_sequence": ("", _padded),
        "aten._unique2": (_DISTINCT, _distinct),
        "aten.bincount": (EVENLY, _histogram),
        "aten.linalg_lstsq": ("", _least_squares),
        "aten.unique_consecutive": (_DISTINCT, _distinct_neighbours),
        "aten.unique_dim": (_DISTINCT, _distinct_slices),
        "torchvision.nms": (_EVERY, _boxes),
    }
)
