"""Nothing that a run made outlives it, wherever a model keeps it; what cannot be put back is said."""

from __future__ import annotations

import contextvars
import functools
import gc
import importlib
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from checks.releases import since
from torch import nn

import thoplw
from thoplw.capture.abstract import AbstractTensor

TABLES: dict[Any, torch.Tensor] = {}
NESTED: dict[str, list[Any]] = {"layers": [None, None]}
HELPER = SimpleNamespace(last=None)
OF_THREAD = threading.local()
OF_THREAD.last = 0
LATEST: torch.Tensor | None = None


@functools.lru_cache(None)
def table(n: int, key: Any = None) -> torch.Tensor:
    return torch.arange(n).float().sin()


@functools.lru_cache(8)
def doubled(x: torch.Tensor) -> tuple[torch.Tensor]:
    return (x * 2,)


def in_a_dict(y: torch.Tensor) -> None:
    TABLES[y.shape] = y


def under_a_tensor(y: torch.Tensor) -> None:
    TABLES[y] = torch.ones(1)  # type: ignore[index]


def in_a_tuple_in_a_dict(y: torch.Tensor) -> None:
    TABLES["pair"] = (1, (y, 2))  # type: ignore[assignment]


def in_a_list(y: torch.Tensor) -> None:
    NESTED["layers"][0] = y


def in_an_attribute(y: torch.Tensor) -> None:
    HELPER.last = y


def in_one_thread(y: torch.Tensor) -> None:
    OF_THREAD.last = y


def in_a_variable(y: torch.Tensor) -> None:
    global LATEST
    LATEST = y


def in_a_bounded_cache(y: torch.Tensor) -> None:
    doubled(y)


def in_a_default(y: torch.Tensor, cache: dict[str, Any] = {}) -> None:  # noqa: B006 # that is the point
    cache["y"] = y


def in_a_cycle(y: torch.Tensor) -> None:
    cycle: list[Any] = [y]
    cycle.append(cycle)


def as_lost_values(y: torch.Tensor) -> None:
    angles = torch.zeros(4)
    angles[:] = y[0]
    TABLES["angles"] = angles


def as_assumed_values(y: torch.Tensor) -> None:
    TABLES["kept"] = (y > 0).nonzero() + 1


class Method:
    """Keeps what a method returned, by the object and by what it was given."""

    @functools.lru_cache(8)  # noqa: B019 # that is the point
    def kept(self, y: torch.Tensor) -> torch.Tensor:
        return y * 2


METHOD = Method()


def by_a_method(y: torch.Tensor) -> None:
    METHOD.kept(y)


def in_an_attribute_of_a_function(y: torch.Tensor) -> None:
    if not hasattr(in_an_attribute_of_a_function, "table"):
        in_an_attribute_of_a_function.table = y  # type: ignore[attr-defined]


CONTEXT: contextvars.ContextVar[torch.Tensor | None] = contextvars.ContextVar("CONTEXT", default=None)


def in_a_context(y: torch.Tensor) -> None:
    CONTEXT.set(y)


class Slots:
    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: Any = None


SLOTS = Slots()


def in_a_slot(y: torch.Tensor) -> None:
    SLOTS.table = (y,)


QUEUE: deque[Any] = deque(maxlen=2)


def in_a_queue(y: torch.Tensor) -> None:
    QUEUE.append((y, None))


class Recent:
    def __init__(self) -> None:
        self.tables: list[Any] = []


RECENT = Recent()


def in_an_empty_list_of_an_object(y: torch.Tensor) -> None:
    RECENT.tables.append((y,))


class Tables:
    """A class that is no module, with tables of its own."""

    cosines: Any = None


def in_a_class(y: torch.Tensor) -> None:
    Tables.cosines = y
    Tables.sines = y  # type: ignore[attr-defined]


