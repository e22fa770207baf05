"""Times of modules: a clock that ticks at every look makes them exact."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from checks.attacks.touching import KINDS, touched
from checks.releases import since
from torch import nn

from thoplw import InputError, UnknownNameError
from thoplw.capture.timing import clocks
from thoplw.capture.timing.stopwatch import _spans, timed
from thoplw.record import Span


class Sleeper(nn.Module):
    """Takes at least so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return x


class Outer(nn.Module):
    """Sleeps by itself, and has two that sleep, one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.once, self.twice = Sleeper(0.02), Sleeper(0.005)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.01)
        return self.twice(self.twice(self.once(x)))  # type: ignore[no-any-return]


X = torch.ones(2, 3)


def spans_of(model: nn.Module, *args: Any, **options: int) -> tuple[Span, ...]:
    return timed(model, args or (X,), {}, **{"repeat": 1, "warmup": 0, **options}).timed[-1]


def test_the_time_of_a_module_is_its_own_and_that_of_those_it_calls() -> None:
    outer, once, first, second = spans_of(Outer())
    assert [span.module for span in (outer, once, first, second)] == ["", "once", "twice", "twice"]
    assert once.own >= 0.02 and first.own >= 0.005 and outer.own >= 0.01  # noqa: PT018 # all of one kind
    assert outer.seconds == pytest.approx(sum(span.own for span in (outer, once, first, second)))
    assert outer.start == 0 < once.start < first.start < second.start


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that shows one second more at every look."""
    looks: Iterator[int] = itertools.count(0, 10**9)
    monkeypatch.setattr(clocks, "CLOCKS", {"wall": lambda: next(looks)})


@pytest.mark.usefixtures("ticks")
def test_timers_do_not_time_themselves() -> None:
    inner = nn.Sequential(nn.Identity(), nn.Identity())
    spans = spans_of(nn.Sequential(inner, nn.Identity()))
    # Nothing but looks moves this clock, and what they take is left out.
    assert {(span.module, span.own, span.seconds) for span in spans} == {
        (name, 0, 0) for name in ("", "0", "0.0", "0.1", "1")
    }
    assert [span.module for span in spans] == ["", "0", "0.0", "0.1", "1"]
    assert {span.start for span in spans} == {0}


@pytest.mark.parametrize("clock", ["wall", "process"])
def test_calls_lie_within_those_that_made_them(clock: str) -> None:
    inner = nn.Sequential(*(nn.Linear(64, 64) for _ in range(20)))
    model = nn.Sequential(nn.Linear(64, 64), inner, nn.Linear(64, 64))
    (spans,) = timed(model, (torch.ones(64, 64),), {}, repeat=1, warmup=1, clock=clock).timed
    whole, first, block, *layers, last = spans
    assert [span.module for span in (whole, first, block, last)] == ["", "0", "1", "2"]
    for outer, calls in ((whole, (first, block, last)), (block, layers)):
        at = outer.start
        for span in calls:
            assert at <= span.start + 1e-9
            at = span.start + span.seconds
        # What timers cost is an estimate: a module that does nothing itself may seem to have taken less than nothing.
        assert at <= outer.start + outer.seconds - min(0, outer.own) + 1e-9


@pytest.mark.usefixtures("ticks")
def test_calls_lie_within_one_that_seems_to_take_less_than_nothing() -> None:
    second = 10**9
    calls = [
        (index, depth, *(stamp * second for stamp in stamps))
        for index, depth, stamps in ((1, 1, (3, 4, 8, 9)), (2, 1, (10, 11, 17, 18)), (0, 0, (0, 0, 18, 18)))
    ]
    whole, *inner = _spans(calls, clocks.Processor(), ["", "0", "1"], timer=1.0)  # a stamp takes a second too
    assert (whole.start, whole.seconds, whole.own) == (0, 7, -1)
    assert [(span.start, span.seconds) for span in inner] == [(0, 3), (3, 5)]  # the first came a second late


def test_the_clock_of_the_process_stands_still_while_it_sleeps() -> None:
    (run,) = timed(Outer(), (X,), {}, repeat=1, warmup=0, clock="process").timed
    assert run[0].seconds < 0.01
    with pytest.raises(UnknownNameError, match="unknown clock 'cpu'"):
        timed(Outer(), (X,), {}, repeat=1, warmup=0, clock="cpu")


