"""Repeat the record of a layer of torch when an equal layer is called again.

For example, the second ``nn.ReLU()`` of a network, on an input of the same shape, repeats the record of the first.
This would be wrong for modules in general, because the forward of a module may read anything that Python can hold. The
forward of each class in :data:`LAYERS` is torch's own: it reads its input and what the table names, nothing else. So
the first call is run and recorded as usual, and a layer with the same class, attributes, specs of weights and spec of
input repeats that record. If only sizes differ, the layer would run the same operator on other specs: the shape rule of
the operator then tells the output.

A layer is run as usual when anything might make a difference: hooks, methods or weights that the instance overrides,
training mode (batch norm counts batches there), keyword arguments, autocast, or a dispatch mode of the user. Calls
reach :class:`LayerCache` through the attribute in which ``module.compile()`` keeps the compiled call.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from operator import attrgetter
from threading import get_ident
from types import TracebackType
from typing import Any, NamedTuple

import torch
from torch import nn

from thoplw.capture.abstract import PLAIN, AbstractTensor, wrapper_of
from thoplw.capture.abstract_run import AbstractRun
from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.torch_internals import (
    any_module_hooks,
    call_as_usual,
    caller_of_instead,
    calling_instead,
    dispatch_modes,
    function_modes,
    hooks_of,
    is_autocast_on,
    is_below_autograd,
    make_wrapper,
    method_of_calls,
)
from thoplw.capture.weights import Weights
from thoplw.record import Call, TensorSpec
from thoplw.shapes import SAME

_Weights = Callable[[dict[str, Any]], tuple[torch.Tensor | None, ...]]
_Attributes = Callable[[Any], tuple[Any, ...]]

#: The methods of a class that run when one of its modules is called.
METHODS = ("forward", "_conv_forward", "_check_input_dim")

#: An instance that has one of these as an attribute overrides what its class says.
_OWN = frozenset({*METHODS, "_call_impl", "weight", "bias", "running_mean", "running_var"})


class _Layer:
    """What the forward of a class reads, and what its calls so far did.

    Attributes:
        cls: the class.
        forward: the forward of the class, which is torch's own.
        weights: returns the parameters and buffers that forward reads, given the ``__dict__`` of a module.
        reads: returns the attributes that forward reads, given a module.
        answers: what each call did, by everything that could make a difference to it.
        templates: the operator that calls run, by everything but sizes.
    """

    __slots__ = ("answers", "cls", "forward", "reads", "templates", "weights")

    def __init__(self, cls: type[nn.Module], weights: _Weights, reads: _Attributes) -> None:
        self.cls = cls
        self.forward = cls.forward
        self.weights = weights
        self.reads = reads
        self.answers: dict[tuple[Any, ...], _Answer] = {}
        self.templates: dict[tuple[Any, ...], _Template] = {}


class _Answer(NamedTuple):
    """What a call of a layer did.

    Attributes:
        calls: the operators that it ran.
        output: the spec of its output; ``None`` if it returned its input.
        wrapper: the arguments of ``make_wrapper`` for a new output.
    """

    calls: tuple[Call, ...]
    output: TensorSpec | None = None
    wrapper: tuple[Any, ...] = ()


class _Template(NamedTuple):
    """The one operator that a layer runs, whatever the sizes of its input and weights.

    Attributes:
        call: a record of it.
        places: where each tensor stands: its position among the arguments, and among the input and the weights.
        rule: the shape rule of the operator.
    """

    call: Call
    places: tuple[tuple[int, int], ...]
    rule: Callable[..., Any]


class _LayerCall(NamedTuple):
    """A call of a layer.

    Attributes:
        key: everything that could make a difference to it.
        alike: the same, without sizes.
        tensors: the specs of the input and the weights; ``None`` for a missing weight.
    """

    key: tuple[Any, ...]
    alike: tuple[Any, ...]
    tensors: tuple[TensorSpec | None, ...]


class LayerCache:
    """A context in which a layer repeats the record of an equal layer instead of being run again."""

    def __init__(self, run: AbstractRun, scopes: ModuleScopes, weights: Weights) -> None:
        """Prepare, without touching anything."""
        self._run = run
        self._scopes = scopes
        self._weights = weights
        self._tokens = {0: 0}  # identity of a weight -> identity of its spec; 0 stands for a missing weight
        self._modes = 0
        self._layers: dict[type[nn.Module], _Layer] = {}
        self._undo = ExitStack()

    def __enter__(self) -> LayerCache:
        if any_module_hooks():
            # These global hooks are the user's, and must see every call.
            return self
        if _functions(nn.functional) != _FUNCTIONS:  # somebody has replaced a function of torch
            return self
        self._modes = 1 + dispatch_modes()
        specs, tensors = self._weights.specs, self._weights.tensors
        self._tokens.update(zip(specs, map(id, specs.values()), strict=True))
        # A tensor subclass may replace operators. Without a token, layers that hold one are run as usual.
        if not PLAIN.issuperset(map(type, tensors.values())):
            for key, tensor in tensors.items():
                if type(tensor) not in PLAIN:
                    del self._tokens[key]
        modules = self._weights.modules[1:]  # the model itself is called once
        classes = {*map(type, modules)} & LAYERS.keys()
        self._layers = {cls: _Layer(cls, *LAYERS[cls]) for cls in classes if _methods(cls) == _METHODS[cls]}
        states = [module.__dict__ for module in modules if type(module) in self._layers]
        self._undo.enter_context(calling_instead(states, self._call))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        """Call a layer, or repeat the record of an equal call."""
        module = caller_of_instead()
        layer = self._layers.get(type(module))
        index = self._weights.indices.get(id(module))
        if (
            layer is None
            or index is None  # the forward made this module by copying one that is known
            or kwargs
            or len(args) != 1
            or type(args[0]) is not AbstractTensor
            or get_ident() != self._scopes.thread
            or layer.cls.forward is not layer.forward
            or self._is_unusual(module.__dict__)
        ):
            return call_as_usual(module, *args, **kwargs)
        (x,) = args
        try:
            used = [0 if tensor is None else id(tensor) for tensor in layer.weights(module.__dict__)]
            reads = layer.reads(module)
            key = (x.token, *reads, *map(self._tokens.__getitem__, used))
            answer = layer.answers.get(key)
        except (AttributeError, KeyError, TypeError):  # a missing attribute, an unknown weight, an unhashable attribute
            return call_as_usual(module, x)
        if answer is None:
            alike = (len(x.spec.shape), *reads, *map(bool, used))
            asked = _LayerCall(key, alike, (x.spec, *map(self._weights.specs.get, used)))
            answer = self._derive(layer, asked)
            if answer is None:
                return self._learn(module, index, layer, asked, x)
        self._run.used.update(used)
        output = x
        if answer.output is not None:
            output = make_wrapper(AbstractTensor, *answer.wrapper)
            output.spec = answer.output
            output.token = id(answer.output)
        scope = self._scopes.record_call(index, module, x, output)
        for call in answer.calls:
            self._run.steps.append((call, scope))
        return output

    def _is_unusual(self, state: dict[str, Any]) -> bool:
        """Return whether a call may do more than the forward of the class."""
        return bool(
            any(hooks_of(state))
            or state["training"]
            or not state.keys().isdisjoint(_OWN)
            or not is_below_autograd()
            or is_autocast_on()
            or function_modes()
            or dispatch_modes() != self._modes
        )

    def _derive(self, layer: _Layer, asked: _LayerCall) -> _Answer | None:
        """Return what a call does that differs from one before in sizes alone; ``None`` if that is not known."""
        template = layer.templates.get(asked.alike)
        if template is None or any(spec is not None and spec.shape and not spec.strides for spec in asked.tensors):
            return None  # sparse tensors have no strides, and kernels of their own
        like = template.call
        args: Any = [*like.args]
        for place, which in template.places:
            args[place] = asked.tensors[which]
        args = tuple(args)
        shaped = template.rule(*args, **like.kwargs)
        if shaped is SAME:
            output = None
        elif type(shaped) is TensorSpec:
            output = self._run.specs.intern(shaped)
        else:  # the rule does not know such shapes, or torch refuses them
            return None
        returned = args[0] if output is None else output
        call = Call(target=like.target, overload=like.overload, args=args, kwargs=like.kwargs, output=returned)
        answer = layer.answers[asked.key] = self._answer((call,), output)
        return answer

    def _answer(self, calls: tuple[Call, ...], output: TensorSpec | None) -> _Answer:
        return _Answer(calls) if output is None else _Answer(calls, output, wrapper_of(output, self._run.device))

    def _learn(self, module: nn.Module, index: int, layer: _Layer, asked: _LayerCall, x: AbstractTensor) -> Any:
        """Run a layer, and remember its record if another call can repeat it."""
        run, scopes = self._run, self._scopes
        before, assumed = len(run.steps), len(run.assumptions)
        # The module has no hooks, and ours would only open and close the scope. So forward can be called directly.
        scope = scopes.open(index)
        output = module.forward(x)
        scopes.close(index, module, (x,), {}, output)
        steps = run.steps[before:]
        plain = output is x or (type(output) is AbstractTensor and output.assumed is None)
        alike = len(run.assumptions) == assumed and all(at == scope and run.memo.repeats(call) for call, at in steps)
        if plain and alike:
            calls = tuple([call for call, _ in steps])
            layer.answers[asked.key] = self._answer(calls, None if output is x else output.spec)
            if len(calls) == 1 and not _looks_at_sizes(layer.cls, asked.tensors):
                rule = run.memo.rule_alone(calls[0])
                places = _places(calls[0], asked.tensors)
                if rule is not None and places is not None:
                    layer.templates[asked.alike] = _Template(calls[0], places, rule)
        return output


def _places(call: Call, tensors: tuple[TensorSpec | None, ...]) -> tuple[tuple[int, int], ...] | None:
    """Return where the tensors of a layer stand in a call; ``None`` if it does not take each once, in their order."""
    at = [place for place, value in enumerate(call.args) if type(value) is TensorSpec]
    there = [which for which, spec in enumerate(tensors) if spec is not None]
    if [call.args[place] for place in at] != [tensors[which] for which in there]:
        return None
    return tuple(zip(at, there, strict=True))


def _looks_at_sizes(cls: type[nn.Module], tensors: tuple[TensorSpec | None, ...]) -> bool:
    """Return whether a forward refuses some sizes: norms refuse to take statistics of a single value."""
    return cls is nn.GroupNorm or (cls in _BATCH_NORMS and None in tensors[3:])


# -- what the forward of each class reads ------------------------------------------------------------------------------


def _no_weights(state: dict[str, Any]) -> tuple[torch.Tensor | None, ...]:
    return ()


def _weight_and_bias(state: dict[str, Any]) -> tuple[torch.Tensor | None, ...]:
    parameters = state["_parameters"]
    return parameters["weight"], parameters["bias"]


def _and_statistics(state: dict[str, Any]) -> tuple[torch.Tensor | None, ...]:
    parameters, buffers = state["_parameters"], state["_buffers"]
    return parameters["weight"], parameters["bias"], buffers["running_mean"], buffers["running_var"]


def _nothing(module: Any) -> tuple[Any, ...]:
    return ()


def _inplace(module: Any) -> tuple[Any, ...]:
    return (module.inplace,)


def _convolution(module: Any) -> tuple[Any, ...]:
    return (
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
        module.padding_mode,
        *module._reversed_padding_repeated_twice,
    )


def _batch_norm(module: Any) -> tuple[Any, ...]:
    return module.training, module.track_running_stats, module.momentum, module.eps


#: Class -> the weights and the attributes that its forward reads. Subclasses are not looked up here, as their forward
#: may do anything.
LAYERS: dict[type[nn.Module], tuple[_Weights, _Attributes]] = {
    nn.BatchNorm1d: (_and_statistics, _batch_norm),
    nn.BatchNorm2d: (_and_statistics, _batch_norm),
    nn.BatchNorm3d: (_and_statistics, _batch_norm),
    nn.Conv1d: (_weight_and_bias, _convolution),
    nn.Conv2d: (_weight_and_bias, _convolution),
    nn.Conv3d: (_weight_and_bias, _convolution),
    nn.Dropout: (_no_weights, lambda module: (module.training, module.p, module.inplace)),
    nn.GELU: (_no_weights, lambda module: (module.approximate,)),
    nn.GroupNorm: (_weight_and_bias, lambda module: (module.num_groups, module.eps)),
    nn.Hardsigmoid: (_no_weights, _inplace),
    nn.Hardswish: (_no_weights, _inplace),
    nn.Identity: (_no_weights, _nothing),
    nn.LayerNorm: (_weight_and_bias, lambda module: (module.normalized_shape, module.eps)),
    nn.Linear: (_weight_and_bias, _nothing),
    nn.ReLU: (_no_weights, _inplace),
    nn.ReLU6: (_no_weights, lambda module: (module.min_val, module.max_val, module.inplace)),
    nn.SiLU: (_no_weights, _inplace),
    nn.Sigmoid: (_no_weights, _nothing),
    nn.Softmax: (_no_weights, lambda module: (module.dim,)),
    nn.Tanh: (_no_weights, _nothing),
}


def _methods(cls: type[nn.Module]) -> tuple[Any, ...]:
    """Return the functions that run when a module of a class is called."""
    return (method_of_calls(cls), *(getattr(cls, name, None) for name in METHODS))


#: The functions of ``torch.nn.functional`` that the forwards in :data:`LAYERS` call.
FUNCTIONS = (
    *"batch_norm conv1d conv2d conv3d dropout gelu group_norm hardsigmoid hardswish hardtanh".split(),
    *"layer_norm linear pad relu relu6 silu softmax".split(),
)
_functions = attrgetter(*FUNCTIONS)

_BATCH_NORMS = frozenset({nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d})

#: The methods and functions as they were at import. If somebody has replaced one since, the cache does not apply.
_METHODS = {cls: _methods(cls) for cls in LAYERS}
_FUNCTIONS = _functions(nn.functional)
