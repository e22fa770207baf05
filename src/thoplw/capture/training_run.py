"""Run with gradients: record a forward, the backward passes that torch's own engine drives, and the update.

Autograd passes only kernels to the run. Each belongs to a phase and to a module:

- in a backward pass, to the module whose forward made the node of the graph that is evaluated;
- in a forward inside a backward pass (checkpointing), to the module that runs: a recomputation;
- in a step of an optimizer, or what works on gradients after a backward pass, to the module that owns the weight.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, abstract
from thoplw.capture.abstract_run import AbstractRun
from thoplw.capture.backward import MarkedScopes, Owners
from thoplw.capture.inputs import copied
from thoplw.capture.live_run import LiveRun
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import is_mutable, makes_views, target_of
from thoplw.capture.run import Run
from thoplw.capture.torch_internals import (
    backward_passes,
    current_node,
    graph_task,
    in_transforms,
    is_below_autograd,
    next_node_number,
    number_of_node,
    optimizer_steps,
    recomputations_stopped,
    version_of,
)
from thoplw.record import Call, Phase, Step, TensorSpec, Trained

#: Operators on lists of tensors, one for each weight.
_OF_LISTS = ("aten._foreach_", "aten._fused_ad", "aten._fused_sgd", "aten._amp_foreach_")


#: Inputs with at most this many elements keep their values.
_SMALL = 2**10

#: The operators by which autograd adds gradients.
_SUMS = (torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor)


class GradientProbe:
    """Notes whether a forward asks for gradients, or for forward-mode derivatives, in a run below autograd.

    ``torch.func.grad`` and similar transforms have an autograd of their own, so they get theirs in any run.

    Attributes:
        asked: whether the forward has asked.
    """

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def note(self, create_graph: bool) -> Iterator[None]:
        """Note that the forward asks, and end the run, which has no gradients, by an error."""
        if is_below_autograd() and not in_transforms():
            self.asked = True
            raise RuntimeError("a run below autograd has no gradients: it begins anew, under autograd")
        yield


class Later(tuple[Call, int]):
    """A step of another phase than the forward."""

    phase: Phase

    def __new__(cls, call: Call, scope: int, phase: Phase) -> Later:
        """Make a step."""
        step = super().__new__(cls, (call, scope))
        step.phase = phase
        return step


def phases_of(steps: Sequence[Step]) -> bytes:
    """Return the phase of each step; nothing if all steps are of the forward."""
    phases = bytes([step.phase if type(step) is Later else Phase.FORWARD for step in steps])
    return phases if any(phases) else b""


def _with_gradients(optimizer: Any) -> Iterator[torch.Tensor]:
    """Return the weights of an optimizer that have a gradient."""
    return (each for group in optimizer.param_groups for each in group["params"] if each.grad is not None)


class WithGradients(Run):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """The base class of the runs under autograd, abstract and real."""

    scopes: MarkedScopes

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self._owners = Owners(self.weights, self.scopes)
        self._all = self.steps  # stays the list of all steps; while a composite is taken apart, ``steps`` is another
        self._creating = False  # whether the backward pass makes a graph itself (create_graph=True)
        self._base = 0  # the scope that began the backward pass
        self._unmarked = 0  # the number of the first node that such a pass made, and that has no maker yet
        self._passed = False  # whether there was a backward pass
        self._updating = 0  # how many optimizers are in their step
        self._noted = True  # whether the owners of all gradients are noted
        self._sums: dict[int, tuple[weakref.ref[torch.Tensor], list[int]]] = {}
        self._trained: dict[int, Trained] = {}
        self._versions: dict[int, int] = {}  # identity of a state -> its version before the step of the optimizer

    @property
    def trained(self) -> tuple[Trained, ...]:
        """The weights that have had a gradient."""
        return tuple(self._trained.values())

    def end(self) -> None:
        """Note gradients that no optimizer has seen, while they are there."""
        super().end()
        for key, weight in self.weights.tensors.items():
            if key not in self._trained and weight.requires_grad and weight.is_leaf and weight.grad is not None:
                self._trained[key] = Trained(key, self.specs.of(weight.grad))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what this thread runs, and what threads run to which it gives work."""
        with ExitStack() as stack:
            stack.enter_context(backward_passes(self._pass))
            stack.enter_context(recomputations_stopped(self._stop))
            stack.enter_context(optimizer_steps(self._begin_update, self._end_update))
            stack.enter_context(super().recording())
            yield

    @contextmanager
    def _pass(self, create_graph: bool) -> Iterator[None]:
        """Note a backward pass while it lasts; those of threads outside the run are ignored."""
        if not self.scopes.belongs(get_ident()):
            yield
            return
        before = self._creating, self._base
        self._creating, self._base = create_graph, self.scopes.current
        self._unmarked = next_node_number()
        try:
            yield
        finally:
            self.scopes.current = self._base
            self.scopes.mark(self._base)
            self._creating, self._base = before
            self._passed, self._noted = True, False
            if graph_task() < 0:
                self._sums.clear()

    def _stop(self) -> None:
        """Close the scopes of a recomputation that was stopped early, whose modules do not return."""
        if self.scopes.belongs(get_ident()) and graph_task() >= 0:
            self.scopes.current = self._base

    def _begin_update(self, optimizer: Any, *_: Any) -> None:
        if self.scopes.belongs(get_ident()):
            self._updating += 1
            for weight, state in optimizer.state.items():
                scope = self._owners.of(weight) if isinstance(weight, torch.Tensor) else None
                if scope is not None and isinstance(state, dict):
                    for tensor in tensors_in(state):
                        self._owners.note(tensor, scope)
        for weight in _with_gradients(optimizer):
            for tensor in tensors_in(optimizer.state.get(weight, ())):
                self._versions[id(tensor)] = version_of(tensor)

    def _end_update(self, optimizer: Any, *_: Any) -> None:
        if not self.scopes.belongs(get_ident()):
            return
        self._updating -= 1
        for weight in _with_gradients(optimizer):
            if id(weight) in self.weights.tensors and weight.grad is not None:
                states = tuple(self._changed(optimizer.state.get(weight, ())))
                self._trained[id(weight)] = Trained(id(weight), self.specs.of(weight.grad), True, states)
        self._versions.clear()

    def _changed(self, state: Any) -> Iterator[TensorSpec]:
        """Yield the states that an optimizer has made or written to, without counters, which have no dimension."""
        for tensor in {id(each): each for each in tensors_in(state)}.values():
            if tensor.dim() and self._versions.get(id(tensor)) != version_of(tensor):
                yield self.specs.of(tensor)

    def _run_one(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Run one operator, in whatever phase."""
        return super().__torch_dispatch__(func, types, args, kwargs)  # type: ignore[no-untyped-call] # torch's

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Run one operator, and note its phase."""
        if graph_task() < 0:
            if not (self._passed or self._updating) or torch.is_grad_enabled() or self._is_forward():
                return self._run_one(func, types, args, kwargs)
            return self._update(func, types, args, kwargs)
        if self.steps is not self._all:
            return self._run_one(func, types, args, kwargs)
        first = len(self.steps)
        if self.scopes.current != self._base or (torch.is_grad_enabled() and not self._creating):
            output = self._run_one(func, types, args, kwargs)
            self._note(first, Phase.RECOMPUTATION)
            return output
        scope = self._scope_of(current_node(), args)
        if self._creating:
            self.scopes.mark(scope, self._unmarked)
            self._unmarked = next_node_number()
        output = self._run_one(func, types, args, kwargs)
        self._note(first, Phase.BACKWARD, scope)
        if func in _SUMS:
            earlier = [at for _, steps in self._sums_among(args) for at in steps]
            self._sums[id(output)] = weakref.ref(output), [*earlier, *range(first, len(self.steps))]
        return output

    def _is_forward(self) -> bool:
        """Whether this is no update: a module runs, or, where no optimizer does, there are no gradients to work on."""
        return not self._updating and (not self._passed or self.scopes.inside)

    def _note(self, first: int, phase: Phase, scope: int | None = None) -> None:
        """Have the steps from ``first`` on belong to a phase, and to a scope."""
        for at in range(first, len(self.steps)):
            call, ran = self.steps[at]
            self.steps[at] = Later(call, ran if scope is None else scope, phase)

    def _scope_of(self, node: Any, args: Sequence[Any]) -> int:
        """The scope that an operator of a backward pass belongs to.

        A tensor that was used twice has two gradients. Autograd adds them up while the node that gave the second is
        current. That the sum is the gradient of a weight shows only later, when it is added to ``.grad``.
        """
        if type(node).__name__ != "AccumulateGrad":
            return 0 if node is None else self.scopes.maker_of(number_of_node(node))
        owner = self._owners.of(node.variable) or 0
        for key, steps in list(self._sums_among(args)):
            del self._sums[key]
            for at in steps:
                self.steps[at] = Later(self.steps[at][0], owner, Phase.BACKWARD)
        return owner

    def _sums_among(self, args: Sequence[Any]) -> Iterator[tuple[int, list[int]]]:
        """The sums of gradients among some arguments, with the steps that made them."""
        for value in args:
            found = self._sums.get(id(value))
            if found is not None and found[0]() is value:
                yield id(value), found[1]

    def _update(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Run an operator that works on weights, gradients, or the state of an optimizer; of lists, one by one."""
        if not self._noted:
            self._owners.note_gradients()
            self._noted = True
        count = len(args[0]) if args and type(args[0]) in (list, tuple) else 0
        if count < 2 or not target_of(func).startswith(_OF_LISTS):
            return self._update_one(func, types, args, kwargs)

        def only(at: int, value: Any) -> Any:
            return [value[at]] if type(value) in (list, tuple) and len(value) == count else value

        outputs = []
        for at in range(count):
            each = tuple([only(at, value) for value in args])
            named = {name: only(at, value) for name, value in (kwargs or {}).items()}
            outputs.append(self._update_one(func, types, each, named))
        return [each for output in outputs for each in output] if isinstance(outputs[0], (list, tuple)) else outputs[0]

    def _update_one(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        first = len(self.steps)
        output = self._run_one(func, types, args, kwargs)
        if self.steps is self._all:
            scope = self._owners.among((args, *(kwargs or {}).values()))
            self._note(first, Phase.UPDATE, scope)
            if scope is not None:
                for tensor in tensors_in(output):
                    if tensor.dim() or not is_mutable(func):
                        self._owners.note(tensor, scope)
        return output


class TrainingRun(WithGradients, AbstractRun):  # type: ignore[no-untyped-call] # as above
    """Answer every operator from shapes alone, under autograd."""

    def replace_input(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return one that asks for gradients if the input does; a small one keeps its values, as boxes of a target."""
        small = tensor.is_floating_point() and tensor.numel() <= _SMALL and not (tensor.is_meta or tensor.requires_grad)
        return copied(tensor) if small else super().replace_input(tensor).requires_grad_(tensor.requires_grad)

    def _update_one(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Answer one operator of an update; what an optimizer reads may be any number, as no cost depends on it.

        Adafactor, for example, scales its step by the norm of the weight. A gradient scaler reads whether any gradient
        was infinite, as then there would be no step: none is taken to be.
        """
        if func is torch.ops.aten._local_scalar_dense.default and not self.has_values(args[0]):
            self.assume("a number that an optimizer reads is 1", target_of(func))
            return 1.0
        output = super()._update_one(func, types, args, kwargs)
        if func is torch.ops.aten._amp_foreach_non_finite_check_and_unscale_.default:
            self._values.keep(args[1])
        return output

    def _run_one(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Answer one operator; if it returns an argument unwritten, answer with a new tensor, as autograd expects."""
        output = super()._run_one(func, types, args, kwargs)
        if torch.is_inference_mode_enabled() and makes_views(func) and not args[0].is_inference():
            # A weight was made outside of inference mode. Autograd expects the same of its views.
            with torch.inference_mode(False):
                return map_tensors(output, self._anew)
        if args and output is args[0] and type(output) is AbstractTensor and not is_mutable(func):
            return self._anew(output)
        return output

    def _anew(self, tensor: torch.Tensor) -> torch.Tensor:
        return abstract(tensor.spec, self.device) if type(tensor) is AbstractTensor else tensor


class LiveTrainingRun(WithGradients, LiveRun):  # type: ignore[no-untyped-call] # as above
    """Execute every operator, under autograd."""
