"""Compute the bytes that a model moves between memory and processor, from its record: two figures, never mixed.

*Moved* bytes are those of the operators as they ran, one after the other: each reads its inputs from memory and writes
its outputs there. *Compulsory* bytes are those that any way to run the model must move: the used part of its weights,
the read part of its inputs (a cache is one of them), and its outputs, each once. The difference is what fusing
operators can save.

*Compulsory* bytes of a training step are only those that must be moved in any order of computation. The forward reads
``W`` bytes of weights and ``X`` of inputs. ``T`` bytes of the weights are trained, their gradients take ``T`` too, and
the optimizer keeps ``S`` for them::

                read                            written
    forward     W + X                           0, as the output may go straight into the loss
    backward    B                               T, the gradients
    update      T, the gradients, + T + S       T + S
    all         W + X + S, with T inside W      T + S; without an update T

``B`` are the bytes of weights that products and convolutions of the backward pass take. Each row assumes that a phase
begins when the one before has ended. The last row assumes nothing: an update may take each gradient as it comes, and
then gradients are never written. The forward reads some rows of a table of embeddings, but an update of dense gradients
reads all rows.

The tensors that the forward keeps for the backward pass are not counted. A run may keep others, in fewer bytes, or
compute them again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import compress
from typing import NamedTuple

from thoplw.record import NOTHING, Assumption, Call, Phase, Step, TensorSpec, Trace, Traffic, Trained, Weight
from thoplw.traffic import EMBEDDINGS, UNREAD, elements, is_view, lookup_of, read_by, traffic
from thoplw.traffic.common import size as size_of

#: The assumption about tokens that are sent to experts, in words. Runs and bytes both rest on it.
EVENLY = "routing is spread evenly"


class Active(NamedTuple):
    """Parameters that the work for one token touches.

    Attributes:
        computed: parameters that it computes with.
        looked_up: parameters of whole tables of embeddings, in which it only looks up rows.
        routed: whether the figures rest on how tokens are spread over experts.
    """

    computed: int = 0
    looked_up: int = 0
    routed: bool = False


class _Use(NamedTuple):
    """How operators of a scope, and of scopes inside, use a tensor from outside.

    Attributes:
        read: distinct elements that are read.
        active: elements that the work for one token touches.
        looked_up: whether rows are only looked up.
        routed: whether tokens are spread over several such tensors.
    """

    read: Fraction | int = 0
    active: Fraction | int = 0
    looked_up: bool = True
    routed: bool = False


class _Effects(NamedTuple):
    """What operators do to memory.

    Attributes:
        made: tensors that they write.
        changed: tensors among these that existed before.
        shown: a view -> the tensors whose view it may be.
    """

    made: set[TensorSpec]
    changed: set[TensorSpec]
    shown: dict[TensorSpec, set[TensorSpec]]

    def add(self, other: _Effects) -> None:
        """Add the effects of other operators."""
        self.made.update(other.made)
        self.changed.update(other.changed)
        for spec, sources in other.shown.items():
            self.shown.setdefault(spec, set()).update(sources)


_UNUSED = _Use()

#: Operators of a backward pass that multiply gradients with weights.
_PRODUCTS = frozenset(f"aten.{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "mv"))

#: An operator that does so if its mask asks for the gradient of the input.
_CONVOLUTION = "aten.convolution_backward"

#: Calls that take a tensor in one scope -> how often.
_Takers = Mapping[Call, int]


class Usage:
    """The bytes that the modules of a trace move, and the parameters that they touch, each computed on demand."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._counted = Counter(trace.steps)
        self._forward = self._counted if not trace.phases else Counter(_steps_of(trace, Phase.FORWARD))
        self._trained = {each.key: each for each in trace.trained}
        self._uses: dict[tuple[int, TensorSpec, int], _Use] = {}
        self._open: set[tuple[int, TensorSpec]] = set()  # uses that are being computed

    # -- as the operators ran ------------------------------------------------------------------------------------------

    @cached_property
    def by_scope(self) -> tuple[Traffic, ...]:
        """The bytes that the operators of each scope move, without those of scopes inside."""
        found = [NOTHING] * len(self._trace.scopes)
        for (call, scope), times in self._counted.items():
            moved = self._traffic[call]
            if moved is not NOTHING:
                found[scope] += moved if times == 1 else moved * times
        return tuple(found)

    @cached_property
    def _traffic(self) -> Mapping[Call, Traffic]:
        return {call: traffic(call) for call in {call for call, _ in self._counted}}

    # -- what must be moved in any case --------------------------------------------------------------------------------

    @cached_property
    def compulsory(self) -> tuple[Traffic, ...]:
        """The bytes of each module, with all modules inside: weights, inputs, outputs, and tensors that inputs hold.

        Weights count once, however often a module is called, as it may keep them. Inputs and outputs count for each
        call. The head of this file tells about a training step. Modules inside the model pass on their outputs.
        """
        return tuple(
            Traffic(read=forward.read + more.read, written=forward.written + more.written)
            for forward, more in zip(self._of_forward, map(self._of_training, self._weights_inside), strict=True)
        )

    def of_phase(self, phase: Phase) -> tuple[Traffic, ...]:
        """The same for one phase of a training step, which begins when the one before has ended."""
        if phase is Phase.FORWARD:
            return self._of_forward
        return tuple(self._of_later(phase, read) for read in self._weights_inside)

    @cached_property
    def _of_forward(self) -> tuple[Traffic, ...]:
        trace = self._trace
        read = [sum(sizes.values()) for sizes in self._weights_inside]
        written = [0] * len(trace.modules)
        for index in self._at_work:
            scope = trace.scopes[index]
            given = scope.inputs
            if scope.again:
                again = dict(scope.again)
                given = tuple([spec for at, spec in enumerate(given) if at not in again])
            for spec, times in Counter(given).items():
                read[scope.module] += int(self._use(index, spec).read) * spec.itemsize * times
            if scope.module or not trace.trained:
                written[scope.module] += sum([size_of(spec) for spec in self._written(index)])
        for module, size in self._held_inside().items():
            read[module] += size
        return tuple(Traffic(read=each, written=other) for each, other in zip(read, written, strict=True))

    def _of_training(self, weights: Mapping[int, int]) -> Traffic:
        """Return what a step moves besides its forward, given the bytes that the forward reads of each weight."""
        read = written = 0
        for key, size in weights.items():
            if key in self._trained:
                gradient, states = self._sizes(self._trained[key])
                if self._trained[key].updated:
                    read += max(0, gradient - size) + states
                written += gradient + states
        return Traffic(read=read, written=written)

    def _of_later(self, phase: Phase, weights: Mapping[int, int]) -> Traffic:
        read = written = 0
        for key in weights:
            if phase is Phase.BACKWARD:
                read += self._back_through.get(key, 0)
            if key in self._trained:
                gradient, states = self._sizes(self._trained[key])
                if phase is Phase.BACKWARD:
                    written += gradient
                elif phase is Phase.UPDATE and self._trained[key].updated:
                    read += 2 * gradient + states
                    written += gradient + states
        return Traffic(read=read, written=written)

    def _sizes(self, trained: Trained) -> tuple[int, int]:
        """Return the bytes of a gradient, as many as of its weight, and of states; 0 if the gradient is sparse."""
        if trained.gradient.shape and not trained.gradient.strides:
            return 0, 0
        return size_of(trained.gradient), sum(map(size_of, trained.states))

    @cached_property
    def _back_through(self) -> Mapping[int, int]:
        """The bytes of each weight that the backward pass reads.

        A product takes the weight as it is or transposed. If another tensor of the module has as many elements, the
        product may take that one instead: then the weight counts as not read.
        """
        factors: dict[int, set[TensorSpec]] = defaultdict(set)  # module -> what products take in its backward pass
        for call, scope in {*_steps_of(self._trace, Phase.BACKWARD)}:
            if call.target in _PRODUCTS or (call.target == _CONVOLUTION and call.args[10][0]):
                factors[self._trace.scopes[scope].module].update(call.inputs)
        found: dict[int, int] = {}
        for module, specs in factors.items():
            around: set[int] = set()
            for index in self._calls[module]:
                opened = self._trace.scopes[index]
                around.update(spec.numel for spec in (*opened.inputs, *opened.outputs, *self._effects[index].made))
            for weight in self._trace.modules[module].parameters:
                spec = weight.spec
                if spec.numel not in around and not specs.isdisjoint((spec, _transposed(spec))):
                    found[weight.key] = size_of(spec)
        return found

    def _written(self, index: int) -> list[TensorSpec]:
        """Return the outputs that a scope has written: each tensor once, and no views of its inputs.

        An input that it returns counts if some operator writes to a tensor like it, as ``relu_`` does.
        """
        scope, effects = self._trace.scopes[index], self._effects[index]
        count, again = len(scope.inputs), dict(scope.again)
        returned = {again.get(at, at): spec for at, spec in enumerate(scope.outputs, count)}
        changed = [spec for at, spec in returned.items() if at < count and spec in effects.changed]
        own = [spec for at, spec in returned.items() if at >= count]
        made = [spec for spec in own if spec in effects.made]
        for spec in own:
            if spec not in effects.made and self._is_made(effects, spec, {*made}):
                made.append(spec)
        return changed + made

    def _is_made(self, effects: _Effects, spec: TensorSpec, returned: set[TensorSpec]) -> bool:
        """Whether an output that no operator makes, but perhaps views, lies in memory that was written for it alone."""
        if spec not in effects.shown:
            return spec not in self._lying_there
        seen, waiting = {spec}, [spec]
        while waiting:
            sources = effects.shown.get(waiting.pop(), set()) - seen
            if not returned.isdisjoint(sources):
                return False
            if not effects.made.isdisjoint(sources):
                return True
            seen |= sources
            waiting += sources
        return False

    @cached_property
    def _lying_there(self) -> frozenset[TensorSpec]:
        """The specs of weights and of the inputs of the model."""
        weights = (weight.spec for info in self._trace.modules for weight in (*info.parameters, *info.buffers))
        return frozenset([*weights, *self._trace.given, *self._trace.inputs])

    @cached_property
    def _effects(self) -> list[_Effects]:
        """What the operators of each scope, and of scopes inside, do to memory."""
        found = [_Effects(set(), set(), {}) for _ in self._trace.scopes]
        for (call, scope), _ in self._forward.items():
            effects = found[scope]
            if self._traffic[call] is not NOTHING or call.target in UNREAD:
                effects.made.update(call.outputs)
                if call.args and isinstance(call.args[0], TensorSpec) and call.target.endswith("_"):
                    effects.changed.add(call.args[0])
            elif call.args and isinstance(call.args[0], TensorSpec):
                for spec in call.outputs:
                    if spec != call.args[0]:
                        effects.shown.setdefault(spec, set()).add(call.args[0])
        for index in range(len(found) - 1, 0, -1):
            parent = self._trace.scopes[index].parent
            if parent >= 0:
                found[parent].add(found[index])
        return found

    @cached_property
    def _at_work(self) -> set[int]:
        """The scopes in which, or inside which, some operator moves something."""
        found: set[int] = set()
        for index in {scope for call, scope in self._forward if self._traffic[call] is not NOTHING}:
            for at in self._scopes_around(index):
                if at in found:
                    break
                found.add(at)
        return found

    @cached_property
    def _weights_inside(self) -> list[dict[int, int]]:
        """For each module its weights, and those of modules inside: key -> the bytes that the forward reads of it."""
        modules = self._trace.modules
        inside: list[dict[int, int]] = [{} for _ in modules]
        for index, info in enumerate(modules):
            for weight in (*info.parameters, *info.buffers):
                if weight.key in self._trace.used:
                    use = self._use_of(index, weight)
                    for at in self._modules_around(index):
                        use = self._use_beyond(at, weight, use)
                        size = int(use.read) * weight.spec.itemsize
                        inside[at][weight.key] = max(size, inside[at].get(weight.key, 0))
        return inside

    def _held_inside(self) -> Mapping[int, int]:
        """Return for each module the bytes that it reads of tensors that objects among its inputs hold: of a cache.

        Modules do not get these tensors as arguments: a tensor that an operator takes is one of them if it looks like
        one. An operator may take several in one layer, such as keys and values; other operators take the same again.
        """
        found: Counter[int] = Counter()
        for spec, many in (Counter(self._trace.given) - Counter(self._trace.inputs)).items():
            takers: dict[int, Counter[str]] = defaultdict(Counter)  # module -> operator -> how often it takes one
            read: dict[int, int] = defaultdict(int)
            for scope, consumers in enumerate(self._consumers):
                for call, times in consumers.get(spec, {}).items():
                    for at in self._scopes_around(scope):
                        module = self._trace.scopes[at].module
                        takers[module][call.target] += times * read_by(call).count(spec)
                        read[module] = max(read[module], int(self._use(scope, spec).read))
            for module, counts in takers.items():
                found[module] += min(many, max(counts.values())) * read[module] * spec.itemsize
        return found

    # -- what one token touches ----------------------------------------------------------------------------------------

    def active(self, weight: Weight) -> Active:
        """Return the part of a weight that the work for one token touches.

        Experts count by the rows that they get for each token: with 2 of 8 experts, a quarter of them all.
        """
        if weight.key not in self._trace.used:
            return Active()
        uses = [self._use_of(owner, weight) for owner in self._owners[weight.key]]
        around = [at for owner in self._owners[weight.key] for at in self._modules_around(owner)]
        use = _largest([*uses, *(self._use_beyond(at, weight, use) for use in uses for at in around)])
        if use.looked_up and use.read:
            return Active(looked_up=weight.spec.numel)
        return Active(computed=round(min(use.active, weight.spec.numel)), routed=use.routed)

    # -- who uses what -------------------------------------------------------------------------------------------------

    @cached_property
    def _consumers(self) -> list[dict[TensorSpec, dict[Call, int]]]:
        """For each scope: tensor -> the calls that take one like it, and how often each."""
        found: list[dict[TensorSpec, dict[Call, int]]] = [{} for _ in self._trace.scopes]
        takes = {
            call: tuple(dict.fromkeys(read_by(call)))
            for call, moved in self._traffic.items()
            if moved is not NOTHING or is_view(call)
        }
        for (call, scope), times in self._forward.items():
            for spec in takes.get(call, ()):
                found[scope].setdefault(spec, {})[call] = times
        return found

    @cached_property
    def _inner(self) -> list[dict[TensorSpec, list[int]]]:
        """For each scope: tensor -> the scopes that it opened with one like it as an input."""
        found: list[dict[TensorSpec, list[int]]] = [{} for _ in self._trace.scopes]
        for index, scope in enumerate(self._trace.scopes):
            if scope.parent >= 0:
                for spec in {*scope.inputs}:
                    found[scope.parent].setdefault(spec, []).append(index)
        return found

    @cached_property
    def _owners(self) -> Mapping[int, list[int]]:
        """The modules that hold each weight; several if embeddings are tied."""
        found: dict[int, list[int]] = defaultdict(list)
        for index, info in enumerate(self._trace.modules):
            for weight in (*info.parameters, *info.buffers):
                found[weight.key].append(index)
        return found

    @cached_property
    def _calls(self) -> Mapping[int, list[int]]:
        """The scopes of each module."""
        found: dict[int, list[int]] = defaultdict(list)
        for index, scope in enumerate(self._trace.scopes):
            found[scope.module].append(index)
        return found

    def _scopes_around(self, scope: int) -> Iterator[int]:
        """Yield a scope, and those that hold it."""
        while scope >= 0:
            yield scope
            scope = self._trace.scopes[scope].parent

    def _modules_around(self, module: int) -> Iterator[int]:
        """Yield a module, and those that hold it."""
        while module >= 0:
            yield module
            module = self._trace.modules[module].parent

    def _use_of(self, module: int, weight: Weight) -> _Use:
        """Return how a weight is used by the module that owns it; else by a module that holds that one; else by any.

        If a module only gives views of the weight to others, such as ``self.table[:n]``, the use of the views counts.
        A weight that no operator seems to take, such as a packed one, counts as read as a whole.
        """
        spec = weight.spec
        for at in self._modules_around(module):
            found = _largest([self._use(scope, spec) for scope in self._calls.get(at, ())])
            if found.read:
                return found
        found = self._anywhere(spec)
        if found.read:
            return found
        views = {
            piece
            for consumers in self._consumers
            for call in consumers.get(spec, ())
            if self._shows(call)
            for piece in call.outputs
        }
        whole = elements(spec)
        if not views:
            return _Use(whole, whole, looked_up=False)
        shown = _together([self._anywhere(piece) for piece in views])
        return shown._replace(read=min(whole, shown.read), active=min(whole, shown.active))

    def _anywhere(self, spec: TensorSpec) -> _Use:
        """Return how a tensor is used in any scope."""
        return _largest([self._use(scope, spec) for scope in range(len(self._trace.scopes))])

    def _use_beyond(self, module: int, weight: Weight, use: _Use) -> _Use:
        """Return how a module uses a weight, if the owner of the weight only looks up rows.

        Models with tied embeddings use the table as a matrix without a module: ``x @ self.wte.weight.T``.
        """
        if not use.looked_up or weight.spec in self._effects[0].made or self._alike[weight.spec] > 1:
            return use  # nothing tells which tensor the operators take there
        return _largest([use, *(self._use(scope, weight.spec) for scope in self._calls.get(module, ()))])

    @cached_property
    def _alike(self) -> Mapping[TensorSpec, int]:
        """How many used weights have the same spec."""
        weights = (weight for info in self._trace.modules for weight in (*info.parameters, *info.buffers))
        used = {weight.key: weight.spec for weight in weights if weight.key in self._trace.used}
        return Counter(used.values())

    def _use(self, scope: int, spec: TensorSpec, pieces: int = 1) -> _Use:
        """Return how a tensor is used in a scope, and in the scopes inside that get it.

        If several pieces of one tensor look alike, as the weights of experts do, this is the average use of a piece.
        """
        key = scope, spec, pieces
        known = self._uses.get(key)
        if known is None:
            if (scope, spec) in self._open:  # a view of a view may look like the tensor
                return _UNUSED
            self._open.add((scope, spec))
            known = self._uses[key] = self._work_out(scope, spec, pieces)
            self._open.remove((scope, spec))
        return known

    def _work_out(self, scope: int, spec: TensorSpec, pieces: int) -> _Use:
        takers = self._consumers[scope].get(spec, {})
        whole = elements(spec)
        if any(not self._shows(call) and lookup_of(call) is None for call in takers):
            return self._as_a_whole(scope, spec, pieces, takers)
        uses = [self._use(at, spec) for at in self._inner[scope].get(spec, ())]
        # A view that looks like the tensor, such as from detach(), is used where the tensor is.
        shown = Counter(piece for call in takers if self._shows(call) for piece in call.outputs if piece != spec)
        parts = [self._use(scope, piece, pieces * many) for piece, many in shown.items() for _ in range(many)]
        parts += [self._looked_up(scope, call, times) for call, times in takers.items() if not self._shows(call)]
        together = _together(parts)
        uses.append(together._replace(read=min(whole, together.read), active=min(whole, together.active)))
        return _largest(uses)

    def _shows(self, call: Call) -> bool:
        """Whether a call moves nothing, because its output is a view of its input."""
        return is_view(call) and self._traffic[call] is NOTHING

    def _looked_up(self, scope: int, call: Call, times: int) -> _Use:
        """Return how some equal calls use the argument of which they read a part.

        A lookup of experts reads, for each token, as much as it puts out. A product of routed rows computes with the
        part of the matrices that one row meets.
        """
        lookup = lookup_of(call)
        assert lookup is not None  # its callers asked
        table: TensorSpec = call.args[lookup.position]
        if call.target in EMBEDDINGS:
            return _Use(lookup.elements * times, looked_up=True)
        whole = elements(table)
        active: Fraction | int = whole
        tokens, routed = self._tokens(scope), False
        if tokens and lookup.position == 1:  # rows and matrices
            active, routed = Fraction(whole * call.args[0].shape[0], table.shape[0] * tokens), True
        elif tokens and _chooses(call):
            active, routed = Fraction(call.outputs[0].numel * times, tokens), True
        return _Use(lookup.elements * times, min(whole, active), looked_up=False, routed=routed)

    def _as_a_whole(self, scope: int, spec: TensorSpec, pieces: int, takers: _Takers) -> _Use:
        """Return how a tensor is used that some operator reads as a whole.

        Not all tokens meet it if experts share them: in a module that chooses experts by assumption, or if a weight is
        split into pieces, and an operator gets one piece for each expert.
        """
        whole = elements(spec)
        chooser = next((at for at in self._scopes_around(scope) if at in self._choosers), None)
        if pieces == 1 and chooser is None:
            return _Use(whole, whole, looked_up=False)
        reads, rows = Counter[str](), Counter[str]()
        for call, times in takers.items():
            reads[call.target] += times
            rows[call.target] += times * _rows(call.outputs)
        tokens = self._tokens(scope if chooser is None else chooser)
        read = min(Fraction(1), Fraction(max(reads.values()), pieces))
        active = min(Fraction(1), Fraction(max(rows.values()), tokens * pieces)) if tokens else read
        return _Use(whole * read, whole * active, looked_up=False, routed=True)

    @cached_property
    def _choosers(self) -> frozenset[int]:
        """The scopes that chose experts."""
        return frozenset(each.scope for each in self._trace.assumptions if each.statement == EVENLY)

    def _tokens(self, scope: int) -> int:
        """Return how many rows of floating-point numbers a module gets."""
        given = (spec for spec in self._trace.scopes[scope].inputs if "float" in spec.dtype)
        return _rows(tuple(given))


