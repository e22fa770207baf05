"""Ask torch's meta kernels what an operator returns, if there is no shape rule for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import torch

from thoplw.capture.abstract import REAL_LIMIT
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import is_mutable, target_of
from thoplw.capture.torch_internals import reads_values, schema_of
from thoplw.errors import DataDependentError, InputError

#: Position or name of the argument that is itself the output; ``None`` if the output is new.
Position = int | str | None

#: The same of each of several outputs.
Positions = tuple[Position, ...]

_META = torch.device("meta")

#: The libraries that torch and torchvision define. Operators of other libraries need a fake kernel.
_LIBRARIES_OF_TORCH = frozenset("_quantized aten mkldnn onednn prepacked prim prims quantized torchvision".split())

#: Operators whose meta kernels promote dtypes in another way than kernels do, where one tensor is a single number.
_PROMOTED = frozenset({"aten.addr", "aten.block_diag", "aten.ldexp"})

#: Quantised dtype -> the dtype of the same size. There are no quantised meta tensors.
_MEMORY = {torch.quint8: torch.uint8, torch.qint8: torch.int8, torch.qint32: torch.int32}


def ask(
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    stand_in: Callable[[torch.Tensor], torch.Tensor],
    where: Callable[[], str],
) -> tuple[Any, Position | Positions]:
    """Return the output of an operator's meta kernel, and the position of the argument that it is, if it is one.

    Several outputs have a position each, if one of them is an argument.

    Args:
        func: the operator.
        args: its positional arguments.
        kwargs: its keyword arguments.
        stand_in: gives a real tensor for one, for an operator whose meta kernel fails.
        where: says which module runs now, for errors.

    Raises:
        InputError: there is no meta kernel, or the operator needs other processes.
        DataDependentError: the shape of the output depends on values.
        RuntimeError: the operator refuses its arguments.
    """
    if target_of(func).startswith("c10d."):
        raise InputError(
            f"{func} {where()} exchanges tensors with other processes, and thoplw does not follow that in a run that "
            "computes only shapes. execute=True counts it on real tensors"
        )
    meta_args, meta_kwargs = _on_meta(func, args, kwargs)
    try:
        output = func(*meta_args, **meta_kwargs)
    except (RuntimeError, AssertionError) as error:  # older kernels assert what newer ones raise
        if isinstance(error, NotImplementedError) and not reads_values(error):
            if not schema_of(func).returns:  # the operator only writes to arguments, as a fused optimizer does
                return None, None
            if "eta" not in str(error):  # "Meta" or "meta": it is not for lack of a kernel
                raise
            raise InputError(
                f"{func} {where()} has no meta kernel, so that only running it tells the shape of its output. "
                "execute=True counts it on real tensors"
            ) from error
        if target_of(func).partition(".")[0] not in _LIBRARIES_OF_TORCH:
            raise InputError(
                f"{func} {where()} has no fake kernel, which tells the shape of its output. Register one with "
                f'torch.library.register_fake("{schema_of(func).name}"), or count it on real tensors with '
                f"execute=True. Torch says: {str(error).partition(chr(10))[0]}"
            ) from error
        # Some meta kernels raise another error than the real kernel, or refuse arguments that it takes. So the real
        # kernel decides, unless that would cost much.
        if sum(tensor.numel() for tensor in tensors_in((args, kwargs))) > REAL_LIMIT:
            raise
        if is_mutable(func):
            return _on_copies(func, args, kwargs, stand_in)
        return _on_values(func, args, kwargs, stand_in, where), None
    if target_of(func) in _PROMOTED and len({tensor.dtype for tensor in tensors_in(meta_args)}) > 1:
        output = output.to(_promoted(func, args, kwargs))
    return output, _positions_of(output, meta_args, meta_kwargs)


def _promoted(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.dtype:
    """Return the dtype that a kernel gives its output, which it tells for tensors of one element too."""

    def single(tensor: torch.Tensor) -> torch.Tensor:
        return torch.ones([1] * tensor.dim(), dtype=tensor.dtype, device="cpu")

    dtype: torch.dtype = func(*map_tensors(args, single), **kwargs).dtype
    return dtype


def _on_copies(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], stand_in: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[Any, Position | Positions]:
    """Return the output of an operator that writes to its arguments, for copies of them, and the position of each.

    For example, ``addbmm_`` makes a bias of one element as large as its result, and ``abs`` may write into an ``out=``
    of another dtype; their meta kernels refuse that.
    """
    twins: dict[int, torch.Tensor] = {}

    def copied(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in twins:
            twin = stand_in(tensor)
            twins[id(tensor)] = twin.clone() if twin is tensor else twin
        return twins[id(tensor)]

    given, named = map_tensors(args, copied), map_tensors(kwargs, copied)
    output = func(*given, **named)
    return output, _positions_of(output, given, named)


def _positions_of(output: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Position | Positions:
    if isinstance(output, (tuple, list)):
        positions = tuple(position_of(each, args, kwargs) for each in output)
        return positions if any(position is not None for position in positions) else None
    return position_of(output, args, kwargs)


def _on_values(
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    stand_in: Callable[[torch.Tensor], torch.Tensor],
    where: Callable[[], str],
) -> Any:
    """Return an operator's output for zeros, if its shape is the same for other values.

    For example, ``one_hot`` has one class for zeros, and two for zeros and ones. The other values vary, because
    constants would not do: zeros have as many distinct values as ones.
    """

    def varied(tensor: torch.Tensor) -> torch.Tensor:
        twin = stand_in(tensor)
        if twin is not tensor:
            stored = twin.untyped_storage().nbytes() // twin.element_size()
            twin.as_strided((stored,), (1,))[::2] = 1
        return twin

    output = func(*map_tensors(args, stand_in), **map_tensors(kwargs, stand_in))
    try:
        other = func(*map_tensors(args, varied), **map_tensors(kwargs, varied))
        alike = list(map(_looks, tensors_in(output))) == list(map(_looks, tensors_in(other)))
    except Exception:  # for example an index that is out of range: then the shape is not known either
        alike = False
    if not alike:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors_in((args, kwargs)))
        raise DataDependentError(
            f"{func} {where()} returns a shape that depends on the values of its arguments, of shape {shapes}, and "
            "this run computes only shapes. Give the size where the operator takes one, as num_classes of one_hot, or "
            "count it on real tensors with execute=True"
        )
    return output


def _looks(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.dtype, tensor.layout


def position_of(output: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Position:
    """Return the position or name of the argument that the output is, if it is one."""
    candidates: Iterator[tuple[int | str, Any]] = chain(enumerate(args), kwargs.items())
    if not isinstance(output, torch.Tensor):
        return None
    return next((position for position, value in candidates if value is output), None)


def _on_meta(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with a meta tensor in place of each tensor."""
    twins: dict[int, torch.Tensor] = {}

    def to_meta(tensor: torch.Tensor) -> torch.Tensor:
        twin = twins.get(id(tensor))
        if twin is None:
            dtype = _MEMORY.get(tensor.dtype, tensor.dtype)
            twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype, device=_META)
            twins[id(tensor)] = twin
        return twin

    def moved(value: Any) -> Any:
        return _META if isinstance(value, torch.device) else map_tensors(value, to_meta)

    meta_args, meta_kwargs = tuple(map(moved, args)), {name: moved(value) for name, value in kwargs.items()}
    if not twins and any(argument.name == "device" for argument in schema_of(func).arguments):
        meta_kwargs["device"] = _META
    return meta_args, meta_kwargs
