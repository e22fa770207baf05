"""Read packed weights of quantised modules, and the indices of sparse matrices."""

from __future__ import annotations

from typing import Any

import torch

from thoplw.capture.torch_internals import methods_of


def weights_of(packed: Any) -> tuple[torch.Tensor | None, ...]:
    """Return the weights and biases inside: two for a linear layer or convolution, four for a recurrent cell."""
    names = methods_of(packed)
    if "unpack" in names:
        weight, bias = packed.unpack()[:2]
        return weight, bias
    if "__getstate__" in names:
        # (kind, biases, ..., packed matrices), with the name of the class beside it
        state = packed.__getstate__()[0]
        return (*(weights_of(matrix)[0] for matrix in state[-1]), *state[1])
    return ()


def geometry_of(packed: Any) -> tuple[Any, ...]:
    """Return stride, padding, dilation and groups of a convolution; an empty tuple for other layers."""
    names = ("stride", "padding", "dilation", "groups")
    if not set(names) <= set(methods_of(packed)):
        return ()
    values = (getattr(packed, name)() for name in names)
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)


def sparse_products(a: torch.Tensor, b: torch.Tensor) -> int:
    """Count the pairs of stored elements that a product of two sparse matrices multiplies."""
    columns = a.to_sparse().coalesce().indices()[1]
    rows = b.to_sparse().coalesce().indices()[0]
    return int(rows.bincount(minlength=b.shape[0])[columns].sum())
