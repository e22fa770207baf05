"""What a price is of: an operator, or a class of modules. Both are told from anything else without torch."""

from __future__ import annotations

from thoplw.record import class_names

#: What every class of modules is derived from.
MODULE = "torch.nn.modules.module:Module"

_OPERATORS = frozenset({"OpOverload", "OpOverloadPacket"})


def is_module_class(key: object) -> bool:
    """Whether it is a class of modules, such as ``torch.nn.Linear``."""
    return isinstance(key, type) and MODULE in class_names(key)


def is_operator(key: object) -> bool:
    """Whether it is an operator, such as ``torch.ops.aten.linear`` or ``torch.ops.aten.linear.default``."""
    return any(each.__name__ in _OPERATORS and each.__module__.startswith("torch") for each in type(key).__mro__)
