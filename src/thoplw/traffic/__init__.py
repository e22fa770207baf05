"""What each operator moves between memory and processor, from the specs of its arguments: one index of all families.

By default an operator reads its inputs and writes its outputs, once each: dimensions that are broadcast count once. A
rule says where it is less: a view moves nothing, a lookup reads what comes out, a write in place writes what it
touches. What a kernel keeps for itself is not in a record: buffers inside of it, and what it reads twice.
"""

from __future__ import annotations

from types import MappingProxyType

from thoplw.record import NOTHING, Call, TensorSpec, Traffic
from thoplw.traffic import lookups, views, writes
from thoplw.traffic.common import Rule, elements, given, in_and_out
from thoplw.traffic.lookups import EMBEDDINGS, Lookup, lookup_of
from thoplw.traffic.views import VIEWS
from thoplw.traffic.writes import UNREAD

__all__ = ["EMBEDDINGS", "RULES", "UNREAD", "Lookup", "elements", "is_view", "lookup_of", "read_by", "traffic"]

#: Operator -> rule.
RULES: MappingProxyType[str, Rule] = MappingProxyType({**views.TRAFFIC, **lookups.TRAFFIC, **writes.TRAFFIC})


def traffic(call: Call) -> Traffic:
    """What an operator moves.

    ``aten.add`` of two ``(8, 4)`` of float32, one of them expanded from ``(4,)``, reads 128 and 16 bytes, and writes
    128. A composite operator without a rule moves what its parts do.
    """
    rule = RULES.get(call.target) or (RULES.get(call.target[:-1]) if is_view(call) else None)
    if rule is not None:
        return rule(call)
    if call.parts is not None:
        return sum((traffic(part) for part in call.parts), start=NOTHING)
    return in_and_out(call)


def is_view(call: Call) -> bool:
    """Whether the output may show memory of the first argument, in a new shape (``squeeze_`` too)."""
    return call.target in VIEWS or (call.target.endswith("_") and call.target[:-1] in VIEWS)


def read_by(call: Call) -> tuple[TensorSpec, ...]:
    """The tensors that a call reads, of some perhaps a part; of a view the one that it shows."""
    found = given(call)
    return found[:1] if is_view(call) else found[1:] if call.target in UNREAD else found
