"""What goes on when it is used is put back, or said."""

from __future__ import annotations

import array
import csv
import itertools
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import torch
from torch import fx, nn

import thoplw


class Using(nn.Module):
    def __init__(self, held: Any, use: Any) -> None:
        super().__init__()
        self.layer, self.held, self.use = nn.Linear(4, 4), held, [use]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.use[0](self.held)
        return self.layer(x)


def numbers() -> Iterator[int]:
    yield from range(9)


def nothings() -> Iterator[None]:
    for _ in [1, 2, 3]:
        yield


def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (a int)")
    return connection


def add_node(held: fx.GraphModule) -> None:
    held.graph.placeholder("x")


RANGES = [] if sys.version_info < (3, 12) else [(lambda: iter(range(9)), next, "the forward took from a range_it")]


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(
    ("held", "use", "message"),
    [
        (itertools.count, next, r"the forward took from count\(0\), and this cannot be put back"),
        (numbers, next, "the forward took from the generator numbers, and this"),
        (lambda: iter([1]), list, "the forward took all from a list_iterator"),
        *RANGES,
        (lambda: iter({1, 2}), next, "the forward took from a set_iterator, and this"),
        (lambda: iter({"a": 1}.items()), next, "the forward took from a dict_itemiterator"),
        (lambda: itertools.cycle([1, 2]), next, "the forward took from a cycle"),
        (lambda: enumerate([1, 2]), next, "the forward took from an enumerate"),
        (lambda: zip([1], [2], strict=True), next, "the forward took from a zip"),
        (lambda: map(str, map(abs, [1, 2])), next, "the forward took from a map"),
        (lambda: itertools.islice([1, 2], 2), next, "the forward took from an islice"),
        (lambda: itertools.permutations([1, 2]), next, "the forward took from a permutations"),
        (lambda: itertools.repeat(1, 2), next, "the forward took from a repeat"),
        (lambda: csv.reader(["a", "b"]), next, "the forward took from a reader"),
        (nothings, lambda held: (next(held), next(held)), "the forward took from the generator nothings"),
        (database, lambda held: held.execute("insert into t values (1)"), "the forward wrote to a database"),
        (SimpleQueue, lambda held: held.put(1), "the forward put into a SimpleQueue, or took from it"),
        (lambda: fx.symbolic_trace(nn.ReLU()), add_node, "the forward edited a graph of torch.fx"),
        (lambda: memoryview(b"a"), memoryview.release, "the forward closed or released a memoryview"),
    ],
)
def test_what_cannot_be_put_back_is_said(held: Any, use: Any, message: str, execute: bool) -> None:
    model = Using(held(), use)
    with pytest.warns(RuntimeWarning, match=message):
        assert thoplw.profile(model, (2, 4), convention="macs", verbose=False, execute=execute)[0] == 32


@pytest.mark.parametrize(
    "held",
    [
        itertools.count,
        numbers,
        nothings,
        database,
        SimpleQueue,
        lambda: iter([1]),
        lambda: iter(range(2)),
        lambda: reversed([1]),
        lambda: itertools.tee([torch.ones(2)])[0],
        lambda: zip([torch.ones(2)], strict=True),
        lambda: fx.symbolic_trace(nn.ReLU()),
        lambda: memoryview(b"a"),
    ],
)
def test_nothing_is_said_of_what_was_not_used(held: Any) -> None:
    thoplw.profile(Using(held(), id), (2, 4), verbose=False)


def test_a_file_that_is_written_is_said_and_one_that_is_read_goes_back(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+", encoding="utf-8") as file:
        file.write("before")
        with pytest.warns(RuntimeWarning, match=r"the forward wrote to the file .*log, or read from it, and this"):
            thoplw.profile(Using(file, lambda held: held.write("x")), (2, 4), verbose=False)
    with (tmp_path / "log").open(encoding="utf-8") as file:
        thoplw.profile(Using(file, lambda held: held.read(3)), (2, 4), verbose=False)
        assert file.read() == "beforex"
        file.seek(0)
        thoplw.profile(Using(file, next), (2, 4), verbose=False)  # no place is told in the midst of lines
        assert file.read() == "beforex"
    thoplw.profile(Using(file, id), (2, 4), verbose=False)  # it is closed


def test_a_file_that_is_closed_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with (tmp_path / "a").open(encoding="utf-8") as file, pytest.warns(RuntimeWarning, match="closed the file"):
        thoplw.profile(Using(file, lambda held: held.close()), (2, 4), verbose=False)


@pytest.mark.parametrize("held", [bytearray(b"ab"), array.array("b", [1, 2]), "\u1234\u1235"])
def test_iterators_of_sequences_go_back(held: Any) -> None:
    model = Using(iter(held), next)
    thoplw.profile(model, (2, 4), verbose=False)
    assert [*model.held] == [*held]
