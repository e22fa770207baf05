"""``torch``: its ``FlopCounterMode`` on the meta device: products and convolutions, kernel by kernel.

Facts are from ``torch/utils/flop_counter.py``. An operator that torch composes of kernels is counted by these; where
they always come to the same, it has a price here, so that nothing need be taken apart. Causal attention counts in full:
it runs as two products there.

Formulas of ``torch.utils.flop_counter.register_flop_formula`` count too, wherever their kernels run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from thoplw.formulas import FORMULAS
from thoplw.formulas.attention import PACKED
from thoplw.pricing.convention import Convention, Price
from thoplw.pricing.keys import is_operator, operator_name
from thoplw.pricing.mirrors.common import blind_but, contraction_alone, contraction_of
from thoplw.record import ZERO, Call, TensorSpec, Work, as_work

_MULTIPLIED = (
    "mm bmm addmm baddbmm linear _scaled_mm "
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
    "convolution _convolution cudnn_convolution convolution_overrideable thnn_conv2d _slow_conv2d_forward "
    "scaled_dot_product_attention _scaled_dot_product_attention_math _scaled_dot_product_flash_attention "
    "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
    "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell "
    "_scaled_dot_product_flash_attention_backward _scaled_dot_product_efficient_attention_backward "
    "_scaled_dot_product_cudnn_attention_backward"
)


def _matmul(call: Call) -> Work:
    """A matrix times a vector runs in a kernel that has no formula; a vector times a matrix does not."""
    return ZERO if len(call.args[1].shape) == 1 else _product(call)


def _linear(call: Call) -> Work:
    """With one output feature, a weight that is a vector, it is such a kernel too."""
    return ZERO if len(call.args[1].shape) == 1 else _product_of_layer(call)


def _packed(call: Call) -> Work:
    """On the meta device every packed sequence is as long as the longest."""
    where = PACKED[call.target]
    formula = FORMULAS[call.target]
    assert formula is not None  # of every kind of attention
    ends = call.args[where.ends]
    if ends is None:
        return contraction_alone(formula, call)
    longest = call.args[where.longest : where.longest + 2]
    args = list(call.args)
    for position, length in enumerate(longest, where.ends):
        values = tuple(range(0, ends.numel * length, length)) if length else (0,) * ends.numel
        args[position] = replace(ends, values=values)
    return contraction_alone(formula, replace(call, args=tuple(args)))


def _convolution_backward(call: Call) -> Work:
    """It takes the gradient of a weight for that of a convolution without groups: as many times too much."""
    formula = FORMULAS[call.target]
    assert formula is not None  # of every convolution
    of_input, of_weight, _ = call.args[10]
    each = contraction_alone(formula, replace(call, args=(*call.args[:10], (True, False, False))))
    times: int = of_input + of_weight * call.args[9]
    return each * times


_product = contraction_of("aten.matmul")
_product_of_layer = contraction_of("aten.linear")


def registered() -> Mapping[str, Price]:
    """The formulas that were registered with torch's counter besides its own.

    One for ``aten.relu`` says nothing of ``aten.relu_``. The counter is not imported for that: nothing can have been
    registered where it is not loaded.
    """
    counter = sys.modules.get(_COUNTER)
    registry: Mapping[Any, Any] = getattr(counter, "flop_registry", {})
    prices = {
        name: _price(name, formula)
        for name, formula in ((operator_name(key), each) for key, each in registry.items() if is_operator(key))
        if getattr(formula, "__module__", None) != _COUNTER
    }
    return {**{f"{name}_": None for name in prices}, **prices}


_COUNTER = "torch.utils.flop_counter"


def _price(name: str, formula: Callable[..., Any]) -> Price:
    """A registered formula takes shapes, or with ``get_raw=True`` tensors, here on the meta device."""
    code = getattr(formula, "__code__", None)
    wrapped = code is not None and code.co_filename == sys.modules[_COUNTER].__file__  # by torch, which takes shapes

    def price(call: Call) -> Work:
        if wrapped:
            kwargs = _shapes(dict(call.kwargs))
            figure = formula.__wrapped__(*_shapes(call.args), out_shape=_shapes(call.output), **kwargs)  # type: ignore[attr-defined] # functools.wraps sets it
        else:
            figure = formula(*_tensors(call.args), out_val=_tensors(call.output), **_tensors(dict(call.kwargs)))
        return as_work(figure, f"the formula that is registered with torch for {name}", "FLOP")

    return price


def _shapes(value: Any) -> Any:
    """Shapes for specs, as torch's own class has them."""
    return _with(lambda spec: sys.modules["torch"].Size(spec.shape), value)


def _tensors(value: Any) -> Any:
    """Tensors on the meta device for specs."""
    return _with(_tensor, value)


def _tensor(spec: TensorSpec) -> Any:
    torch = sys.modules["torch"]
    if not spec.strides and spec.shape:  # it is of a sparse tensor
        return torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta")
    return torch.empty_strided(spec.shape, spec.strides, dtype=getattr(torch, spec.dtype), device="meta")


def _with(replace: Callable[[TensorSpec], Any], value: Any) -> Any:
    """Nested values with something in place of every spec."""
    if isinstance(value, TensorSpec):
        return replace(value)
    if isinstance(value, tuple):
        return tuple(_with(replace, each) for each in value)
    return {name: _with(replace, each) for name, each in value.items()} if isinstance(value, dict) else value


CONVENTION = Convention(
    "torch",
    blind_but(
        {
            **{target: contraction_of(target) for target in (f"aten.{name}" for name in _MULTIPLIED.split())},
            "higher_order.flex_attention": contraction_of("higher_order.flex_attention"),
            "higher_order.flex_attention_backward": contraction_of("higher_order.flex_attention_backward"),
            **dict.fromkeys(("aten.addmm_", "aten.baddbmm_")),
            "aten.matmul": _matmul,
            "aten.linear": _linear,
            "aten.convolution_backward": _convolution_backward,
            **dict.fromkeys(PACKED.keys() - {"aten._flash_attention_forward_no_dropout_inplace"}, _packed),
        }
    ),
    unit="FLOP",
    mirrors="torch 2.14.1",
    registry=registered,
)
