"""Which module is charged for what: from scopes with prices to one row per module."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from thoplw.pricing import Convention, Leaf, Priced
from thoplw.record import ZERO, TensorSpec, Trace, Weight, Work

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one module costs by itself, its children left out, summed over its calls.

    Attributes:
        name: path of the module, as in ``model.get_submodule(name)``; empty for the model itself.
        cls: name of its class.
        depth: how many modules hold it: 0 for the model itself.
        input_shapes: of the tensors it was given, in its first call.
        output_shapes: of the tensors it returned, in its first call.
        macs: in the unit of the convention.
        flops: floating-point operations.
        params: parameters; one that several modules share is in the row of the first.
        trainable: those of the parameters that require a gradient.
        bytes: dtype -> what the parameters take.
        operators: operator -> its part of ``macs``; a module that was priced as a whole goes by its class.
        calls: how many times it was called: never, for a module that only holds others, such as an ``nn.ModuleList``.
    """

    name: str
    cls: str
    depth: int
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    macs: int
    flops: int
    params: int
    trainable: int
    bytes: Mapping[str, int]
    operators: Mapping[str, int]
    calls: int


@dataclass(slots=True, kw_only=True)
class Uncounted:
    """Where an operator without a price ran.

    Attributes:
        calls: how many times.
        modules: paths of the modules that ran it.
        shapes: the distinct shapes of its tensor arguments.
    """

    calls: int = 0
    modules: list[str] = field(default_factory=list)
    shapes: list[tuple[Shape, ...]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Assumed:
    """Where something was taken for granted.

    Attributes:
        operators: names of the operators that decided on values.
        calls: how many times.
        modules: paths of the modules that ran them.
    """

    operators: list[str] = field(default_factory=list)
    calls: int = 0
    modules: list[str] = field(default_factory=list)


class Attribution:
    """The modules of a trace, each with the calls, work and parameters that it is charged for.

    Attributes:
        work: of the whole model.
        params: of the whole model.
    """

    def __init__(self, trace: Trace, priced: Priced, convention: Convention) -> None:
        assert convention.parameters is not None  # it was found, so it is complete
        self._trace = trace
        self._priced = priced
        self._convention = convention
        self._counted = tuple(convention.parameters(trace))
        self.work = Work(macs=sum(work.macs for work in priced.own), flops=sum(work.flops for work in priced.own))
        self.params = sum(weight.spec.numel for _, weight in self._counted)

    def modules(self) -> tuple[Row, ...]:
        """A row for each module that ran or holds one that ran, in definition order.

        A module that was priced as a whole counts as having no children.
        """
        lineages = sorted(map(self._lineage, self._scopes.keys() | self._ancestors(self._scopes)))
        return tuple(self._row(lineage[-1], len(lineage) - 1) for lineage in lineages)

    def _row(self, index: int, depth: int) -> Row:
        info = self._trace.modules[index]
        indices = self._scopes.get(index, [])
        scopes = [self._trace.scopes[scope] for scope in indices]
        work = sum((self._priced.own[scope] for scope in indices), start=ZERO)
        weights = self._weights.get(index, [])
        size: Counter[str] = Counter()
        for weight in weights:
            size[weight.spec.dtype] += weight.spec.numel * weight.spec.itemsize
        return Row(
            name=info.path,
            cls=info.class_name,
            depth=depth,
            input_shapes=shapes_of(scopes[0].inputs) if scopes else (),
            output_shapes=shapes_of(scopes[0].outputs) if scopes else (),
            macs=self._convention.measure(work),
            flops=work.flops,
            params=sum(weight.spec.numel for weight in weights),
            trainable=sum(weight.spec.numel for weight in weights if weight.trainable),
            bytes=dict(size),
            operators=dict(self._operators.get(index, {})),
            calls=len(scopes),
        )

    def _lineage(self, index: int) -> tuple[int, ...]:
        """The modules that hold one, from the model down, and itself."""
        parent = self._trace.modules[index].parent
        return (*self._lineage(parent), index) if parent >= 0 else (index,)

    def uncounted(self) -> dict[str, Uncounted]:
        """Operators without a price."""
        return self._where(lambda leaf: leaf.work is None)

    def unseen(self) -> dict[str, Uncounted]:
        """Operators that multiply and accumulate, which a convention that mirrors a tool has for free."""
        return self._where(lambda leaf: leaf.call in self._priced.unseen)

    def _where(self, chosen: Callable[[Leaf], bool]) -> dict[str, Uncounted]:
        found: dict[str, Uncounted] = defaultdict(Uncounted)
        for leaf, scope, times, _ in self._priced.entries:
            if chosen(leaf):
                call = leaf.call
                entry = found[call.name]
                entry.calls += times
                path, shapes = self._path(scope), shapes_of(call.inputs)
                entry.modules += [path] if path not in entry.modules else []
                entry.shapes += [shapes] if shapes not in entry.shapes else []
        return dict(found)

    def assumptions(self) -> dict[str, Assumed]:
        """Statement -> where it was assumed."""
        found: dict[str, Assumed] = defaultdict(Assumed)
        for statement, operator, scope in self._trace.assumptions:
            entry, path = found[statement], self._path(scope)
            entry.calls += 1
            entry.operators += [operator] if operator not in entry.operators else []
            entry.modules += [path] if path not in entry.modules else []
        return dict(found)

    def by_operator(self) -> dict[str, int]:
        """Operator -> its part of the total, largest first; a module that was priced as a whole goes by its class."""
        totals: Counter[str] = Counter()
        for operators in self._operators.values():
            totals.update(operators)
        return dict(totals.most_common())

    @cached_property
    def _operators(self) -> dict[int, Counter[str]]:
        """Module -> operator -> its part."""
        found: dict[int, Counter[str]] = defaultdict(Counter)
        for (call, work), scope, times, _ in self._priced.entries:
            if work is not None:
                found[self._trace.scopes[scope].module][call.target] += self._convention.measure(work) * times
        for scope in sorted(self._priced.whole):
            module = self._trace.scopes[scope].module
            found[module][self._trace.modules[module].class_name] += self._convention.measure(self._priced.own[scope])
        return found

    def _path(self, scope: int) -> str:
        return self._trace.modules[self._trace.scopes[scope].module].path

    def not_executed(self) -> dict[str, int]:
        """Path -> parameters of modules that never ran, nor any module in them; of nested ones the outermost."""
        trace = self._trace
        ran = {scope.module for scope in trace.scopes}
        # The parameters of a module may be used without a call of it: nn.MultiheadAttention does so with its out_proj.
        ran |= {
            index
            for index, info in enumerate(trace.modules)
            if index not in ran and any(weight.key in trace.used for weight in info.parameters)
        }
        alive = ran | self._ancestors(ran)
        idle: dict[int, set[tuple[int, int]]] = {}
        root: dict[int, int] = {}
        for index, info in enumerate(trace.modules):
            if index in alive or self._is_unseen(index) or (not info.parameters and info.container):
                continue
            root[index] = root.get(info.parent, index)
            weights = idle.setdefault(root[index], set())
            weights |= {(weight.key, weight.spec.numel) for weight in info.parameters}
        return {trace.modules[index].path: sum(size for _, size in weights) for index, weights in idle.items()}

    def _is_unseen(self, index: int) -> bool:
        parent = self._trace.modules[index].parent
        return parent >= 0 and (self._trace.modules[parent].opaque or self._is_unseen(parent))

    def _ancestors(self, modules: Iterable[int]) -> set[int]:
        """All modules that hold one of these, at any depth."""
        found: set[int] = set()
        for index in modules:
            parent = self._trace.modules[index].parent
            while parent >= 0 and parent not in found:
                found.add(parent)
                parent = self._trace.modules[parent].parent
        return found

    # Who asks for totals alone does not wait for these.

    @cached_property
    def _scopes(self) -> dict[int, list[int]]:
        """Module -> its scopes, but for those inside modules that were priced as a whole."""
        scopes: dict[int, list[int]] = defaultdict(list)
        for index, scope in enumerate(self._trace.scopes):
            if index not in self._priced.covered:
                scopes[scope.module].append(index)
        return dict(scopes)

    @cached_property
    def _weights(self) -> dict[int, list[Weight]]:
        """Module -> parameters that the convention counts, for modules with a row."""
        charged: dict[int, list[Weight]] = defaultdict(list)
        for index, weight in self._counted:
            charged[self._payer(index)].append(weight)
        return dict(charged)

    def _payer(self, index: int) -> int:
        """The module whose row has the parameters of this one: itself if it has a row."""
        if index in self._scopes:
            return index
        for scope in self._trace.scopes:
            if scope.module == index:  # it ran inside a module that was priced as a whole
                while (parent := self._trace.scopes[scope.parent]).module not in self._scopes:
                    scope = parent
                return parent.module
        return self._payer(self._trace.modules[index].parent)


def shapes_of(specs: tuple[TensorSpec, ...]) -> tuple[Shape, ...]:
    """The shapes of some tensors."""
    return tuple(spec.shape for spec in specs)