class Bounded(OrderedDict[Any, Any]):
    """Makes room for what is new."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > 2:
            self.popitem(last=False)


BOUNDED, ORDERED = Bounded(a=1, b=2), OrderedDict(a=1, b=2)


def in_place_of_another(y: torch.Tensor) -> None:
    BOUNDED["y"] = y


def in_an_order(y: torch.Tensor) -> None:
    ORDERED["y"] = y
    ORDERED.move_to_end("a")


ARRAY = np.array([None, 1], dtype=object)


def in_an_array(y: torch.Tensor) -> None:
    ARRAY[0] = y


LINE: Queue[torch.Tensor] = Queue()


def in_a_line(y: torch.Tensor) -> None:
    LINE.put(y)


KEEPERS = (
    in_a_class,
    in_place_of_another,
    in_an_order,
    in_an_array,
    in_a_line,
    by_a_method,
    in_an_attribute_of_a_function,
    in_a_context,
    in_a_slot,
    in_a_queue,
    in_an_empty_list_of_an_object,
    in_a_dict,
    under_a_tensor,
    in_a_tuple_in_a_dict,
    in_a_list,
    in_an_attribute,
    in_one_thread,
    in_a_variable,
    in_a_bounded_cache,
    in_a_default,
    in_a_cycle,
    as_lost_values,
    as_assumed_values,
)


class Keeping(nn.Module):
    def __init__(self, keep: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.keep = [keep]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        self.keep[0](y)
        return y


@pytest.mark.parametrize("keep", KEEPERS)
def test_nothing_survives(keep: Callable[[torch.Tensor], Any]) -> None:
    before = sum(type(each) is AbstractTensor for each in gc.get_objects())
    model, x = Keeping(keep), torch.ones(2, 4)
    macs = thoplw.profile(model, x, convention="macs", verbose=False)[0]
    assert macs == 2 * 4 * 4
    assert sum(type(each) is AbstractTensor for each in gc.get_objects()) == before
    assert TABLES == {}
    assert NESTED == {"layers": [None, None]}
    assert HELPER.last is None
    assert OF_THREAD.last == 0
    assert LATEST is None
    assert not hasattr(in_an_attribute_of_a_function, "table")
    assert CONTEXT.get() is None
    assert (SLOTS.table, QUEUE, RECENT.tables) == (None, deque(), [])
    assert (Tables.cosines, hasattr(Tables, "sines")) == (None, False)
    assert [*BOUNDED.items()] == [*ORDERED.items()] == [("a", 1), ("b", 2)]
    assert (ARRAY.tolist(), LINE.qsize()) == ([None, 1], 0)
    model(x).sum().backward()
    TABLES.clear()
    NESTED["layers"][0] = HELPER.last = SLOTS.table = None
    OF_THREAD.last = 0
    in_a_variable(None)  # type: ignore[arg-type]
    METHOD.kept.cache_clear()
    in_an_attribute_of_a_function.__dict__.clear()
    CONTEXT.set(None)
    QUEUE.clear()
    Tables.cosines = None
    if hasattr(Tables, "sines"):
        del Tables.sines
    BOUNDED.clear()
    BOUNDED.update(a=1, b=2)
    ORDERED.clear()
    ORDERED.update(a=1, b=2)
    ARRAY[0] = None
    LINE.queue.clear()
    RECENT.tables.clear()


def _keeping_in_its_method(kept: list[Any]) -> nn.Module:
    class Positional(nn.Module):
        def forward(self, x: torch.Tensor, kept: list[Any] = kept) -> torch.Tensor:
            kept.append(x + 1)
            return x @ x.T

    return Positional()


def _keeping_in_a_keyword(kept: list[Any]) -> nn.Module:
    class Keyword(nn.Module):
        def forward(self, x: torch.Tensor, *, kept: list[Any] = kept) -> torch.Tensor:
            kept.append(x + 1)
            return x @ x.T

    return Keyword()


def _keeping_around(kept: list[Any]) -> nn.Module:
    class Around(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kept.append(x + 1)
            return x @ x.T

    return Around()


def _keeping_in_a_static_method(kept: list[Any]) -> nn.Module:
    class Static(nn.Module):
        @staticmethod
        def keep(y: torch.Tensor, kept: list[Any] = kept) -> None:
            kept.append(y)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.keep(x + 1)
            return x @ x.T

    return Static()


def _keeping_in_a_property(kept: list[Any]) -> nn.Module:
    class Property(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 4))

        @property
        def table(self) -> torch.Tensor:
            kept.append(self.weight + 1)
            return self.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.table.T

    return Property()


class Helpers:
    """Of the file of the model, and no module."""

    def keep(self, y: torch.Tensor, kept: list[Any] = ["before"]) -> list[Any]:  # noqa: B006 # that is the point
        kept.append(y)
        return kept


def test_nothing_survives_in_a_list_of_a_method_of_another_class() -> None:
    thoplw.profile(Keeping(Helpers().keep), (2, 4), verbose=False)
    assert Helpers.keep.__defaults__ == (["before"],)


@pytest.mark.parametrize(
    "make",
    [
        _keeping_in_its_method,
        _keeping_in_a_keyword,
        _keeping_around,
        _keeping_in_a_static_method,
        _keeping_in_a_property,
    ],
)
def test_nothing_survives_in_lists_of_methods(make: Callable[[list[Any]], nn.Module]) -> None:
    kept: list[Any] = ["before"]
    assert thoplw.profile(make(kept), (2, 4), convention="macs", verbose=False)[0] == 2 * 4 * 2
    assert kept == ["before"]


HELPERS = {
    "h_inner": "LIST, LAST, STATE = [], None, {'last': None}",
    "h_outer": """
