"""What the rules of all families share: the bytes of a tensor, and what an operator moves unless a rule says less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from thoplw.record import NOTHING, Call, TensorSpec, Traffic, specs_in

Rule = Callable[[Call], Traffic]

#: Operator (``library.name``, without the trailing underscore of in-place variants where both move alike) -> rule.
Table = Mapping[str, Rule]


def elements(spec: TensorSpec) -> int:
    """Distinct elements in memory: ``(8, 4)`` with strides ``(0, 1)`` is four, expanded.

    Windows that overlap, as those of ``unfold``, have no more than lie between the first element and the last. Of a
    sparse tensor, which has no strides, the stored values count, without their indices.
    """
    if not spec.strides:
        return int(spec.numel * spec.density) if spec.shape else 1
    if not spec.numel:
        return 0
    count, reach = 1, 1
    for size, stride in zip(spec.shape, spec.strides, strict=True):
        if stride:
            count *= size
            reach += (size - 1) * stride
    return min(count, reach)


def size(spec: TensorSpec) -> int:
    """Bytes of the distinct elements of a tensor."""
    return elements(spec) * spec.itemsize


def sizes(specs: Iterable[TensorSpec]) -> int:
    """Bytes of some tensors."""
    return sum([size(spec) for spec in specs])


def given(call: Call) -> tuple[TensorSpec, ...]:
    """The tensors that a call reads: all that it is given, but for those that it is given to write its output to."""
    if call.overload == "out" or call.overload.endswith("_out"):
        return tuple(specs_in(call.args))
    return call.inputs


def in_and_out(call: Call) -> Traffic:
    """Every input is read once, every output is written once: the rule of whatever has no other.

    An operator that returns nothing, such as ``_foreach_add_``, writes to its first argument. One whose output has no
    elements has nothing to do: a matrix that no row is sent to is not read.
    """
    outputs = call.outputs
    if not outputs and call.target.endswith("_"):
        outputs = tuple(specs_in(call.args[:1]))
    written = sizes(outputs)
    return Traffic(read=sizes(given(call)), written=written) if written or not outputs else NOTHING


def named(names: str, rule: Rule) -> dict[str, Rule]:
    """The same rule for operators of ``aten``, named in one string."""
    return {f"aten.{name}": rule for name in names.split()}
