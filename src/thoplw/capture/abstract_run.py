"""Run on abstract tensors, by three laws.

- What touches an abstract tensor gives abstract tensors, shaped by a rule of :mod:`thoplw.shapes`, or else by torch's
  own meta kernel. The answer is remembered by operator and input specs, as models repeat themselves.
- What touches real tensors only (token ids, masks, positions, shape arithmetic) is executed, so that its values can
  steer the model. It is recorded like any other operator.
- Floating-point parameters and buffers of the model are abstract wherever they live, and no operator writes to a
  tensor of the model. A real tensor that should have been written something abstract has no known values any more, and
  counts as abstract from then on ("tainted").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import chain
from typing import Any

import torch
from torch.utils._mode_utils import no_dispatch

from thoplw import shapes
from thoplw.capture.abstract import AbstractTensor, abstract, dtype_of
from thoplw.capture.data_dependent import ASSUMPTIONS, Positions, density_after, kept, values_after
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import (
    INDEXING,
    decides_on_values,
    fills_out,
    is_composite,
    is_higher_order,
    is_mutable,
    overload_of,
    size_bound,
    storage_of,
    target_of,
    written,
)
from thoplw.capture.run import Run
from thoplw.errors import DataDependentError, InputError
from thoplw.record import Assumption, Call, TensorSpec

#: Real tensors may have this many elements; what would have more is abstract, as its values are not worth the memory.
REAL_LIMIT = 2**22

#: What these return depends on the shape of the tensor that they are given, not on its values.
_VALUE_FREE = frozenset(
    f"aten.{name}" for name in ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
)

#: What these return is the value of a tensor of one element.
_READS = frozenset({"aten._local_scalar_dense", "aten.is_nonzero"})

#: Quantised tensors have no meta tensors, but what they are in memory has.
_MEMORY = {torch.quint8: torch.uint8, torch.qint8: torch.int8, torch.qint32: torch.int32}

_ABSTRACT, _REAL = 1, 2

_INT = {int}

_make_wrapper = torch.Tensor._make_wrapper_subclass


class _Operator:
    """What is known in a run of one operator.

    Attributes:
        func: itself; kept here, it cannot lose its identity.
        target: its name in records.
        overload: the rest of that.
        rule: its shape rule, if it has one.
        decides: whether what it returns depends on values.
        writes: whether it writes to an argument.
        scatters: whether torch refuses it for values that are known here too.
        answers: what it answered, by what tells its arguments from others.
    """

    __slots__ = ("answers", "decides", "func", "overload", "rule", "scatters", "target", "writes")

    def __init__(self, func: Any) -> None:
        self.func = func
        self.target = target_of(func)
        self.overload = overload_of(func)
        # Rules are of what returns something new.
        self.rule = None if fills_out(func) else shapes.RULES.get(self.target)
        self.decides = decides_on_values(func)
        self.writes = is_mutable(func)
        self.scatters = self.target in ("aten.masked_scatter", "aten.masked_scatter_")
        self.answers: dict[tuple[Any, ...], _Answer] = {}


class _Answer:
    """What an operator answers whenever it is called with the same specs."""

    __slots__ = ("assumed", "call", "dtype", "same", "shape", "spec", "strides", "token", "writes")

    def __init__(self, call: Call, same: int | str | None, writes: bool) -> None:
        """Keep an answer.

        Args:
            call: the record.
            same: position or name of the argument that is itself the output, as for in-place operators.
            writes: whether the operator writes to an argument.
        """
        self.call = call
        self.same = same
        self.writes = writes
        self.spec: TensorSpec | None = call.output if isinstance(call.output, TensorSpec) else None
        if self.spec is not None:
            self.shape, self.strides, self.token = self.spec.shape, self.spec.strides, id(self.spec)
            self.dtype = dtype_of(self.spec)
        self.assumed = values_after(call.target, call.args, call.output)


class AbstractRun(Run):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Answer every operator that touches an abstract tensor from shapes alone; execute the others.

    Attributes:
        surprises: how many operators ran whose answer may be another the next time.
    """

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self.surprises = 0
        self._positions = Positions()
        self._operators: dict[int, _Operator] = {}  # by identity, as torch hashes them in Python
        self._tainted: dict[int, torch.UntypedStorage] = {}
        self._weights = self.weights.specs
        # So far these are the specs of weights.
        self._valueless = {id(spec) for spec in self.specs if not _may_steer(dtype_of(spec), spec.numel)}

    @cached_property
    def _owned(self) -> frozenset[int]:
        """The storages of the model's own tensors."""
        return frozenset(map(storage_of, self.weights.tensors.values()))

    def enter(self, tensor: torch.Tensor) -> torch.Tensor:
        """Inputs are abstract but for small integers and booleans."""
        if tensor.is_meta or not _may_steer(tensor.dtype, tensor.numel()):
            return self.entered.setdefault(id(tensor), abstract(self.specs.of(tensor), self.device))
        return super().enter(tensor)

    def record(self, call: Call) -> None:
        """Note that ``call`` ran. What is answered from memory does not come here."""
        self.surprises += 1
        super().record(call)

    def thaw(self, value: Any) -> Any:
        """Records as arguments again: abstract tensors for specs."""
        if isinstance(value, TensorSpec):
            return abstract(self.specs.intern(value), self.device)
        if isinstance(value, (tuple, list)):
            return type(value)(map(self.thaw, value))
        if isinstance(value, dict):
            return {name: self.thaw(item) for name, item in value.items()}
        return value

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Answer one operator and record it."""
        operator = self._operators.get(id(func))
        if operator is None:
            if is_higher_order(func):
                return self._higher_order(func, args, kwargs or {})
            operator = self._operators[id(func)] = _Operator(func)
        parts: list[Any] = []
        kinds = self._read(args, parts)
        if kwargs:
            for name, value in kwargs.items():
                parts.append(name)
                kinds |= self._read((value,), parts)
        else:
            kwargs = {}
        if not kinds & _ABSTRACT and self._can_execute(func, args, kwargs):
            return self._execute(func, args, kwargs)
        key = tuple(parts)
        answer = operator.answers.get(key)
        if operator.scatters:
            self._check_scatter(*args)
        if answer is None:
            if kinds & _ABSTRACT and operator.decides:
                if operator.target not in INDEXING:
                    return self._decide(func, args, kwargs)
                if _has_masks(args[1]):
                    args = (args[0], self._without_masks(args[1]), *args[2:])
                    return self.__torch_dispatch__(func, types, args, kwargs)
            answer = self._first_time(operator, args, kwargs, key, kinds)
            if type(answer) is not _Answer:
                return answer
        # From here on as fast as can be: most calls of a model are not the first of their kind.
        self.steps.append((answer.call, -1 if self.scopes is None else self.scopes.current))
        if answer.writes and kinds & _REAL:
            self._taint(func, args, kwargs)
        if answer.same is not None:
            return kwargs[answer.same] if isinstance(answer.same, str) else args[answer.same]
        if answer.spec is None:
            return self.thaw(answer.call.output)
        tensor = _make_wrapper(AbstractTensor, answer.shape, answer.strides, dtype=answer.dtype, device=self.device)
        tensor.spec = answer.spec
        tensor.token = answer.token
        if answer.assumed is not None:
            tensor.assumed = partial(self._assumed, answer)
        return tensor

    def _read(self, values: Sequence[Any], parts: list[Any]) -> int:
        """Append to ``parts`` what tells these arguments from others; return which kinds of tensor are among them."""
        kinds = 0
        for value in values:
            cls = value.__class__
            if cls is AbstractTensor:
                parts.append(value.token)
                kinds |= _ABSTRACT
            elif cls is int or value is None:
                parts.append(value)
            elif cls is bool or cls is float or cls is complex:
                parts.append((cls, value))  # 1, 1.0 and True are equal, yet not the same argument
            elif cls is list or cls is tuple:
                if {*map(type, value)} == _INT:
                    parts.append(tuple(value))
                    continue
                inner: list[Any] = []
                kinds |= self._read(value, inner)
                parts.append(tuple(inner))
            elif isinstance(value, torch.Tensor):
                identity = id(value)
                self.used.add(identity)
                spec = self._weights.get(identity)
                if spec is not None and id(spec) in self._valueless:
                    kinds |= _ABSTRACT
                else:
                    spec = self.specs.of(value)
                    kinds |= _ABSTRACT if value.is_meta or self._is_tainted(value) else _REAL
                parts.append(id(spec))
            else:
                parts.append(id(value) if cls.__hash__ is None else value)
        return kinds

    def _is_tainted(self, tensor: torch.Tensor) -> bool:
        return bool(self._tainted) and storage_of(tensor) in self._tainted

    def _taint(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for tensor in written(func, args, kwargs):
            if type(tensor) is not AbstractTensor and not tensor.is_meta:
                self._tainted[storage_of(tensor)] = tensor.untyped_storage()

    def _can_execute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if size_bound(args) > REAL_LIMIT:
            return False
        if not is_mutable(func):
            return True
        if any(storage_of(tensor) in self._owned for tensor in written(func, args, kwargs)):
            self._taint(func, args, kwargs)
            return False
        return True

    def _execute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator for real. Models on the meta device ask for results there: they go where the inputs are."""

        def on_device(value: Any) -> Any:
            return self.device if isinstance(value, torch.device) and value.type == "meta" else value

        args, kwargs = tuple(map(on_device, args)), {name: on_device(value) for name, value in kwargs.items()}
        output = func(*args, **kwargs)
        self.record_executed(func, args, kwargs, output)
        return output

    def _higher_order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer an operator that takes functions: of these, flex attention has a shape rule."""
        target = target_of(func)
        shaped = shapes.RULES[target](*self.freeze(args[:3])) if target in shapes.RULES else None
        if shaped is None:
            raise InputError(
                f"{target} {self.where()} takes functions, and has no shape rule. "
                "execute=True counts it on real tensors."
            )
        output = self.thaw(shaped)
        self.record(self.call(func, args, kwargs, output))
        return output

    # -- values that decide ----------------------------------------------------------------------------------------

    def _decide(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer an operator whose result depends on values that do not exist."""
        target = target_of(func)
        # A number among the model's own weights is there to be read, if nothing should have been written to it.
        if (
            target == "aten._local_scalar_dense"
            and id(args[0]) in self.weights.tensors
            and not (args[0].is_meta or self._is_tainted(args[0]))
        ):
            return self._execute(func, args, kwargs)
        if target == "aten.masked_select":
            with self:  # an index by a mask, which may be known
                x, mask = torch.broadcast_tensors(*args[:2])  # type: ignore[no-untyped-call] # torch's own gap
                return x[mask]
        if target in _READS and type(args[0]) is AbstractTensor and args[0].assumed is not None:
            return args[0].assumed().item()
        statement, assume = ASSUMPTIONS.get(target, ("", _nothing))
        if target == "aten.nonzero":
            statement, assume = kept(args[0]), self._positions
        assumed = assume(*args, **kwargs)
        if assumed is NotImplemented:
            given = ", ".join(str(tuple(tensor.shape)) for tensor in tensors_in(args))
            raise DataDependentError(
                f"{func} {self.where()} decides on values, of tensors of shape {given}, "
                "which do not exist in a run without arithmetic. execute=True counts it on real tensors."
            )
        if statement:
            self.assumptions.append(Assumption(statement, target, self.scope))
        output = map_tensors(assumed, self._own)
        self.record(self.call(func, args, kwargs, output))
        return output

    def _assumed(self, answer: _Answer) -> torch.Tensor:
        """Values that an output is taken to have, now that they are asked for."""
        assert answer.assumed is not None
        statement, values = answer.assumed
        self.assumptions.append(Assumption(statement, answer.call.target, self.scope))
        return values

    def _own(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor that was made up, as the model may see it."""
        return abstract(self.specs.of(tensor), self.device) if tensor.is_meta else tensor.to(self.device)

    def _without_masks(self, indices: Sequence[torch.Tensor | None]) -> list[torch.Tensor | None]:
        """Indices with every boolean mask replaced by the positions where it holds, or may hold."""
        plain: list[torch.Tensor | None] = []
        for index in indices:
            if index is None or index.dtype not in (torch.bool, torch.uint8):
                plain.append(index)
            elif type(index) is AbstractTensor or index.is_meta or self._is_tainted(index):
                self.assumptions.append(Assumption(kept(index), "aten.index", self.scope))
                plain += self._own(self._positions(index)).unbind(1)
            else:
                plain += index.nonzero().unbind(1)
        return plain

    def _check_scatter(self, x: torch.Tensor, mask: torch.Tensor, source: torch.Tensor) -> None:
        """Refuse what torch refuses for real: fewer elements (features of a picture) than places (its tokens)."""
        if type(mask) is AbstractTensor or mask.is_meta or self._is_tainted(mask):
            return
        places = int(mask.sum()) * (x.numel() // max(mask.numel(), 1))
        if places > source.numel():
            raise InputError(
                f"masked_scatter {self.where()} has {places} places for {source.numel()} elements, which torch refuses "
                "on real tensors: do the tokens in the input fit the features of pictures or sounds?"
            )

    # -- the first time --------------------------------------------------------------------------------------------

    def _first_time(
        self, operator: _Operator, args: tuple[Any, ...], kwargs: dict[str, Any], key: tuple[Any, ...], kinds: int
    ) -> Any:
        """What an operator answers from now on; or its output, where that may be another next time."""
        func, target, rule = operator.func, operator.target, operator.rule
        if rule is None and is_composite(func):
            return self._compose(operator, args, kwargs, key, kinds)
        weights, valueless = self._weights, self._valueless  # of these the specs are known, and asked for most
        seen = tuple(
            [
                spec if (spec := weights.get(id(value))) is not None and id(spec) in valueless else self.freeze(value)
                for value in args
            ]
        )
        named = self.freeze_named(kwargs) if kwargs else {}
        shaped = None if rule is None else rule(*seen, **named)
        if shaped is not None:
            same: int | str | None = 0 if shaped is shapes.SAME else None
            returned = self._interned(shaped) if same is None else seen[0]
            call = Call(target=target, overload=operator.overload, args=seen, kwargs=named, output=returned)
            answer = _Answer(call, same, operator.writes)
        else:
            output, same = self._ask_meta(func, args, kwargs)
            self._check_size(func, output, same, args, kwargs)
            if target in _VALUE_FREE and _is_small_integer(output):
                return self._fill(func, args, kwargs)
            if torch.Tag.inplace_view in func.tags and type(args[0]) is AbstractTensor:
                self.record(self.call(func, args, kwargs, output))
                return self._change_view(args[0], func, args, kwargs, self.specs.of(output))
            layout = shapes.layout_of(target, operator.overload, torch.Tag.pointwise in func.tags)
            if same is None and layout is not None:
                output = self._laid_out(layout, output, seen, named)
            answer = _Answer(self.call(func, seen, named, output), same, operator.writes)
        density = density_after(target, seen)
        if density is not None:
            answer = _Answer(self._with_density(answer.call, *density), answer.same, answer.writes)
        operator.answers[key] = answer
        return answer

    def _laid_out(self, layout: Any, output: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a meta kernel returned, with the strides that the kernel for the CPU would give it."""
        if isinstance(output, (tuple, list)):
            return tuple(self._laid_out(layout, each, args, kwargs) for each in output)
        if not isinstance(output, torch.Tensor):
            return output
        strides = layout(tuple(output.shape), *args, **kwargs)
        return self.specs.make(tuple(output.shape), output.dtype, strides)

    def _with_density(self, call: Call, position: int, density: Fraction | int) -> Call:
        """A record of which one output has a density."""
        outputs = list(call.output) if isinstance(call.output, tuple) else [call.output]
        outputs[position] = self.specs.intern(replace(outputs[position], density=density))
        return replace(call, output=tuple(outputs) if isinstance(call.output, tuple) else outputs[0])

    def _compose(
        self, operator: _Operator, args: tuple[Any, ...], kwargs: dict[str, Any], key: tuple[Any, ...], kinds: int
    ) -> Any:
        """Answer a composite operator by running its pieces."""
        func = operator.func
        assumed = len(self.assumptions)
        output, parts = self.take_apart(func, args, kwargs)
        call = self.call(func, args, kwargs, output, parts)
        # Values of real tensors may have steered the pieces, or be among what comes out: then nothing can be reused.
        pure = kinds == _ABSTRACT and assumed == len(self.assumptions)
        if pure and all(type(tensor) is AbstractTensor for tensor in tensors_in(output)):
            operator.answers[key] = _Answer(call, _same(output, args, kwargs), operator.writes)
        self.record(call)
        return output

    def _ask_meta(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, int | str | None]:
        """What torch's meta kernel returns, and which argument that is, if it is one."""
        twins: dict[int, torch.Tensor] = {}

        def to_meta(tensor: torch.Tensor) -> torch.Tensor:
            twin = twins.get(id(tensor))
            if twin is None:
                dtype = _MEMORY.get(tensor.dtype, tensor.dtype)
                twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype, device="meta")
                twins[id(tensor)] = twin
            return twin

        meta = torch.device("meta")
        meta_args = tuple(meta if isinstance(value, torch.device) else map_tensors(value, to_meta) for value in args)
        meta_kwargs = {
            name: meta if isinstance(value, torch.device) else map_tensors(value, to_meta)
            for name, value in kwargs.items()
        }
        if not twins and any(argument.name == "device" for argument in func._schema.arguments):
            meta_kwargs["device"] = meta
        try:
            output = func(*meta_args, **meta_kwargs)
        except NotImplementedError as error:
            raise InputError(
                f"{func} {self.where()} has no meta kernel, which would tell the shape of its output without running "
                "it. execute=True counts it on real tensors."
            ) from error
        except RuntimeError:
            # Meta kernels word some errors otherwise than the kernel that the user would have met, and refuse a few
            # arguments that it takes. It has the last word, unless that would cost much.
            if is_mutable(func) or sum(tensor.numel() for tensor in tensors_in((args, kwargs))) > REAL_LIMIT:
                raise
            return func(*map_tensors(args, self._stand_in), **map_tensors(kwargs, self._stand_in)), None
        return output, _same(output, meta_args, meta_kwargs)

    def _check_size(
        self, func: Any, output: Any, same: int | str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Refuse to give a tensor another size, as ``out=`` may: others would go on seeing the one that it had."""
        if same is None or torch.Tag.inplace_view in func.tags:
            return
        given = kwargs[same] if isinstance(same, str) else args[same]
        if output.shape != given.shape:
            raise InputError(
                f"{func} {self.where()} gives a tensor of shape {tuple(given.shape)} the shape {tuple(output.shape)}, "
                "which cannot be followed in a run without arithmetic. execute=True counts it on real tensors."
            )

    def _interned(self, shaped: Any) -> Any:
        return self.specs.intern(shaped) if isinstance(shaped, TensorSpec) else tuple(map(self._interned, shaped))

    def _fill(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Execute an operator that reads no values."""
        return self._execute(func, map_tensors(args, self._stand_in), kwargs)

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor with values: itself, where it has some that count, else zeros of its shape and strides."""
        valueless = id(self._weights.get(id(tensor))) in self._valueless
        if valueless or type(tensor) is AbstractTensor or tensor.is_meta or self._is_tainted(tensor):
            return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=self.device).zero_()
        return tensor

    def _change_view(
        self, tensor: AbstractTensor, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], spec: TensorSpec
    ) -> AbstractTensor:
        """Change the shape of a tensor in place, as ``squeeze_`` does."""
        with no_dispatch():
            before = torch._C._meta_in_tls_dispatch_include()
            torch._C._set_meta_in_tls_dispatch_include(True)
            try:
                func(*args, **kwargs)
            finally:
                torch._C._set_meta_in_tls_dispatch_include(before)
        tensor.spec, tensor.token = spec, id(spec)
        return tensor


def _may_steer(dtype: torch.dtype, numel: int) -> bool:
    """Whether the values of such a tensor of the user's, if it has any, may steer the model."""
    return not (dtype.is_floating_point or dtype.is_complex or numel > REAL_LIMIT)


def _nothing(*args: Any, **kwargs: Any) -> Any:
    """Assume nothing."""
    return NotImplemented


def _is_small_integer(output: Any) -> bool:
    return (
        isinstance(output, torch.Tensor)
        and not (output.is_floating_point() or output.is_complex())
        and output.numel() <= REAL_LIMIT
    )


def _has_masks(positions: Sequence[torch.Tensor | None]) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in positions)


def _same(output: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | str | None:
    """Which argument the output itself is."""
    candidates: Iterator[tuple[int | str, Any]] = chain(enumerate(args), kwargs.items())
    if not isinstance(output, torch.Tensor):
        return None
    return next((position for position, value in candidates if value is output), None)