import h_inner

def keep(y, made=[]):
    h_inner.LIST.append(y)
    h_inner.LAST = y
    h_inner.STATE["last"] = y
    made.append(y)

class Registry:
    first = None
    items = []
""",
}


@pytest.mark.parametrize("training", [False, pytest.param(True, marks=since("2.4"))])
def test_nothing_survives_in_files_that_the_file_of_the_model_imports(
    training: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in HELPERS.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    helper = importlib.import_module("h_outer")
    monkeypatch.setattr(sys.modules[__name__], "helper", helper, raising=False)

    def keep(y: torch.Tensor) -> None:
        helper.keep(y)
        helper.Registry.first = y
        helper.Registry.items.append(y)

    model = Keeping(keep)
    try:
        if training:
            thoplw.profile_training(model, (2, 4), verbose=False)
        else:
            thoplw.profile(model, (2, 4), verbose=False)
        inner = sys.modules["h_inner"]
        assert (inner.LIST, inner.LAST, inner.STATE) == ([], None, {"last": None})
        assert (helper.Registry.first, helper.Registry.items, helper.keep.__defaults__) == (None, [], ([],))
    finally:
        for name in HELPERS:
            sys.modules.pop(name, None)


def test_what_the_collector_does_not_show_is_found() -> None:
    """A server freezes what exists before it forks."""
    TABLES["another"] = torch.ones(1)  # an empty dict is not frozen
    gc.freeze()
    frozen = gc.get_freeze_count()
    try:
        thoplw.profile(Keeping(in_a_dict), torch.ones(2, 4), verbose=False)
        assert gc.get_freeze_count() > frozen / 2  # some objects may have died since
        assert list(TABLES) == ["another"]
    finally:
        gc.unfreeze()
        TABLES.clear()


@pytest.mark.parametrize("execute", [False, True])
def test_a_table_that_was_computed_is_one_to_train_on(execute: bool) -> None:
    class Rotary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x * table(4))

    table.cache_clear()
    model = Rotary().train()
    thoplw.profile(model, (2, 4), execute=execute)
    assert torch.equal(table(4), torch.arange(4).float().sin())
    model(torch.ones(2, 4)).sum().backward()


def test_what_is_overwritten_and_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    state: torch.Tensor | None = None

    def keep(y: torch.Tensor) -> None:
        nonlocal state
        state = y

    monkeypatch.setattr(functools, "keep_of_a_test", keep, raising=False)  # where nobody looks
    model = Keeping(lambda y: functools.keep_of_a_test(y))  # type: ignore[attr-defined]
    with pytest.raises(thoplw.InputError, match=r"variable 'state' around test_what_is_over.*set it again"):
        thoplw.profile(model, (2, 4))
    assert state is not None


def test_a_variable_is_told_from_the_others_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by what they hold, as tensors answer a comparison with a tensor."""
    first, last = torch.zeros(2, 4), torch.zeros(2, 4)

    def keep(y: torch.Tensor) -> None:
        nonlocal last
        last = y + first

    monkeypatch.setattr(functools, "keep_of_a_test", keep, raising=False)  # where nobody looks
    model = Keeping(lambda y: functools.keep_of_a_test(y))  # type: ignore[attr-defined]
    with pytest.raises(thoplw.InputError, match=r"variable 'last' around test_a_variable_is_told"):
        thoplw.profile(model, (2, 4))
    assert last is not None