def _steps_of(trace: Trace, phase: Phase) -> Iterator[Step]:
    return compress(trace.steps, map(phase.__eq__, trace.phases))


def _transposed(spec: TensorSpec) -> TensorSpec:
    """``[N, M] -> [M, N]``, over the same memory."""
    return replace(spec, shape=spec.shape[::-1], strides=spec.strides[::-1])


def _rows(specs: tuple[TensorSpec, ...]) -> int:
    """``[*, D]``: the product of all dimensions but the last, of the first tensor; 0 if there is none."""
    return specs[0].numel // (specs[0].shape[-1] or 1) if specs and specs[0].shape else 0


def _together(uses: list[_Use]) -> _Use:
    """Return the sum of several uses of different parts of one tensor."""
    return _Use(
        sum([use.read for use in uses]),
        sum([use.active for use in uses]),
        all(use.looked_up for use in uses if use.read),
        any(use.routed for use in uses),
    )


def _largest(uses: list[_Use]) -> _Use:
    """Return the largest of several uses of one tensor."""
    uses = [use for use in uses if use.read]
    if not uses:
        return _UNUSED
    return _Use(
        max(use.read for use in uses),
        max(use.active for use in uses),
        all(use.looked_up for use in uses),
        any(use.routed for use in uses),
    )


def _chooses(call: Call) -> bool:
    """Whether the indices of a lookup are those of experts, which spread evenly."""
    return any(index.density != 1 for index in call.inputs[1:])


def doubts(trace: Trace) -> list[Assumption]:
    """Return the assumptions of bytes that the run did not make: how many experts get a row."""
    routed = {
        call for call in {call for call, _ in trace.steps} if (lookup := lookup_of(call)) is not None and lookup.routed
    }
    if not routed:
        return []
    return [Assumption(EVENLY, call.target, scope) for call, scope in trace.steps if call in routed]
