"""Why two conventions differ: terms that add up to the difference, exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from thoplw.formulas import FORMULAS
from thoplw.pricing.families import family_of
from thoplw.pricing.price import Priced, leaves
from thoplw.record import Call, Expand, Trace, Work

#: The name of the term between a convention that counts FLOPs and one that counts MACs.
TWO_FOR_ONE = "a multiply-accumulate counted as two operations"


class Term(NamedTuple):
    """A part of a difference.

    ``layer`` is the path of a module, where terms are told apart by it; ``kind`` says in words what kind of work it is;
    ``left`` and ``right`` are what either convention counts for it.
    """

    layer: str
    kind: str
    left: int
    right: int

    @property
    def difference(self) -> int:
        """By how much the left one is more."""
        return self.left - self.right


class Families:
    """The work in a trace, grouped by family, such as ``batch norm``.

    Work priced by operator belongs to the family of the operator that the model called, even if its parts were priced.
    Work priced by module belongs to the family with the most FLOPs inside.
    """

    def __init__(self, trace: Trace, expand: Expand | None = None) -> None:
        """Prepare; ``expand`` is as for :func:`~thoplw.pricing.price`."""
        self._trace = trace
        self._expand = trace.expander(expand)
        self._main: dict[int, str] = {}

    def terms(self, left: Priced, right: Priced, *, by_layer: bool = False) -> tuple[Term, ...]:
        """The terms of the difference between two totals, the largest first, without terms that are equal."""
        split = left.convention.unit != right.convention.unit
        sides = [self._figures(side, by_layer=by_layer, split=split) for side in (left, right)]
        terms = [Term(*key, sides[0].get(key, 0), sides[1].get(key, 0)) for key in {**sides[0], **sides[1]}]
        return tuple(sorted((term for term in terms if term.difference), key=lambda term: -abs(term.difference)))

    def _figures(self, priced: Priced, *, by_layer: bool, split: bool) -> dict[tuple[str, str], int]:
        """(Layer, family) -> figure; ``split`` makes the second operation of each MAC a term of its own."""
        convention = priced.convention
        figures: dict[tuple[str, str], int] = defaultdict(int)
        for scope, kind, work in self._parts(priced):
            layer = self._trace.modules[self._trace.scopes[scope].module].path if by_layer else ""
            figure = convention.measure(work)
            if split and convention.unit == "FLOP":
                figures[layer, TWO_FOR_ONE] += work.macs
                figure -= work.macs
            figures[layer, kind] += figure
        return figures

    def _parts(self, priced: Priced) -> Iterator[tuple[int, str, Work]]:
        for leaf, scope, times, source in priced.entries:
            if leaf.work is not None:
                yield scope, family_of(source.target), leaf.work * times
        for scope in priced.module_work:
            yield scope, self._family_of_scope(scope), priced.own[scope]

    def _family_of_scope(self, scope: int) -> str:
        """The family with the most FLOPs in a call of a module; the module's class if nothing is computed."""
        if not self._main:
            self._main = self._main_families()
        return self._main[scope]

    def _main_families(self) -> dict[int, str]:
        scopes = self._trace.scopes
        flops: list[dict[str, int]] = [defaultdict(int) for _ in scopes]
        known: dict[Call, int] = {}
        for call, scope in self._trace.steps:
            if call not in known:
                priced = leaves(call, FORMULAS, self._expand)
                known[call] = sum(leaf.work.flops for leaf in priced if leaf.work is not None)
            flops[scope][family_of(call.target)] += known[call]
        for index in range(len(scopes) - 1, 0, -1):  # a called scope comes after its caller
            for kind, figure in flops[index].items():
                flops[scopes[index].parent][kind] += figure
        return {
            index: max(found, key=found.__getitem__)
            if any(found.values())
            else self._trace.modules[scopes[index].module].class_name
            for index, found in enumerate(flops)
        }