class Catching(nn.Module):
    """Catches the error of a layer that has a hook, so that its call has a closure."""

    def __init__(self, then: Callable[[Exception, torch.Tensor], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.failing = nn.Bilinear(4, 4, 4)
        self.failing.register_forward_hook(lambda *_: None)
        self.then = then

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        try:
            self.failing(y)
        except TypeError as error:
            self.then(error, y)
        return y


@pytest.mark.parametrize("training", [False, pytest.param(True, marks=since("2.4"))])
def test_an_error_that_was_caught_may_be_kept(training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its traceback has the variables of calls that are over, which no forward meets."""
    monkeypatch.setattr(functools, "errors_of_a_test", [], raising=False)  # where nobody looks
    model = Catching(lambda error, y: functools.errors_of_a_test.append(error))  # type: ignore[attr-defined]
    if training:
        assert thoplw.profile_training(model, (2, 4)).total_macs == 2 * 2 * 4 * 4
    else:
        assert thoplw.profile(model, (2, 4), convention="macs", verbose=False)[0] == 2 * 4 * 4
    assert len(functools.errors_of_a_test) == 1  # type: ignore[attr-defined]


def in_arguments(y: torch.Tensor) -> Exception:
    return ValueError(y, [y])


def in_an_attribute(y: torch.Tensor) -> Exception:
    error = ValueError()
    error.tables = {"y": [y]}  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("made", [in_arguments, in_an_attribute, lambda y: iter([y]), lambda y: iter((y,))])
def test_what_a_later_forward_finds_in_an_error_or_an_iterator_is_said(
    made: Callable[[torch.Tensor], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functools, "kept_of_a_test", SimpleNamespace(), raising=False)  # where nobody looks
    model = Keeping(lambda y: setattr(functools.kept_of_a_test, "last", made(y)))  # type: ignore[attr-defined]
    with pytest.raises(thoplw.InputError, match="kept a tensor of this run"):
        thoplw.profile(model, (2, 4))


def variable_of_its_own() -> tuple[Callable[[Any], None], Callable[[], Any]]:
    held = None

    def keep(y: Any) -> None:
        nonlocal held
        held = y

    return keep, lambda: held


keep_apart, kept_apart = variable_of_its_own()


@pytest.mark.parametrize("dies", [True, False])
def test_what_a_refused_run_left_hides_nothing_of_a_later_one(dies: bool) -> None:
    """Survivors are counted: an old one that dies in the run, or that the search meets, must not make up for a new."""
    with pytest.raises(thoplw.InputError, match="kept a tensor of this run in the variable 'held'"):
        thoplw.profile(Keeping(lambda y: keep_apart(y)), (2, 4))  # not the model's own: that is put back
    assert type(kept_apart()) is AbstractTensor

    def keep_another(y: torch.Tensor) -> None:
        in_a_dict(y)
        if dies:
            keep_apart(None)

    try:
        thoplw.profile(Keeping(keep_another), (2, 4), verbose=False)
        assert not TABLES
    finally:
        keep_apart(None)
        TABLES.clear()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a generator's variables are those of a frame up to Python 3.10")
def test_what_is_held_by_something_that_was_there_is_said() -> None:
    """A generator that the file keeps in a list has the table among its variables."""

    def keeper() -> Any:
        y = yield
        while True:
            yield y

    NESTED["layers"][0] = keeper()
    next(NESTED["layers"][0])
    try:
        with pytest.raises(thoplw.InputError, match=r"a tensor of this run in .*a list.*set it again"):
            thoplw.profile(Keeping(lambda y: NESTED["layers"][0].send(y)), (2, 4))
    finally:
        NESTED["layers"][0] = None


@since("2.4")
def test_what_a_forward_collected_too_early_is_no_survivor() -> None:
    """A cycle that grew old in the run is garbage only after it."""

    def grow_old(error: Exception, y: torch.Tensor) -> None:
        def again() -> Any:
            return again, y, error

        cycle: list[Any] = [y]
        cycle.append(cycle)
        gc.collect()
        gc.collect()

    assert thoplw.profile_training(Catching(grow_old), (2, 4)).total_macs == 2 * 2 * 4 * 4


def test_a_failing_forward_leaves_nothing_either() -> None:
    def fail(y: torch.Tensor) -> None:
        TABLES["y"] = y
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        thoplw.profile(Keeping(fail), (2, 4))
    assert TABLES == {}