def test_runs_are_as_many_as_asked_for() -> None:
    calls = []

    class Counted(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(self.training)
            return x

    times = timed(Counted(), (X,), {}, repeat=3, warmup=2)
    assert (len(times.untouched), len(times.timed), times.on) == (3, 3, "cpu")
    assert calls == [False] * 10  # in evaluation mode


def test_no_hook_and_no_mode_of_ours_is_there_while_an_untouched_run_goes_on() -> None:
    seen = []

    class Looks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hooks = len(nn.modules.module._global_forward_pre_hooks)
            seen.append((hooks, len(torch.utils._python_dispatch._get_current_dispatch_mode_stack())))
            return x

    timed(Looks(), (X,), {}, repeat=1, warmup=0)
    assert seen == [(0, 0), (1, 0)]


class Leaves(nn.Module):
    """Changes whatever it can reach; raises when told to."""

    def __init__(self, raises: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("seen", torch.zeros(1))
        self.raises, self.calls, self.kept = raises, 0, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.kept.append(x)
        self.seen += 1
        x.add_(1)
        torch.rand(1)
        if self.raises and self.calls > 1:
            raise RuntimeError("no more")
        return self.norm(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("raises", [False, True])
def test_a_model_and_its_inputs_are_left_as_they_were(raises: bool) -> None:
    model, x = Leaves(raises), torch.zeros(2, 3)
    state, seen = torch.get_rng_state(), model.seen
    if raises:
        with pytest.raises(RuntimeError, match="no more"):
            timed(model, (x,), {}, repeat=2, warmup=1)
    else:
        timed(model, (x,), {}, repeat=2, warmup=1)
    assert (model.calls, model.kept, model.training, model.norm.training) == (0, [], True, True)
    assert model.seen is seen
    assert model.seen == 0
    assert x.sum() == 0
    assert torch.equal(torch.get_rng_state(), state)
    assert not nn.modules.module._global_forward_pre_hooks
    assert not nn.modules.module._global_forward_hooks


@pytest.mark.parametrize(
    "name",
    [
        "float tensor",
        "shape of a tensor",
        "memory of a tensor",
        "tensor in an object",
        "sparse tensor",
        "storage",
        "recursion limit",
        "variable of a context",
        "errors of NumPy",
        *(["fast path of attention"] if "fast path of attention" in KINDS else []),
    ],
)
def test_what_else_a_forward_touches_is_left_as_it_was(name: str) -> None:
    kind = KINDS[name]
    once = [kind.touch]  # a second run finds a tensor without memory, say
    kind = kind._replace(touch=lambda held, y: once and once.pop()(held, y))
    assert not touched(kind, lambda model, inputs: timed(model, inputs, {}, repeat=1, warmup=0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("data", [False, True])
def test_a_forward_that_writes_to_a_parameter_is_told_of(data: bool, dtype: torch.dtype) -> None:
    class Writes(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            (self.weight.data if data else self.weight).add_(1)
            return super().forward(x)

    with pytest.warns(RuntimeWarning, match="wrote to parameters in place, and this cannot be put back"):
        timed(Writes(3, 3), (X,), {}, repeat=1, warmup=0)


@pytest.mark.filterwarnings("ignore:the forward wrote to parameters")
def test_a_forward_that_frees_its_weights_is_refused_in_words() -> None:
    class Frees(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            self.weight.untyped_storage().resize_(0)
            return y

    with pytest.raises(InputError, match="gave the memory of parameters another size"):
        timed(Frees(3, 3), (X,), {}, repeat=1, warmup=0)


def test_an_error_that_a_forward_catches_ends_the_call_of_the_module_that_raised_it() -> None:
    class Fails(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError

    class Catches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fails, self.other = Fails(), nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with contextlib.suppress(ValueError):
                self.fails(x)
            return self.other(x)  # type: ignore[no-any-return]

    spans = spans_of(Catches())
    assert sorted(span.module for span in spans) == ["", "fails", "other"]
    assert spans[0].seconds == pytest.approx(sum(span.own for span in spans))


def test_a_model_with_a_call_of_its_own_and_a_generator_are_timed_whole() -> None:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = Sleeper(0.01)

        def __call__(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
            yield self.layer(x)

    model, layer = spans_of(Lazy())
    assert (model.module, layer.module) == ("", "layer")
    assert model.seconds >= layer.seconds >= 0.01


def test_modules_without_weights_are_refused_with_what_to_do() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(InputError, match=r"weight '0\.weight' is on the meta device.*model\.to_empty\(device='cpu'\)"):
        timed(model, (X,), {}, repeat=1, warmup=0)
    with pytest.raises(InputError, match="an input is on the meta device: give real tensors"):
        timed(nn.Identity(), (X.to("meta"),), {}, repeat=1, warmup=0)


@since("2.1")
def test_a_compiled_module_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    model[0].compile()
    with pytest.raises(InputError, match="module '0' is compiled, which makes kernels that belong to no layer"):
        timed(model, (X,), {}, repeat=1, warmup=0)
    with pytest.raises(InputError, match="the model is compiled"):
        timed(torch.compile(nn.Linear(3, 3)), (X,), {}, repeat=1, warmup=0)


def test_a_fast_path_of_torch_is_taken() -> None:
    encoder = nn.TransformerEncoderLayer(8, 2, batch_first=True)
    assert [span.module for span in spans_of(encoder, torch.rand(1, 4, 8))] == [""]
