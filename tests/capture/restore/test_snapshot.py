"""Whatever objects hold, at any depth, is as it was when a snapshot was taken."""

from __future__ import annotations

import array
import functools
import io
import logging
import random
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import thoplw
from thoplw.capture.restore.snapshot import Snapshot, deque_back, put_back, slots_of


class Slotted:
    __slots__ = ("a", "b")


class Holder:
    kept: list[int] = []  # noqa: RUF012 # that is what is changed

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def method(self) -> None:
        """Nothing."""


class Named(dict[str, Any]):
    pass


def closure() -> tuple[Callable[[], int], Callable[[], None]]:
    count = 0

    def read() -> int:
        return count

    def add() -> None:
        nonlocal count
        count += 1

    return read, add


def slotted() -> Slotted:
    value = Slotted()
    value.a = [1]
    return value


def fill(value: Slotted) -> None:
    value.a, value.b = [2], 3


def write(array: np.ndarray[Any, Any]) -> None:
    array[0] = 9
    array.shape = (2, 2)
    array.flags.writeable = False


def again(error: ValueError) -> None:
    error.args[0].append(2)
    error.args = (3,)
    try:
        raise error from KeyError(1)
    except ValueError:
        return


def with_defaults() -> Callable[..., Any]:
    def function(a: int = 1, *, b: int = 2) -> Any:
        return a, b

    return function


def change_defaults(function: Any) -> None:
    function.__kwdefaults__["b"] = 3
    function.__defaults__, function.__kwdefaults__ = (4,), {"b": 5}
    function.__code__ = (lambda a, *, b: 6).__code__


class Other(Holder):
    pass


READ, ADD = closure()

#: What there is, what a forward does to it, and what is looked at.
CASES: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "a list": ([1, [2]], lambda x: (x[1].append(3), x.pop(0)), repr),
    "the order of a dict": ({"a": 1, "b": 2}, lambda x: x.update(c=0, a=x.pop("a")), repr),
    "an ordered dict": (OrderedDict(a=1, b=2), lambda x: x.move_to_end("a"), repr),
    "a dict of a class": (Named(a=[1]), lambda x: (x["a"].clear(), vars(x).update(more=1)), lambda x: (x, vars(x))),
    "a key that holds something": ({(holder := Holder(x=1)): 1}, lambda x: setattr(holder, "x", 2), lambda x: holder.x),
    "a set": ({1, 2}, lambda x: (x.add(3), x.discard(1)), repr),
    "a deque that is full": (deque([1, 2], maxlen=2), lambda x: x.append(3), repr),
    "an empty list": ([], lambda x: x.append(1), repr),
    "bytes": (bytearray(b"ab"), lambda x: x.__setitem__(0, 9), repr),
    "numbers": (array.array("i", [1, 2]), lambda x: x.append(3), repr),
    "an array of numpy": (np.arange(4), write, lambda x: (x.tolist(), x.shape)),
    "lists in an array": (np.array([[1], None], dtype=object), lambda x: x[0].append(2), repr),
    "a generator": (random.Random(0), lambda x: x.random(), lambda x: x.getstate()),
    "a generator of numpy": (np.random.default_rng(0), lambda x: x.random(), lambda x: x.bit_generator.state),
    "an old generator of numpy": (np.random.RandomState(0), lambda x: x.rand(), lambda x: repr(x.get_state())),
    "a generator of torch": (
        torch.Generator().manual_seed(0),
        lambda x: torch.rand(1, generator=x),
        lambda x: x.get_state().tolist(),
    ),
    "slots": (slotted(), fill, lambda x: (x.a, hasattr(x, "b"))),
    "attributes": (Holder(a=[1]), lambda x: (x.a.append(2), setattr(x, "b", 1)), vars),
    "attributes of a class": (
        Holder(),
        lambda x: (Holder.kept.append(1), setattr(Holder, "more", 2)),
        lambda x: (list(Holder.kept), hasattr(Holder, "more")),
    ),
    "a closure": (ADD, lambda x: x(), lambda x: READ()),
    "defaults": ((lambda x=[]: x), lambda x: x().append(1), lambda x: list(x())),
    "new defaults": (with_defaults(), change_defaults, lambda x: (x(), x.__kwdefaults__)),
    "a class of an object": (Holder(), lambda x: setattr(x, "__class__", Other), type),
    "other attributes": (Holder(a=1), lambda x: setattr(x, "__dict__", {"a": 2}), vars),
    "a factory": (defaultdict(list), lambda x: setattr(x, "default_factory", None), repr),
    "a method": (Holder(a=[]).method, lambda x: x.__self__.a.append(1), lambda x: vars(x.__self__)),
    "a partial": (
        functools.partial(len, [1]),
        lambda x: (x.args[0].append(2), setattr(x, "b", 1)),
        lambda x: (x(), vars(x)),
    ),
    "a mapping behind a proxy": (types.MappingProxyType({"a": [1]}), lambda x: x["a"].append(2), repr),
    "a logger": (logging.getLogger("thoplw.tests"), lambda x: x.setLevel(10), lambda x: x.level),
    "an error": (ValueError([1]), again, lambda x: (x.args, x.__cause__, x.__suppress_context__, x.__traceback__)),
    "one that holds itself": ((loop := Holder(a=1)), lambda x: setattr(loop, "me", loop), lambda x: sorted(vars(x))),
}


