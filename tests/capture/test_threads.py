"""Work that a forward gives to threads is counted; what other threads do is not, and is not disturbed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
import torch
from checks.releases import has_fast_path, older
from torch import nn
from torch.nn.modules import module as module_globals

import thoplw
from thoplw.capture import capture
from thoplw.capture.options import Options
from thoplw.errors import InputError

Start = threading.Thread.start
Submit = ThreadPoolExecutor.submit


class Branches(nn.Module):
    """Two layers of 32 MACs, run by whatever ``way`` says."""

    def __init__(self, way: Any) -> None:
        super().__init__()
        self.a, self.b, self.way = nn.Linear(4, 4), nn.Linear(4, 4), [way]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.way[0](lambda layer: layer(x), [self.a, self.b])
        return torch.add(one, other)


def by_threads(work: Any, items: list[Any]) -> list[Any]:
    results: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda at=at, item=item: results.update({at: work(item)}))
        for at, item in enumerate(items)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[at] for at in range(len(items))]


def by_a_new_pool(work: Any, items: list[Any]) -> list[Any]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, items))


def by_a_pool_of_processes_kind(work: Any, items: list[Any]) -> list[Any]:
    with ThreadPool(2) as pool:
        return pool.map(work, items)


def by_threads_of_threads(work: Any, items: list[Any]) -> list[Any]:
    return by_threads(lambda item: by_a_new_pool(work, [item])[0], items)


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(
    "way", [by_threads, by_a_new_pool, by_a_pool_of_processes_kind, by_threads_of_threads], ids=lambda way: way.__name__
)
def test_branches_in_threads_are_counted_where_they_belong(way: Any, execute: bool) -> None:
    macs, params, info = thoplw.profile(Branches(way), (2, 4), convention="macs", verbose=False, execute=execute)
    assert (macs, params, {row.name: row.macs for row in info}) == (64, 40, {"a": 32, "b": 32})
    assert not info.assumptions
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == (Start, Submit)


def test_a_pool_that_was_there_before_is_followed_for_as_long_as_the_work_takes() -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(abs, range(4)))
        assert thoplw.profile(Branches(pool.map), (2, 4), convention="macs")[0] == 64
        assert pool.submit(torch.is_inference_mode_enabled).result() is False
        with thoplw.count("macs") as counted:
            Branches(pool.map)(torch.ones(2, 4))
    assert [counted.total_macs, counted.calls[0].total_macs] == [64, 64]


def test_threads_that_cannot_be_followed_are_told() -> None:
    with ThreadPool(1) as pool:
        with pytest.raises(InputError, match="a thread that existed before the run worked on its tensors"):
            thoplw.profile(Branches(pool.map), torch.ones(2, 4))
        with thoplw.count("macs") as counted:
            Branches(pool.map)(torch.ones(2, 4))
    assert counted.total_macs == 0
    assert any("calls of modules by threads that existed" in statement for statement in counted.layer_info.assumptions)


def test_what_threads_do_that_nobody_waits_for_is_told() -> None:
    go = threading.Event()
    threads: list[threading.Thread] = []

    class Leaves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            threads.append(threading.Thread(target=lambda: (go.wait(10), self.a(torch.ones(9, 4)))))
            threads[0].start()
            return self.a(x)

    macs, _, info = thoplw.profile(Leaves(), (2, 4), convention="macs", verbose=False)
    go.set()
    threads[0].join(10)
    assert macs == 32
    assert any("did not wait for" in statement for statement in info.assumptions)


@pytest.mark.parametrize("execute", [False, True])
def test_a_thread_that_serves_the_same_model_goes_on_and_is_not_counted(execute: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 4)))
    stop, failed = threading.Event(), list[BaseException]()

    def serve() -> None:
        while not stop.is_set():
            try:
                with torch.no_grad():
                    model(torch.ones(3, 4))
            except BaseException as error:  # whatever it is
                failed.append(error)

    server = threading.Thread(target=serve)
    server.start()
    try:
        for _ in range(10):
            trace = capture(model, (torch.ones(2, 4),), {}, Options(execute=execute))
            assert [scope.parent for scope in trace.scopes] == [-1, 0, 0, 0, 3]
    finally:
        stop.set()
        server.join(10)
    assert not server.is_alive()
    assert failed == []


def test_overlapping_profiles_leave_nothing() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.ReLU())
    before = {name: dict(vars(module)) for name, module in model.named_modules()}
    results: list[int] = []

    def work(execute: bool) -> None:
        for _ in range(5):
            results.append(thoplw.profile(model, (2, 4), convention="macs", verbose=False, execute=execute)[0])

    threads = [threading.Thread(target=work, args=(execute,)) for execute in (False, True, False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [32] * 20
    assert {name: dict(vars(module)) for name, module in model.named_modules()} == before
    assert has_fast_path()
    assert older("2.7") or not torch.utils._python_dispatch.is_in_torch_dispatch_mode()
    assert not module_globals._global_forward_hooks
    assert not module_globals._global_forward_pre_hooks


def test_count_takes_in_no_models_of_other_threads() -> None:
    stop = threading.Event()
    other = nn.Linear(8, 8)

    def serve() -> None:
        while not stop.is_set():
            other(torch.ones(1, 8))

    server = threading.Thread(target=serve)
    server.start()
    try:
        with thoplw.count("macs") as counted:
            nn.Linear(4, 4)(torch.ones(2, 4))
    finally:
        stop.set()
        server.join(10)
    assert {row.name: row.macs for row in counted.layer_info} == {"Linear": 32}


def test_a_profile_in_a_thread_of_a_profile_does_not_wait_for_it() -> None:
    class Asks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (
                x * by_threads(lambda layer: thoplw.profile(layer, (2, 4), convention="macs")[0], [nn.Linear(4, 4)])[0]
            )

    assert thoplw.profile(Asks(), (2, 4), convention="macs")[0] == 0


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_what_another_thread_writes_by_numpy_stays_written(execute: bool) -> None:
    theirs = torch.zeros(2)

    with ThreadPool(1) as pool:

        class Waits(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                pool.apply(lambda: theirs.numpy().fill(1))
                return x + 1

        thoplw.profile(Waits(), torch.ones(2), verbose=False, execute=execute)
    assert theirs.tolist() == [1, 1]
