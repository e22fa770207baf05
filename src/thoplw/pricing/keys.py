"""The keys of prices: operators and classes of modules. Both are recognised without importing torch."""

from __future__ import annotations

from thoplw.record import class_names

#: What every class of modules is derived from.
MODULE = "torch.nn.modules.module:Module"

#: Torch's classes of operators: the third is for operators that take functions, such as flex attention, the last for
#: functions that ``torch.library.custom_op`` made operators of.
_OPERATORS = frozenset({"OpOverload", "OpOverloadPacket", "HigherOrderOperator", "CustomOpDef"})

#: How the name of an operator begins, where it is not written with ``::``.
_LIBRARIES = ("torch.ops.", "aten.", "higher_order.")

#: Control-flow operators, which run functions: a record holds the operators inside these functions, unless one has a
#: price of its own.
CONTROL_FLOW = frozenset(
    f"higher_order.{name}"
    for name in (
        "associative_scan cond foreach_map hints_wrapper invoke_subgraph map_impl out_dtype scan strict_mode switch "
        "while_loop"
    ).split()
)


def is_module_class(key: object) -> bool:
    """Whether a key is a class of modules, such as ``torch.nn.Linear``."""
    return isinstance(key, type) and MODULE in class_names(key)


def is_operator(key: object) -> bool:
    """Whether a key is an operator, such as ``torch.ops.aten.linear`` or ``torch.ops.aten.linear.default``."""
    return bool(_classes(key))


def names_operator(key: object) -> bool:
    """Whether a key is the name of an operator: ``"aten.linear"``, ``"aten::linear"``, ``"torch.ops.mylib.decay"``."""
    return isinstance(key, str) and (key.startswith(_LIBRARIES) or "::" in key)


def operator_name(key: object) -> str:
    """The name of an operator in records: ``aten.linear``, or ``higher_order.flex_attention``."""
    classes = _classes(key)
    if "CustomOpDef" in classes:
        key = key._qualname  # type: ignore[attr-defined] # torch's class has it
    return f"higher_order.{key}" if "HigherOrderOperator" in classes else _as_recorded(str(key))


def _as_recorded(name: str) -> str:
    return name.removeprefix("torch.ops.").replace("::", ".")


def _classes(key: object) -> frozenset[str]:
    """The names of torch's operator classes that a key is an instance of."""
    if type(key) is str:  # as nearly all are
        return frozenset()
    return _OPERATORS & {each.__name__ for each in type(key).__mro__ if each.__module__.startswith("torch")}
