"""What was seen while a model ran: plain values, no torch tensors inside.

A :class:`Trace` holds the modules of the model, the *scopes* (one per call of a module) and the *steps* (one per
operator that ran, in order, each pointing at the scope it ran in). Equal calls share one :class:`Call`, so that
whatever is worked out for a call is worked out once, however often a model repeats it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

#: What an operator returned, in its own nesting: ``None``, a number, a spec, or a tuple of these.
Nested = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Shape, dtype (``"float32"``) and strides of a tensor.

    Attributes:
        share: what part of a mask is true, as far as that can be known without values: a one-hot encoding over 8
            classes is nonzero in an eighth. Of indices: what part of them points at one place, if they spread evenly.
            Of sparse tensors, which have no strides: what part of the elements is stored.
        numel: number of elements.
    """

    shape: tuple[int, ...]
    dtype: str
    strides: tuple[int, ...]
    share: Fraction | int = field(default=1, repr=False)
    numel: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Worked out once for what is asked of every weight that has this spec.
        object.__setattr__(self, "numel", math.prod(self.shape))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """An operator with the arguments it was called with, every tensor replaced by its :class:`TensorSpec`.

    Positional arguments stand in the order of the operator's schema; trailing ones that equal their default may be
    missing.

    Attributes:
        target: the operator as ``library.name``, such as ``aten.conv2d``.
        overload: the overload's name, such as ``default``.
        args: positional arguments.
        kwargs: keyword-only arguments.
        output: what was returned, nested as the operator returns it.
        parts: for a composite operator taken apart while it ran, the operators that it is made of.
    """

    target: str
    overload: str = "default"
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    output: Nested = None
    parts: tuple[Call, ...] | None = None

    @property
    def name(self) -> str:
        """Target and overload: ``aten.conv2d.default``."""
        return f"{self.target}.{self.overload}"

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Every tensor among the arguments, in order."""
        return (*specs_in(self.args), *specs_in(tuple(self.kwargs.values())))

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Every tensor among what was returned, in order."""
        return (self.output,) if isinstance(self.output, TensorSpec) else tuple(specs_in(self.output))

    def arg(self, position: int, default: Any = None) -> Any:
        """The positional argument at ``position``, or ``default`` where the call left it out."""
        return self.args[position] if position < len(self.args) else default


#: One run of an operator: what was called, and the index of the scope that it ran in.
Step = tuple[Call, int]


@dataclass(slots=True)
class Scope:
    """One call of a module.

    Attributes:
        module: index into ``Trace.modules``.
        parent: index of the calling scope, ``-1`` for the outermost.
        inputs: the tensors among the module's arguments.
        outputs: the tensors among what it returned; empty while (or if) it did not return.
    """

    module: int
    parent: int
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


class Weight(NamedTuple):
    """A parameter or buffer under its name in the module that owns it.

    ``key`` is the same for weights that are one tensor, such as tied embeddings; ``trainable`` says whether it requires
    a gradient.
    """

    name: str
    key: int
    spec: TensorSpec
    trainable: bool = False


class ModuleInfo(NamedTuple):
    """A module of the model, in definition order.

    Attributes:
        path: as in ``model.get_submodule(path)``; empty for the model itself.
        cls: the module's class.
        class_name: the name of the class as its author knows it: of the original class, for a scripted module.
        parent: index of the module that holds it, ``-1`` for the model itself.
        opaque: whether calls of its submodules go unseen, as those of a scripted module do.
        parameters: its own parameters, without its children's.
        buffers: its own buffers.
    """

    path: str
    cls: type
    class_name: str
    parent: int
    opaque: bool = False
    parameters: tuple[Weight, ...] = ()
    buffers: tuple[Weight, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCall:
    """One call of a module, as a convention that thinks in layers sees it.

    Attributes:
        info: the module.
        leaf: whether it holds no other modules.
        inputs: the tensors among its arguments, keyword arguments last.
        outputs: the tensors among what it returned.
        calls: the operators that ran in it directly, not in modules inside of it, in order.
    """

    info: ModuleInfo
    leaf: bool
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    calls: tuple[Call, ...]

    def weight(self, name: str) -> TensorSpec | None:
        """The parameter of this name among the module's own, or ``None``."""
        return next((weight.spec for weight in self.info.parameters if weight.name == name), None)

    def call_of(self, *targets: str) -> Call | None:
        """The first operator in it that is one of these."""
        return next((call for call in self.calls if call.target in targets), None)


class Assumption(NamedTuple):
    """Something that was taken for granted, as the values that would have told were not there.

    ``statement`` says what, ``target`` is the operator, ``scope`` the index of the scope that it ran in.
    """

    statement: str
    target: str
    scope: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Everything that was seen in one run of a model.

    Attributes:
        modules: all modules of the model, in definition order; the model itself is the first.
        scopes: one per call of a module, in the order in which they began; the model's own is the first.
        steps: one per operator, in order.
        used: keys of the parameters and buffers that some operator took.
        assumptions: what was taken for granted: with any, figures are an estimate.
    """

    modules: tuple[ModuleInfo, ...]
    scopes: tuple[Scope, ...]
    steps: tuple[Step, ...]
    used: frozenset[int] = frozenset()
    assumptions: tuple[Assumption, ...] = ()

    def parts(self) -> Iterator[tuple[int, Trace]]:
        """What each call from the outermost scope saw, as if its module was the whole model, by the index of its scope.

        The scopes inside of a scope follow it.
        """
        firsts = [index for index, scope in enumerate(self.scopes) if scope.parent == 0]
        steps: dict[int, list[Step]] = {first: [] for first in firsts}
        for call, at in self.steps:
            if at > 0:
                first = firsts[bisect_right(firsts, at) - 1]
                steps[first].append((call, at - first))
        for first, end in pairwise([*firsts, len(self.scopes)]):
            yield first, self._part(first, end, steps[first])

    def _part(self, first: int, end: int, steps: list[Step]) -> Trace:
        """The modules inside of a module follow it too, but for those that were known before it.

        As these had been called by themselves, they come last, under the names that they have here.
        """
        scopes = self.scopes[first:end]
        root = scopes[0].module
        members = [root]
        prefix = f"{self.modules[root].path}."
        while (index := members[-1] + 1) < len(self.modules) and self.modules[index].path.startswith(prefix):
            members.append(index)
        members += sorted({each.module for each in scopes}.difference(members))
        place = {index: position for position, index in enumerate(members)}
        return Trace(
            modules=tuple(
                self.modules[index]._replace(
                    path="" if index == root else self.modules[index].path.removeprefix(prefix),
                    parent=place.get(self.modules[index].parent, 0) if index != root else -1,
                )
                for index in members
            ),
            scopes=tuple(
                replace(each, module=place[each.module], parent=max(each.parent - first, -1)) for each in scopes
            ),
            steps=tuple(steps),
            used=self.used,
        )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that the model was given."""
        return self.scopes[0].inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that the model returned."""
        return self.scopes[0].outputs


def specs_in(value: Nested) -> Iterator[TensorSpec]:
    """Every :class:`TensorSpec` in nested tuples, lists and mappings, in order."""
    if isinstance(value, TensorSpec):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from specs_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from specs_in(item)
