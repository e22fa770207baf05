"""Sum figures over the tree of modules: their rows in definition order, each with its depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from itertools import islice, takewhile
from operator import attrgetter
from string import digits
from typing import Any

from thoplw.errors import InputError
from thoplw.report.figures import FIGURES, Figures, Value, number, total
from thoplw.report.rows import Row


def rolled_up(modules: Iterable[Row], depth: int) -> tuple[Row, ...]:
    """Fold modules deeper than ``depth`` into the module at that depth that contains them.

    Raises:
        InputError: the depth is no whole number, or less than 0.
    """
    if type(depth) is not int or depth < 0:
        raise InputError(f"depth={depth!r}: 0 is the model itself, 1 the modules that it holds, and so on")
    groups: list[list[Row]] = []
    for row in modules:
        if row.depth <= depth:
            groups.append([])
        groups[-1].append(row)  # a module follows the one that holds it
    return tuple(summed(group) for group in groups)


def cumulative(modules: Sequence[Row]) -> tuple[Row, ...]:
    """Add the figures of all modules inside to those of every module."""
    done: list[Row] = []
    waiting: list[Row] = []  # of any depth, the last first
    for row in reversed(modules):
        inside = []
        while waiting and waiting[-1].depth > row.depth:
            inside.append(waiting.pop())
        waiting.append(summed([row, *inside]))
        done.append(waiting[-1])
    return tuple(reversed(done))


def inside(modules: Sequence[Row], at: int) -> list[Row]:
    """Return the row at a position, and those of the modules that its module holds."""
    held = takewhile(lambda row: row.depth > modules[at].depth, islice(modules, at + 1, None))
    return [modules[at], *held]


def summed(rows: Sequence[Row], beside: bool = False) -> Row:
    """Return the first row with the summed figures of all; a figure that does not add up stays that of the first.

    Args:
        rows: a module, and modules inside of it or beside it.
        beside: whether none is inside of another: inclusive figures add up then.
    """
    if len(rows) == 1:
        return rows[0]
    operators: Counter[str] = Counter()
    for row in rows:
        operators.update(row.operators)

    def figure(name: str) -> Value:
        if FIGURES[name].highest:
            return max(number(row.figures[name]) for row in rows)
        adds_up = FIGURES[name].adds_up or (beside and FIGURES[name].inclusive)
        return total(row.figures[name] for row in rows) if adds_up else rows[0].figures[name]

    figures = Figures({name: figure(name) for name in rows[0].figures}, figure)
    return replace(rows[0], figures=figures, operators=dict(operators))


def layers(modules: Sequence[Row], *figures: Callable[[Row], int]) -> tuple[Row, ...]:
    """Return the modules that contain no other, and containers with a figure of their own."""
    after = [row.depth for row in modules[1:]] + [0]
    return tuple(
        row
        for row, depth in zip(modules, after, strict=True)
        if depth <= row.depth or any(figure(row) for figure in figures)
    )


def folded(modules: Sequence[Row]) -> tuple[Row, ...]:
    """Merge runs of equal siblings: each row of the first one gets the figures of that row in all."""
    waiting: list[list[Row]] = []  # modules with all inside of them, the last first
    for row in reversed(modules):
        runs: list[list[list[Row]]] = []
        while waiting and waiting[-1][0].depth > row.depth:
            block = waiting.pop()
            if runs and _are_alike(runs[-1][0], block):
                runs[-1].append(block)
            else:
                runs.append([block])
        waiting.append([row, *(each for run in runs for each in _as_one(run))])
    return tuple(waiting[0])


def _are_alike(one: Sequence[Row], other: Sequence[Row]) -> bool:
    """Whether two blocks differ only in their position."""
    prefixes = len(one[0].name), len(other[0].name)
    return len(one) == len(other) and all(
        _looks(row) == _looks(twin) and row.name[prefixes[0] :] == twin.name[prefixes[1] :]
        for row, twin in zip(one, other, strict=True)
    )


_all_but_name = attrgetter(*(field.name for field in fields(Row) if field.name not in ("name", "figures")))


def _looks(row: Row) -> tuple[Any, ...]:
    """Return all that a row shows except its name. Late figures follow from the rest, within one model."""
    return *_all_but_name(row), dict(row.figures)


def _as_one(run: Sequence[Sequence[Row]]) -> Sequence[Row]:
    if len(run) == 1:
        return run[0]
    first, *inside = (summed(rows, beside=True) for rows in zip(*run, strict=True))
    last = run[-1][0].name
    number = last.removeprefix(first.name.rstrip(digits))
    last = number if number.isdigit() else last.rpartition(".")[2]
    return [replace(first, name=f"{first.name} - {last}", cls=f"{len(run)} x {first.cls}"), *inside]
