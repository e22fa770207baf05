"""An operator that ran, with what it was given and what it returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from thoplw.record.spec import Nested, TensorSpec, specs_in


# As of a TensorSpec, Final says that nothing changes it, and it is not frozen.
@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """An operator with the arguments it was called with.

    Every tensor is replaced by its :class:`TensorSpec`, and whatever else is torch's, such as a dtype, by its
    :class:`TorchName`. Positional arguments stand in the order of the operator's schema; trailing ones that equal
    their default may be missing.

    Attributes:
        target: the operator as ``library.name``, such as ``aten.conv2d``.
        overload: the overload's name, such as ``default``.
        args: positional arguments.
        kwargs: keyword-only arguments.
        output: what was returned, nested as the operator returns it.
        parts: for a composite operator that was taken apart, the operators that it is made of.
    """

    target: Final[str]
    overload: Final[str] = "default"
    args: Final[tuple[Any, ...]] = ()
    kwargs: Final[Mapping[str, Any]] = field(default_factory=dict)
    output: Final[Nested] = None
    parts: Final[tuple[Call, ...] | None] = None

    @property
    def name(self) -> str:
        """Target and overload: ``aten.conv2d.default``."""
        return f"{self.target}.{self.overload}"

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Every tensor among the arguments, in order."""
        found: list[TensorSpec] = []
        for value in (*self.args, *self.kwargs.values()) if self.kwargs else self.args:
            if type(value) is TensorSpec:
                found.append(value)
            elif type(value) is not int:
                found += specs_in(value)
        return tuple(found)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Every tensor among what was returned, in order."""
        return (self.output,) if isinstance(self.output, TensorSpec) else tuple(specs_in(self.output))

    def arg(self, position: int, default: Any = None) -> Any:
        """The positional argument at ``position``, or ``default`` where the call left it out."""
        return self.args[position] if position < len(self.args) else default


#: Takes a composite operator apart: the operators that it is made of, or ``None`` for a kernel.
Expand = Callable[[Call], tuple[Call, ...] | None]

#: One run of an operator: what was called, and the index of the scope that it ran in.
Step = tuple[Call, int]
