"""Operators that read a part of a tensor: the rows that are looked up, or the matrices that rows are sent to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from thoplw.record import Call, TensorSpec, Traffic
from thoplw.traffic.common import Table, elements, in_and_out, size


class Lookup(NamedTuple):
    """What a call reads of one argument.

    Attributes:
        position: of the argument.
        elements: how many of its elements are read, at most.
        routed: whether that rests on rows that are spread evenly over experts.
    """

    position: int
    elements: int
    routed: bool = False


def _looked_up(call: Call) -> Lookup:
    """``[V, D] [*] -> [*, D]``: what comes out, and no more than there is."""
    return Lookup(0, min(elements(call.args[0]), call.outputs[0].numel))


def _chosen(call: Call) -> Lookup:
    """The same of rows, which are those of experts where the indices are known to spread evenly."""
    table, read, _ = _looked_up(call)
    spread = any(index.density != 1 for index in call.inputs[1:])
    return Lookup(table, read, routed=spread and read < elements(call.args[0]))


def _bags(call: Call) -> Lookup:
    """``[V, D] [N] [bags] -> [bags, D]``: a row for each index."""
    table, indices = call.args[:2]
    return Lookup(0, min(elements(table), indices.numel * table.shape[-1]))


def _grouped(call: Call) -> Lookup | None:
    """``[T, K] [G, K, M] [G] -> [T, M]``: the matrices that a row is sent to, as many as there are rows at most.

    Offsets say where groups end, and are not known: rows are taken to be spread evenly over the groups.
    """
    rows, matrices = call.args[:2]
    if len(rows.shape) != 2 or len(matrices.shape) != 3 or not matrices.shape[0]:
        return None
    groups = matrices.shape[0]
    return Lookup(1, elements(matrices) * min(groups, rows.shape[0]) // groups, routed=rows.shape[0] < groups)


#: Operator -> what it reads of one argument; the others are read as a whole.
LOOKUPS: Mapping[str, Callable[[Call], Lookup | None]] = {
    **dict.fromkeys(
        (f"aten.{name}" for name in "embedding gather masked_select take take_along_dim".split()), _looked_up
    ),
    **dict.fromkeys((f"aten.{name}" for name in "index index_select _unsafe_index".split()), _chosen),
    **dict.fromkeys(
        (f"aten.{name}" for name in "embedding_bag _embedding_bag _embedding_bag_forward_only".split()), _bags
    ),
    **dict.fromkeys(("aten._grouped_mm", "aten._scaled_grouped_mm", "transformers.grouped_mm_fallback"), _grouped),
}

#: Operators that look rows up in a table of embeddings.
EMBEDDINGS = frozenset(f"aten.{name}" for name in "embedding embedding_bag _embedding_bag".split()) | {
    "aten._embedding_bag_forward_only"
}


def lookup_of(call: Call) -> Lookup | None:
    """What a call reads of an argument that it does not read as a whole; None where there is no such argument."""
    found = LOOKUPS.get(call.target)
    return None if found is None else found(call)


def partly_read(call: Call) -> Traffic:
    """All that goes in and comes out, but of one argument only the part that is read."""
    whole, part = in_and_out(call), lookup_of(call)
    if part is None:
        return whole
    table: TensorSpec = call.args[part.position]
    return Traffic(read=whole.read - size(table) + part.elements * table.itemsize, written=whole.written)


TRAFFIC: Table = dict.fromkeys(LOOKUPS, partly_read)