@pytest.mark.parametrize(("value", "change", "look"), CASES.values(), ids=CASES)
def test_it_is_as_it_was(value: Any, change: Callable[[Any], Any], look: Callable[[Any], Any]) -> None:
    before = repr(look(value))
    snapshot = Snapshot()
    snapshot.add([(value,)])  # a tuple holds it
    change(value)
    assert repr(look(value)) != before
    snapshot.restore()
    assert repr(look(value)) == before
    assert snapshot.lost == []


def test_a_table_has_its_cells_again_also_if_they_answer_no_comparison() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [torch.ones(2), 2]}, dtype=object)
    snapshot = Snapshot()
    snapshot.add([table])
    before = table.copy()
    table.iat[0, 0] = torch.zeros(2)
    with pytest.raises(RuntimeError, match="ambiguous"):
        table.equals(before)
    snapshot.restore()
    assert table.iat[0, 0].tolist() == [1, 1]


def test_an_image_has_its_pixels_again_and_stays_unread() -> None:
    images = pytest.importorskip("PIL.Image")
    white = images.new("RGB", (2, 2), "white")
    file = io.BytesIO()
    white.save(file, "PNG")
    unread = images.open(file)
    snapshot = Snapshot()
    snapshot.add([white, unread])
    white.putpixel((0, 0), 0)
    unread.putpixel((0, 0), 0)
    snapshot.restore()
    assert unread.fp is file
    assert white.tobytes() == unread.tobytes() == b"\xff" * 12


def test_an_array_that_warns_is_put_back_without_a_warning() -> None:
    """Warnings are errors in tests."""
    array = np.broadcast_arrays(np.zeros(1), np.zeros((3, 1)))[0]
    snapshot = Snapshot()
    snapshot.add([array])
    array.base.fill(1)  # type: ignore[union-attr] # it has one
    snapshot.restore()
    assert array.tolist() == [[0], [0], [0]]


def test_a_module_has_its_class_its_hooks_and_its_parts_again() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = [*model.named_modules()], dict(vars(model)).keys(), type(model)
    tensors = {id(each): each for each in model.parameters()}
    snapshot = Snapshot()
    snapshot.add_modules([*model.modules()], tensors)
    snapshot.twins.enter()
    model[0].register_forward_hook(print)
    model[1].__class__ = nn.Tanh
    model.add_module("more", nn.Identity())
    model.cache = {}
    model[0].bias = None
    snapshot.twins.leave()
    snapshot.restore()
    assert ([*model.named_modules()], dict(vars(model)).keys(), type(model)) == before
    assert {id(each) for each in model.parameters()} == {*tensors}
    assert not model[0]._forward_hooks
    assert type(model[1]) is nn.ReLU


