"""Run on abstract tensors, by three laws.

- An operator on an abstract tensor returns abstract tensors. A rule of :mod:`thoplw.shapes` gives their shapes, or
  else torch's own meta kernel. The answer is remembered by operator and input specs, because models repeat themselves.
- An operator on real tensors alone (token ids, masks, positions, shape arithmetic) is executed, so that its values can
  steer the model. It is recorded like any other operator.
- Floating-point parameters and buffers of the model are abstract wherever they live, except for single numbers, such
  as flags, which the model may read. No operator writes to a tensor of the model. If an operator should write
  something abstract to a real tensor, the values of that tensor are *lost*: from then on it counts as abstract.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import partial
from operator import attrgetter
from typing import Any

import torch

from thoplw import shapes
from thoplw.capture.abstract import REAL_LIMIT, AbstractTensor, abstract, may_steer
from thoplw.capture.answers import higher_order, meta_kernel, nested, sparse, trial
from thoplw.capture.answers.data_dependent import ASSUMPTIONS, Decisions, has_masks, take_for_granted
from thoplw.capture.answers.density import density_after, with_density
from thoplw.capture.answers.known_values import KnownValues
from thoplw.capture.answers.lengths import with_lengths
from thoplw.capture.answers.memo import Answer, Memo, Operator
from thoplw.capture.distributed import refuse_split
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import INDEXING, is_composite, is_higher_order, size_bound, target_of, written
from thoplw.capture.restore.memories import Memories
from thoplw.capture.run import Run
from thoplw.capture.torch_internals import (
    SPARSE,
    autocast_around,
    is_jagged,
    make_wrapper,
    memory_of,
    with_other_rows,
)
from thoplw.capture.torch_names import named
from thoplw.errors import InputError, ThoplwError
from thoplw.record import Call, TensorSpec, TorchName

#: Operators that read the shape of the tensor that they are given, and not its values.
_VALUE_FREE = frozenset(
    f"aten.{name}" for name in ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
)

#: Operators that do not change the values of a tensor, although their schema says that they write to it.
_WRITES_NO_VALUES = frozenset({"aten.detach_"})

#: What tensors there are among the arguments of a call, as bits: the ``kinds`` below.
_ABSTRACT, _REAL, _STRIDELESS = 1, 2, 4

#: The most elements that a real tensor may be resized to. Nothing is written to them, so they take no memory yet.
_MOST_RESIZED = 2**28

_INTS, _ABSTRACTS = {int}, {AbstractTensor}

_TOKEN = attrgetter("token")

#: The most frequent classes whose objects stay as they are in records.
_NUMBERS = frozenset({int, float, bool, type(None)})


class AbstractRun(Run):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Answer every operator that touches an abstract tensor from shapes alone; execute the others.

    Attributes:
        memo: the answers of operators so far.
    """

    executes = False

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self.memo = Memo()
        self._operators = self.memo.operators
        self._memories = Memories()
        self._values = KnownValues(self.specs, self.weights, self._memories.save_version)
        self._decisions = Decisions(self._values)
        self._created: list[weakref.ref[torch.Tensor]] = []
        self._new = set[int]()  # the memories of the tensors in _created
        self._sparse = set[int]()  # the identities of the user's sparse tensors
        # Looked up for every weight that an operator is given, hence no attribute of an attribute.
        self._weights = self.weights.specs
        self._valueless = self.specs.valueless

    def replace_input(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return an abstract tensor for an input; a copy of it if it is a small tensor of integers or booleans."""
        if tensor.is_nested and not is_jagged(tensor):
            return nested.replace_input(self, tensor)
        if is_jagged(tensor):
            return with_other_rows(tensor, self.replace_input)
        if tensor.layout is not torch.strided:
            return super().replace_input(tensor)
        if tensor.is_meta or not may_steer(tensor.dtype, tensor.numel()):
            return abstract(self.specs.of(tensor), self.device)
        return super().replace_input(tensor)

    def has_values(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor has values, and none of them is lost."""
        return self._values.has(tensor)

    def thaw(self, value: Any) -> Any:
        """Turn what a record keeps into arguments again: specs into abstract tensors, names into objects of torch."""
        if isinstance(value, TensorSpec):
            return abstract(self.specs.intern(value), self.device)
        if isinstance(value, (tuple, list)):
            return type(value)(map(self.thaw, value))
        if isinstance(value, dict):
            return {name: self.thaw(item) for name, item in value.items()}
        return named(value) if isinstance(value, TorchName) else value

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Answer one operator and record it."""
        operator = self._operators.get(id(func))
        if operator is None:
            if is_higher_order(func):
                return higher_order.answer(self, func, args, kwargs or {})
            operator = self.memo.meet(func)
        parts: list[Any] = []
        if operator.varies:
            if operator.packed:
                args, kwargs = with_lengths(self, func, args, kwargs or {})
            elif (cast := autocast_around()) is not None:  # it casts what the pieces of a composite are given
                parts.append((self.within_cast, cast))
        kinds = 0
        for value in args:
            cls = type(value)  # most arguments are of these two classes: they need no call of _read
            if cls is AbstractTensor:
                parts.append(value.token)
                kinds |= _ABSTRACT
            elif cls is int:
                parts.append(value)
            else:
                kinds |= self._read(value, parts)
        if kwargs:
            for name, value in kwargs.items():
                parts.append(name)
                kinds |= self._read(value, parts)
        else:
            kwargs = {}
        key = tuple(parts)
        if kinds != _ABSTRACT:
            if kinds > _ABSTRACT | _REAL:
                return self._without_strides(func, args, kwargs)
            if not kinds & _ABSTRACT and self._can_execute(operator, key, args, kwargs):
                return self.execute(func, args, kwargs, operator.executed[key])
        answer = operator.answers.get(key)
        if operator.refuses is not None and (reason := operator.refuses(self.has_values, *args, **kwargs)):
            raise self._refused(func, reason)
        if answer is None:
            if kinds & _ABSTRACT and operator.decides:
                if operator.target not in INDEXING:
                    if operator.target in ASSUMPTIONS:
                        self._check(operator, args, kwargs)
                        self._try(func, args, kwargs)
                    return self._decisions.answer(self, func, args, kwargs)
                if has_masks(args[1]):
                    args = (args[0], self._decisions.without_masks(self, args[0], args[1]), *args[2:])
                    return self.__torch_dispatch__(func, types, args, kwargs)
            answer = self._first_time(operator, args, kwargs, key, kinds)
            if type(answer) is not Answer:
                return answer
        # The lines below are written for speed: most calls of a model are not the first of their kind.
        self.steps.append((answer.call, -1 if self.scopes is None else self.scopes.current))
        if answer.wrapper is not None:
            tensor = make_wrapper(AbstractTensor, *answer.wrapper)
            tensor.spec = answer.spec
            tensor.token = answer.token
            return tensor
        if answer.writes and kinds & _REAL:
            self._values.lose(func, args, kwargs)
        if answer.same is not None:
            return kwargs[answer.same] if isinstance(answer.same, str) else args[answer.same]
        if answer.spec is None:
            return self.thaw(answer.call.output)
        tensor = abstract(answer.spec, self.device)
        if answer.assumed is not None:
            tensor.assumed = partial(take_for_granted, self, answer.call.target, *answer.assumed)
        return tensor

    def _read(self, value: Any, parts: list[Any]) -> int:
        """Append the key of an argument to ``parts``; return which kinds of tensor are in the argument."""
        cls = type(value)
        if cls is int or value is None:
            parts.append(value)
        elif cls is bool or cls is float or cls is complex:
            parts.append((cls, value))  # 1, 1.0 and True are equal, but different arguments
        elif cls is list or cls is tuple:
            classes = {*map(type, value)}
            if classes == _INTS:
                parts.append(tuple(value))
                return 0
            if classes == _ABSTRACTS:
                parts.append(tuple(map(_TOKEN, value)))
                return _ABSTRACT
            inner: list[Any] = []
            kinds = 0
            for each in value:
                kinds |= self._read(each, inner)
            parts.append(tuple(inner))
            return kinds
        elif cls is AbstractTensor:
            parts.append(value.token)
            return _ABSTRACT
        elif isinstance(value, torch.Tensor):
            identity = id(value)
            self.used.add(identity)
            spec = self._weights.get(identity)
            if spec is not None and id(spec) in self._valueless:
                parts.append(id(spec))
                return _ABSTRACT
            if value.layout is not torch.strided or value.is_nested:
                return _STRIDELESS
            if spec is None:
                refuse_split("a tensor that the forward takes", (cls,))
            parts.append(id(self.specs.of(value)))
            return _ABSTRACT if value.is_meta or self._values.are_lost(value) else _REAL
        else:
            # An argument without a hash gets a key that is never found again.
            parts.append(object() if cls.__hash__ is None else value)
        return 0

    def _can_execute(self, operator: Operator, key: tuple[Any, ...], args: Any, kwargs: dict[str, Any]) -> bool:
        if key not in operator.executed:
            if size_bound(args) > REAL_LIMIT:
                return False
            operator.executed[key] = {}
        if not operator.writes:
            return True
        targets = [*written(operator.func, args, kwargs)]
        if self._values.belong_to_the_model(targets) or any(map(_is_large, targets)):
            self._values.lose(operator.func, args, kwargs)
            return False
        if operator.target not in _WRITES_NO_VALUES:
            for tensor in targets:
                self.save(tensor)
        return True

    def own(self, tensors: Iterable[torch.Tensor]) -> None:
        """Note which sparse tensors are the user's."""
        self._sparse |= {id(tensor) for tensor in tensors if tensor.layout in SPARSE}

    def save(self, tensor: torch.Tensor) -> None:
        """Save the values of a tensor, unless the run itself made it."""
        if type(tensor) is AbstractTensor:
            return
        if id(tensor) in self._sparse if tensor.layout in SPARSE else memory_of(tensor) not in self._new:
            self._memories.save((tensor,))

    def finish(self) -> None:
        """Put back the values of the tensors that were written to."""
        self._memories.put_back()

    def doubtful(self) -> list[torch.Tensor]:
        """Return the tensors of the run, if values were assumed or lost: their values may follow from these."""
        if not (self.assumptions or self._values.any_lost):
            return []
        return [tensor for reference in self._created if (tensor := reference()) is not None]

    def execute(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], records: dict[int, Call] | None = None
    ) -> Any:
        """Run an operator for real, and record it.

        A model on the meta device asks for tensors on that device; it gets them on the device of the inputs.

        Args:
            func: the operator.
            args: its positional arguments.
            kwargs: its keyword arguments.
            records: the calls so far with equal arguments, by the identity of the spec that they returned.
        """
        if torch.device in map(type, (*args, *kwargs.values())):
            args = tuple(map(self._on_device, args))
            kwargs = {name: self._on_device(value) for name, value in kwargs.items()}
        output = self.compute(func, args, kwargs)
        if records is None or not isinstance(output, torch.Tensor):
            self.record_executed(func, args, kwargs, output)
        else:
            returned = id(self.specs.of(output))
            if returned not in records:
                records[returned] = self.executed(func, args, kwargs, output)
            self.record(records[returned])
        self._note_created(output, args, kwargs)
        return output

    def _on_device(self, value: Any) -> Any:
        return self.device if isinstance(value, torch.device) and value.type == "meta" else value

    def _note_created(self, output: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note the tensors that an operator created, in new memory."""
        given = [*tensors_in(args), *tensors_in(kwargs)]
        before = {*map(id, given)}
        returned = [tensor for tensor in tensors_in(output) if id(tensor) not in before]
        if returned:
            old = {*map(memory_of, given)} - self._new
            # A memory is known by its address, and a new tensor may lie where an earlier tensor of the run was.
            for tensor in returned:
                memory = memory_of(tensor)
                if memory not in old:
                    self._new.add(memory)
                    self._created.append(weakref.ref(tensor))

    def _without_strides(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer an operator that is given a sparse, nested or jagged tensor."""
        if any(map(nested.is_nested, tensors_in((args, kwargs)))):
            return nested.answer(self, func, args, kwargs)
        if any(map(is_jagged, tensors_in((args, kwargs)))):
            return nested.of_jagged(self, func, args, kwargs)
        if is_composite(func) and not sparse.is_product(func, args, kwargs):
            output, parts = self.take_apart(func, args, kwargs)
            self.record(self.call(func, args, kwargs, output, parts))
            return output
        return sparse.answer(self, self._values, func, args, kwargs)

    def knows(self, value: Any) -> bool:
        """Return whether a value is known: that of a number, and of a tensor if it has values or some are assumed."""
        return (
            not isinstance(value, torch.Tensor)
            or self._values.has(value)
            or (type(value) is AbstractTensor and value.assumed is not None)
        )

    def answer_higher_order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the output that a shape rule gives for an operator that takes functions."""
        target = target_of(func)
        shaped = shapes.RULES[target](*self.freeze(args)) if target in shapes.RULES else None
        if shaped is None:
            raise self.refuse(
                InputError(
                    f"{target} {self.where()} takes functions, and thoplw does not know the shape of its result. "
                    "execute=True runs it on real tensors; if it has no price then, give it one with custom_ops"
                )
            )
        return self.thaw(shaped)

    def _first_time(
        self, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], key: tuple[Any, ...], kinds: int
    ) -> Any:
        """Answer a call that is the first of its kind.

        Returns:
            The answer, which is remembered; or the output itself, if an equal call may have another output.
        """
        func, target, rule = operator.func, operator.target, operator.rule
        if operator.unusual:
            if nested.makes_nested(func):
                return nested.answer(self, func, args, kwargs)
            if sparse.makes_sparse(func):
                return sparse.answer(self, self._values, func, args, kwargs)
            if _copies_buffer(target, args):
                return self.execute(func, args, kwargs)
        seen = tuple(
            [
                value.spec if type(value) is AbstractTensor else value if type(value) in _NUMBERS else self._seen(value)
                for value in args
            ]
        )
        named = self.freeze_named(kwargs) if kwargs else {}
        shaped = None if rule is None else rule(*seen, **named)
        if shaped is not None:
            same: meta_kernel.Position = 0 if shaped is shapes.SAME else None
            returned = self._interned(shaped) if same is None else seen[0]
            call = Call(target=target, overload=operator.overload, args=seen, kwargs=named, output=returned)
        else:
            self._check(operator, args, kwargs)
            if (rule is None or (operator.varies and autocast_around() is not None)) and is_composite(func):
                return self._compose(operator, args, kwargs, key, kinds)
            output, position = self._ask_meta(func, args, kwargs)
            self._try(func, args, kwargs, output)
            if target in _VALUE_FREE and _is_small_integer(output):
                return self._fill(func, args, kwargs)
            if isinstance(position, tuple):
                self.record(self.call(func, args, kwargs, output))
                self._values.lose(func, args, kwargs)
                pairs = [(_at(one, args, kwargs), each) for one, each in zip(position, output, strict=True)]
                return tuple(
                    [
                        self.thaw(self.freeze(each)) if given is None else self.reshaped(func, given, each)
                        for given, each in pairs
                    ]
                )
            same, given = position, _at(position, args, kwargs)
            if given is not None and (torch.Tag.inplace_view in func.tags or given.shape != output.shape):
                self.record(self.call(func, args, kwargs, output))
                self._values.lose(func, args, kwargs)
                return self.reshaped(func, given, output)
            layout = shapes.layout_of(target, operator.overload, torch.Tag.pointwise in func.tags)
            if same is None and layout is not None:
                output = self._laid_out(layout, output, seen, named)
            call = self.call(func, seen, named, output)
        if operator.density and (density := density_after(target, seen)) is not None:
            call = with_density(self.specs, call, *density)
        answer = Answer(call, same, operator.writes, self.device)
        self.memo.remember(operator, key, answer)
        return answer

    def reshaped(self, func: Any, given: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Give a tensor the shape that an operator gives it: a view in place such as ``squeeze_``, or ``out=``."""
        if type(given) is AbstractTensor:
            given.change_shape(self.specs.of(output))
        elif any(reference() is given for reference in self._created) and output.numel() <= _MOST_RESIZED:
            reach = sum((size - 1) * step for size, step in zip(output.shape, output.stride(), strict=True)) + 1
            given.resize_(reach if output.numel() else 0).as_strided_(output.shape, output.stride())
        elif given.shape != output.shape:
            raise self.refuse(
                InputError(
                    f"{func} {self.where()} changes the shape of a real tensor from {tuple(given.shape)} to "
                    f"{tuple(output.shape)}, and a run that computes only shapes cannot follow that. execute=True "
                    "counts it on real tensors"
                )
            )
        return given

    def _seen(self, value: Any) -> Any:
        """Convert an argument to what records keep."""
        if type(value) is list:  # most often of sizes or tensors
            classes = {*map(type, value)}
            return tuple(value) if classes == _INTS else self.freeze(value)
        spec = self._weights.get(id(value))  # most other arguments are weights
        return spec if spec is not None and id(spec) in self._valueless else self.freeze(value)

    def _check(self, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if operator.checks is not None and (reason := operator.checks(*args, **kwargs)):
            raise self._refused(operator.func, reason)

    def _try(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any = None) -> None:
        """Refuse what a real kernel refuses though a meta kernel answered, where asking one takes no time."""
        if (reason := trial.refusal(func, args, kwargs, output, self.has_values)) is not None:
            raise self._refused(func, reason)

    def _refused(self, func: Any, reason: str) -> InputError:
        return InputError(f"{func} {self.where()} is refused by torch on real tensors: {reason}")

    def _laid_out(self, layout: Any, output: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the output of a meta kernel, with the strides that the kernel for the CPU would give it."""
        if isinstance(output, (tuple, list)):
            return tuple(self._laid_out(layout, each, args, kwargs) for each in output)
        if not isinstance(output, torch.Tensor):
            return output
        strides = layout(tuple(output.shape), *args, **kwargs)
        return self.specs.make(tuple(output.shape), output.dtype, strides)

    def _compose(
        self, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], key: tuple[Any, ...], kinds: int
    ) -> Any:
        """Answer a composite operator by running its pieces."""
        func = operator.func
        assumed = len(self.assumptions)
        # A kernel may compare devices, and abstract tensors are on another one.
        given = (args, kwargs) if operator.writes else map_tensors((args, kwargs), self._off_meta)
        output, parts = self.take_apart(func, *given)
        if (at := meta_kernel.position_of(output, *given)) is not None:
            output = _at(at, args, kwargs)
        self._try(func, args, kwargs, output)
        call = self.call(func, args, kwargs, output, parts)
        # If values of real tensors may have steered the pieces, or are in the output, the answer is not remembered.
        pure = kinds == _ABSTRACT and assumed == len(self.assumptions)
        if pure and all(type(tensor) is AbstractTensor for tensor in tensors_in(output)):
            same = meta_kernel.position_of(output, args, kwargs)
            self.memo.remember(operator, key, Answer(call, same, operator.writes, self.device))
        self.record(call)
        return output

    def _ask_meta(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, meta_kernel.Position | meta_kernel.Positions]:
        try:
            return meta_kernel.ask(func, args, kwargs, self._stand_in, self.where)
        except ThoplwError as error:
            self._try(func, args, kwargs)  # which may say more
            self.refuse(error)
            raise

    def _interned(self, shaped: Any) -> Any:
        return self.specs.intern(shaped) if type(shaped) is TensorSpec else tuple(map(self._interned, shaped))

    def _fill(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Execute an operator that reads no values, on zeros in place of unknown values."""
        return self.execute(func, map_tensors(args, self._stand_in), kwargs)

    def _off_meta(self, tensor: torch.Tensor) -> torch.Tensor:
        """An abstract tensor for one on the meta device, which stands for the same weight."""
        if type(tensor) is AbstractTensor or not tensor.is_meta:
            return tensor
        return abstract(self._weights.get(id(tensor)) or self.specs.of(tensor), self.device)

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        return self._values.stand_in(tensor, self.device)


def _at(position: meta_kernel.Position, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return None if position is None else kwargs[position] if isinstance(position, str) else args[position]


def _is_large(tensor: torch.Tensor) -> bool:
    """Return whether a tensor lies in a memory that is too large to save."""
    return tensor.layout is torch.strided and tensor.untyped_storage().nbytes() > 8 * REAL_LIMIT


def _is_small_integer(output: Any) -> bool:
    return isinstance(output, torch.Tensor) and may_steer(output.dtype, output.numel())


def _copies_buffer(target: str, args: tuple[Any, ...]) -> bool:
    """Return whether ``copy.deepcopy`` copies a buffer by this call. It fails if it gets a tensor of another class."""
    if not args or type(args[0]) is not torch.Tensor:
        return False
    return not args[1] if target == "aten.new_empty" else args[0].is_meta
