"""The record of one run of a model: its modules, their calls, and the operators that ran in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from thoplw.errors import InputError, ThoplwError
from thoplw.record.call import Call, Expand, Step
from thoplw.record.spec import TensorSpec
from thoplw.record.storage import Lifetimes


@dataclass(slots=True)
class Scope:
    """One call of a module.

    Attributes:
        module: index into ``Trace.modules``.
        parent: index of the calling scope, ``-1`` for the outermost.
        inputs: the tensors among the module's arguments.
        outputs: the tensors among what it returned; empty while (or if) it did not return.
        again: of inputs and outputs, in one row, those that stand there before: each place, and the first one.
            ``attention(x, x, y) -> y`` has ``((1, 0), (3, 2))``.
    """

    module: int
    parent: int
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    again: tuple[tuple[int, int], ...] = ()


class Weight(NamedTuple):
    """A parameter or buffer under its name in the module that owns it.

    ``key`` is the same for weights that are one tensor, such as tied embeddings; ``trainable`` says whether it requires
    a gradient.
    """

    name: str
    key: int
    spec: TensorSpec
    trainable: bool = False


class Trained(NamedTuple):
    """What a training step does with a weight that has a gradient.

    Attributes:
        key: of the weight.
        gradient: how its gradient looks.
        updated: whether an optimizer took a step with it.
        states: what that optimizer keeps for it from one step to the next, and has changed; without single numbers.
    """

    key: int
    gradient: TensorSpec
    updated: bool = False
    states: tuple[TensorSpec, ...] = ()


class ModuleInfo(NamedTuple):
    """A module of the model, in definition order.

    Attributes:
        path: as in ``model.get_submodule(path)``; empty for the model itself.
        classes: its class, and every class that this is derived from, as :func:`~thoplw.record.class_names` says them.
        class_name: the name of the class as its author knows it: of the original class, for a scripted module.
        parent: index of the module that holds it, ``-1`` for the model itself.
        opaque: whether calls of its submodules go unseen, as those of a scripted module do.
        parameters: its own parameters, without its children's.
        buffers: its own buffers.
        container: whether modules of its class only hold others, or the packed weights of a quantised module: that no
            call of one is seen says nothing.
    """

    path: str
    classes: tuple[str, ...]
    class_name: str
    parent: int
    opaque: bool = False
    parameters: tuple[Weight, ...] = ()
    buffers: tuple[Weight, ...] = ()
    container: bool = False


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
    """An assumption about values that an abstract run does not have.

    ``statement`` is the assumption, ``target`` the operator that needed the value, ``scope`` the index of its scope.
    """

    statement: str
    target: str
    scope: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The record of one run of a model.

    Attributes:
        modules: all modules of the model, in definition order; the model itself is the first.
        scopes: one per call of a module, in the order in which they began; the model's own is the first.
        steps: one per operator, in order.
        used: keys of the parameters and buffers that some operator took.
        assumptions: assumptions about unknown values: if there is any, figures are an estimate.
        torch: version of torch that ran the model.
        complete: whether the steps hold the parts of every composite operator.
        in_pieces: whether composite operators arrived as their parts, as they do under autograd.
        phases: the :class:`~thoplw.record.Phase` of each step, a byte each; empty where all are of the forward.
        unread: keyword inputs that the forward does not name, and that no operator read.
        given: every tensor in the inputs, those that objects such as a cache hold among them.
        lifetimes: which memory there was, and when; ``None`` where that was not asked for.
        trained: the weights that have a gradient after a training step; empty where there was none.
    """

    modules: tuple[ModuleInfo, ...]
    scopes: tuple[Scope, ...]
    steps: tuple[Step, ...]
    used: frozenset[int] = frozenset()
    assumptions: tuple[Assumption, ...] = ()
    torch: str = ""
    complete: bool = False
    in_pieces: bool = False
    phases: bytes = b""
    unread: tuple[str, ...] = ()
    given: tuple[TensorSpec, ...] = ()
    lifetimes: Lifetimes | None = None
    trained: tuple[Trained, ...] = ()

    def completed(self, expand: Expand) -> Trace:
        """The same record with the parts of every composite operator, so that it can be priced without torch.

        ``pickle.dumps(trace.completed(thoplw.capture.expand))`` is all that a worker needs to price a model.
        An operator that cannot be taken apart stays whole: where a convention has no price for it, it is uncounted.
        """
        known: dict[Call, Call] = {}
        steps = tuple([(_with_parts(call, expand, known), scope) for call, scope in self.steps])
        return replace(self, steps=steps, complete=True)

    def expander(self, expand: Expand | None) -> Expand:
        """The function that takes composite operators apart: ``expand``, or one that reads their recorded parts.

        Raises:
            InputError: ``expand`` is None, and the record does not hold the parts.
        """
        if expand is not None:
            return expand
        if not self.complete:
            raise InputError(
                f"the record of {self.modules[0].class_name} lacks the parts of composite operators, which have no "
                "price of their own in some conventions: price trace.completed(thoplw.capture.expand), or give "
                "expand=thoplw.capture.expand"
            )
        return _recorded

    def parts(self, caller: int = 0) -> Iterator[tuple[tuple[int, ...], Trace]]:
        """What each call from some module saw, as if its own was the whole model, and which its scopes are.

        Those of two calls may lie between each other, if two threads made them.

        Args:
            caller: index of the module that makes the calls: the outermost one, if none is given.
        """
        calls: dict[int, list[int]] = {}
        place: dict[int, tuple[int, int]] = {}  # scope -> the call that it is part of, and its index there
        for index, scope in enumerate(self.scopes):
            inside = scope.parent in place
            if inside or (scope.parent >= 0 and self.scopes[scope.parent].module == caller):
                call = place[scope.parent][0] if inside else index
                members = calls.setdefault(call, [])
                place[index] = call, len(members)
                members.append(index)
        steps: dict[int, list[Step]] = {call: [] for call in calls}
        for done, at in self.steps:
            if at in place:
                call, position = place[at]
                steps[call].append((done, position))
        assumed: dict[int, list[Assumption]] = {call: [] for call in calls}
        for each in self.assumptions:
            if each.scope in place:
                call, position = place[each.scope]
                assumed[call].append(each._replace(scope=position))
        for call, members in calls.items():
            parents = [-1, *(place[self.scopes[at].parent][1] for at in members[1:])]
            yield tuple(members), self._part(members, parents, steps[call], assumed[call])

    def _part(self, places: list[int], parents: list[int], steps: list[Step], assumed: list[Assumption]) -> Trace:
        """The modules inside of a module follow it, but for those that were known before it.

        As these had been called by themselves, they come last, under the names that they have here.
        """
        scopes = [self.scopes[at] for at in places]
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
                [
                    replace(each, module=place[each.module], parent=parent)
                    for each, parent in zip(scopes, parents, strict=True)
                ]
            ),
            steps=tuple(steps),
            used=self.used,
            assumptions=tuple(assumed),
            torch=self.torch,
            complete=self.complete,
            in_pieces=self.in_pieces,
        )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that the model was given."""
        return self.scopes[0].inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that the model returned."""
        return self.scopes[0].outputs


_recorded: Expand = attrgetter("parts")


def _with_parts(call: Call, expand: Expand, known: dict[Call, Call]) -> Call:
    """A call with its parts at every depth; ``known`` caches results, as steps share calls."""
    if call not in known:
        try:
            parts = expand(call)
        except ThoplwError:  # for example, its parts need values
            parts = None
        known[call] = call
        if parts is not None:
            known[call] = replace(call, parts=tuple([_with_parts(part, expand, known) for part in parts]))
    return known[call]
