"""Operators that write to a tensor, or make one, without reading all of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from thoplw.record import Call, TensorSpec, Traffic, specs_in
from thoplw.traffic.common import Rule, Table, elements, in_and_out, named, size, sizes
from thoplw.traffic.views import nothing


def overwritten(call: Call) -> Traffic:
    """``copy_``, ``fill_`` and their like: the first argument is written, and not read."""
    target = sizes(specs_in(call.args[:1]))
    return Traffic(read=sizes(call.inputs) - target, written=target)


def made_alike(call: Call) -> Traffic:
    """``zeros_like`` and its like: only the shape of the first argument matters."""
    return Traffic(written=sizes(call.outputs))


def _put(call: Call, touched: int, accumulates: bool) -> Traffic:
    """So many elements of the first argument are written, and read before where something is added to them."""
    target: TensorSpec = call.args[0]
    written = min(elements(target), touched) * target.itemsize
    return Traffic(read=sizes(call.inputs[1:]) + (written if accumulates else 0), written=written)


def put_at_indices(call: Call) -> Traffic:
    """``x indices values accumulate``."""
    target, indices = call.args[:2]
    return _put(call, _indexed(target, indices), bool(call.arg(3, False)))


def _indexed(target: TensorSpec, indices: Sequence[TensorSpec | None]) -> int:
    """Elements of ``x[indices]``; those of a mask are not known, and are all."""
    known = [index for index in indices if index is not None]
    if any(index.dtype in ("bool", "uint8") for index in known):
        return target.numel
    rank = max((len(index.shape) for index in known), default=0)
    shapes = [(1,) * (rank - len(index.shape)) + index.shape for index in known]
    places = math.prod([max(sizes) for sizes in zip(*shapes, strict=True)])
    kept = [n for at, n in enumerate(target.shape) if at >= len(indices) or indices[at] is None]
    return int(places * math.prod(kept))


def put_along(call: Call) -> Traffic:
    """``x dim index source``: as many elements as the source has."""
    return _put(call, call.args[3].numel, call.target != "aten.index_copy_")


def filled_along(call: Call) -> Traffic:
    """``x dim index value``."""
    target, dim, index = call.args[:3]
    along = target.shape[dim] if target.shape else 1
    return _put(call, target.numel // (along or 1) * index.numel, accumulates=False)


def scattered(call: Call) -> Traffic:
    """``x dim index source``: one element for each index, of the source too."""
    index: TensorSpec = call.args[2]
    source = call.arg(3)
    accumulates = call.target != "aten.scatter_" or "reduce" in call.kwargs
    moved = _put(call, index.numel, accumulates)
    if not isinstance(source, TensorSpec):
        return moved
    unread = size(source) - min(elements(source), index.numel) * source.itemsize
    return Traffic(read=moved.read - unread, written=moved.written)


def put_flat(call: Call) -> Traffic:
    """``x indices values accumulate``, in a tensor taken as flat."""
    return _put(call, call.args[1].numel, bool(call.arg(3, False)))


_OVERWRITE = (
    "bernoulli_ cauchy_ copy_ exponential_ fill_ geometric_ log_normal_ normal_ random_ uniform_ zero_ "
    "_foreach_copy_ _foreach_zero_"
)
_ALIKE = "full_like new_full new_ones new_zeros ones_like rand_like randint_like randn_like zeros_like"
_EMPTY = (
    "empty empty_like empty_permuted empty_strided new_empty new_empty_strided resize_ resize_as_ _efficientzerotensor"
)
_PUTS: dict[Rule, str] = {
    put_at_indices: "index_put_ _index_put_impl_ _unsafe_index_put_",
    put_along: "index_add_ index_copy_ index_reduce_",
    filled_along: "index_fill_",
    scattered: "scatter_ scatter_add_ scatter_reduce_",
    put_flat: "put_",
}

#: Fused optimizers return nothing: which of their arguments they write.
_WRITTEN = {
    "aten._fused_adam_": (0, 2, 3, 4),
    "aten._fused_adamw_": (0, 2, 3, 4),
    "aten._fused_sgd_": (0, 2),
    "aten._fused_adagrad_": (0, 2),
}


def updated(call: Call) -> Traffic:
    """A fused optimizer: parameters and states are written, gradients are only read."""
    written = sizes(spec for position in _WRITTEN[call.target] for spec in specs_in(call.arg(position)))
    return Traffic(read=in_and_out(call).read, written=written)


TRAFFIC: Table = {
    **named(_OVERWRITE, overwritten),
    **named(_ALIKE, made_alike),
    **named(_EMPTY, nothing),
    **{target: rule for rule, names in _PUTS.items() for target in named(names, rule)},
    **dict.fromkeys(_WRITTEN, updated),
}

#: Operators that do not read their first argument, or a few elements of it at most.
UNREAD = frozenset(named(" ".join((_OVERWRITE, _ALIKE, _EMPTY, *_PUTS.values())), nothing))
