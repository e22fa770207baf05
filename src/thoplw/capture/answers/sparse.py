"""Answer operators on sparse tensors, whose indices are real in an abstract run: they tell how much is multiplied.

A sparse tensor stays real, so that torch and the model find in it what they look for. Operators on it run for real, on
the stored elements alone. If their output is not sparse, it becomes abstract, so that no value gets out. A product with
a dense tensor is answered by its shape.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from thoplw.capture.abstract import REAL_LIMIT, AbstractTensor, abstract
from thoplw.capture.answers.known_values import KnownValues
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import is_mutable, target_of, written
from thoplw.capture.run import Run
from thoplw.capture.torch_internals import SPARSE
from thoplw.errors import DataDependentError, InputError

_PRODUCTS = frozenset(f"aten.{name}" for name in "_sparse_addmm addmm addmv baddbmm bmm linear matmul mm mv".split())

#: Operator that makes a sparse tensor -> the positions of its arguments that tell which elements are stored.
_MAKERS = {
    "aten._sparse_compressed_tensor_unsafe": slice(0, 2),
    "aten._sparse_coo_tensor_unsafe": slice(0, 1),
    "aten._sparse_coo_tensor_with_dims_and_tensors": slice(3, 4),
    "aten.sparse_compressed_tensor": slice(0, 2),
}


def makes_sparse(func: Any) -> bool:
    """Whether an operator makes a sparse tensor of indices and values."""
    return target_of(func) in _MAKERS


def is_product(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an operator multiplies one sparse tensor with dense ones."""
    return target_of(func) in _PRODUCTS and sum(map(_is_sparse, tensors_in((args, kwargs)))) == 1


def answer(run: Run, values: KnownValues, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer and record an operator that takes or makes a sparse tensor.

    Raises:
        DataDependentError: which elements are stored depends on values that do not exist.
        InputError: the operator would have to run on dense tensors that are too large.
    """
    if is_product(func, args, kwargs):
        output = func(*map_tensors(args, _dense_on_meta), **map_tensors(kwargs, _dense_on_meta))
        output = abstract(run.specs.of(output), run.device)
    elif is_mutable(func) and not _writes_to_own(run, func, args, kwargs):
        values.lose(func, args, kwargs)
        output = next(iter(written(func, args, kwargs)))
    else:
        _check(run, func, args, kwargs)
        for tensor in written(func, args, kwargs) if is_mutable(func) else ():
            run.save(tensor)
        stand_in = partial(_stand_in, run, values)
        output = func(*map_tensors(args, stand_in), **map_tensors(kwargs, stand_in))
        output = map_tensors(output, partial(_without_values, run))
    run.record_executed(func, args, kwargs, output)
    return output


def _stand_in(run: Run, values: KnownValues, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor with values. It asks for gradients like the other one.

    For example, ``torch.sparse.mm(a, b, "amax")`` notes only then where the maxima were, and its backward reads that.
    """
    given = values.stand_in(tensor, device=run.device)
    return given if given is tensor else given.requires_grad_(tensor.requires_grad)


def _writes_to_own(run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an operator writes to a sparse tensor that the model made in this run, and that may store more after it.

    Raises:
        DataDependentError: the operator writes a sparse tensor to one of the model's, which must not store more.
    """
    target = next(iter(written(func, args, kwargs)))
    if not _is_sparse(target) or id(target) not in run.weights.tensors:
        return _is_sparse(target)
    if any(_is_sparse(tensor) and tensor is not target for tensor in tensors_in((args, kwargs))):
        raise run.refuse(
            DataDependentError(
                f"{func} {run.where()} writes a sparse tensor to one of the model's own, and a run that computes only "
                "shapes cannot follow that. execute=True counts it on real tensors"
            )
        )
    return False


def _check(run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse an operator that needs real values, or large tensors."""
    unknown = [tensor for tensor in tensors_in((args, kwargs)) if type(tensor) is AbstractTensor]
    if any(not _is_number(tensor) for tensor in unknown):
        raise run.refuse(
            DataDependentError(
                f"{func} {run.where()} needs the values of indices, or of a mask, for a sparse tensor, and this run "
                "computes only shapes. execute=True counts it on real tensors"
            )
        )
    if sum(tensor.numel() for tensor in unknown) > REAL_LIMIT:
        raise run.refuse(
            InputError(
                f"{func} {run.where()} takes sparse and dense tensors, and thoplw has no shape rule for it. "
                "execute=True counts it on real tensors"
            )
        )


def _dense_on_meta(tensor: torch.Tensor) -> torch.Tensor:
    if _is_sparse(tensor):
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _without_values(run: Run, tensor: torch.Tensor) -> torch.Tensor:
    """Return sparse tensors, indices and counts as they are, and an abstract tensor for any other output."""
    return abstract(run.specs.of(tensor), run.device) if _is_number(tensor) and not _is_sparse(tensor) else tensor


def _is_sparse(tensor: torch.Tensor) -> bool:
    return tensor.layout in SPARSE


def _is_number(tensor: torch.Tensor) -> bool:
    return tensor.dtype.is_floating_point or tensor.dtype.is_complex
