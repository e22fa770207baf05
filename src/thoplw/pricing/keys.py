"""What a price is of: an operator, or a class of modules. Both are told from anything else without torch."""

from __future__ import annotations

from thoplw.record import class_names

#: What every class of modules is derived from.
MODULE = "torch.nn.modules.module:Module"

#: Operators that take functions, such as flex attention, are of the last one.
_OPERATORS = frozenset({"OpOverload", "OpOverloadPacket", "HigherOrderOperator"})

#: Operators that stand for Python: a record has what their functions run in their place.
CONTROL_FLOW = frozenset(
    f"higher_order.{name}"
    for name in (
        "associative_scan cond foreach_map hints_wrapper invoke_subgraph map_impl out_dtype scan strict_mode switch "
        "while_loop"
    ).split()
)


def is_module_class(key: object) -> bool:
    """Whether it is a class of modules, such as ``torch.nn.Linear``."""
    return isinstance(key, type) and MODULE in class_names(key)


def is_operator(key: object) -> bool:
    """Whether it is an operator, such as ``torch.ops.aten.linear`` or ``torch.ops.aten.linear.default``."""
    return bool(_classes(key))


def operator_name(key: object) -> str:
    """An operator as records say it: ``aten.linear``, or ``higher_order.flex_attention``."""
    return f"higher_order.{key}" if "HigherOrderOperator" in _classes(key) else str(key)


def _classes(key: object) -> frozenset[str]:
    """Which of torch's classes of operators it is of."""
    if type(key) is str:  # as nearly all are
        return frozenset()
    return _OPERATORS & {each.__name__ for each in type(key).__mro__ if each.__module__.startswith("torch")}