def test_a_tensor_has_its_gradient_its_hooks_and_its_attributes_again_and_keeps_its_values() -> None:
    trained, plain = torch.ones(2, requires_grad=True), torch.ones(2)
    trained.grad = gradient = torch.zeros(2)
    snapshot = Snapshot()
    snapshot.add([[trained, plain]])
    assert {*snapshot.tensors} == {id(trained), id(plain), id(gradient)}
    trained.grad = None
    trained.register_hook(lambda gradient: gradient * 2)
    plain.requires_grad_()
    plain.note = "here"  # type: ignore[attr-defined] # that is what is tested
    with torch.no_grad():
        plain.add_(1)
    snapshot.restore()
    assert trained.grad is gradient
    assert not trained._backward_hooks
    assert not plain.requires_grad
    assert not hasattr(plain, "note")
    assert plain.tolist() == [2, 2]


def test_an_error_on_its_way_out_keeps_its_traceback() -> None:
    class Raising(nn.Module):
        error = ValueError("of a model")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise self.error

    with pytest.raises(ValueError, match="of a model") as raised:
        thoplw.profile(Raising(), torch.zeros(2))
    assert "raise self.error" in str(raised.traceback[-1].statement)


def test_what_a_snapshot_beside_has_is_skipped() -> None:
    holder, other = Holder(a=1), Holder(a=1)
    first = Snapshot()
    first.add([holder])
    second = Snapshot(first)
    second.add([holder, other])
    assert id(holder) in first.identities()
    holder.a = other.a = 2  # type: ignore[attr-defined] # as it is made above
    second.restore()
    assert (vars(holder), vars(other)) == ({"a": 2}, {"a": 1})
    first.restore()
    assert vars(holder) == {"a": 1}


def test_no_item_is_missing_at_any_moment() -> None:
    class Watched(dict[str, int]):
        def __delitem__(self, key: str) -> None:
            assert {"a", "b"} <= {*self}
            super().__delitem__(key)

    value = Watched(x=1, b=2)
    put_back(value, {"a": 1, "b": 2}, Watched)
    assert [*value.items()] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("maxlen", [None, 3, 5])
def test_a_deque_has_its_items_in_order(maxlen: int | None) -> None:
    value = deque([7, 8], maxlen)
    deque_back(value, [1, 2, 3])
    assert (list(value), value.maxlen) == ([1, 2, 3], maxlen)


def test_slots_are_those_of_classes_written_in_python() -> None:
    class Inner(Slotted):
        __slots__ = ("c",)

    assert [slot.__name__ for slot in slots_of(Inner)] == ["c", "a", "b"]
    assert slots_of(Holder) == slots_of(int) == ()


def _raises(*_: object) -> None:
    raise RuntimeError("there is no application yet")


#: As what ``optional_import`` of MONAI returns for a package that is missing, and as the settings of Django.
LAZY = type("Lazy", (), {"__getattr__": _raises})()
#: As ``request`` of Flask outside of a request.
PROXY = type("Proxy", (), {"__dict__": property(_raises), "__eq__": _raises, "__hash__": None, "__bool__": _raises})()


class BesideProxies(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.held, self.listed = nn.Linear(4, 4), PROXY, [LAZY, PROXY]

    def forward(self, x: torch.Tensor, proxies: tuple[object, ...] = ()) -> torch.Tensor:
        return self.layer(x)


@pytest.mark.parametrize("execute", [False, True])
def test_objects_that_answer_no_question_are_asked_none(execute: bool) -> None:
    inputs = thoplw.Inputs(torch.zeros(2, 4), proxies=(LAZY, PROXY))
    assert thoplw.profile(BesideProxies(), inputs, convention="macs", execute=execute)[0] == 2 * 4 * 4


@pytest.mark.parametrize("base", [tuple, frozenset])
@pytest.mark.parametrize("method", ["__len__", "__iter__"])
def test_a_derived_container_is_entered_without_its_own_methods(base: type, method: str) -> None:
    """As the irreducible representations of e3nn, a tuple that refuses to tell its length."""
    held = Holder(value=1)
    snapshot = Snapshot()
    snapshot.add([Holder(items=type("Derived", (base,), {method: _raises})([held]))])
    held.value = 2
    snapshot.restore()
    assert held.value == 1
