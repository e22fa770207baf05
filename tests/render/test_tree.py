"""A tree is drawn by the levels of its rows, whatever they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from thoplw.render.table import Table
from thoplw.render.tree import tree


def table(levels: list[int]) -> Table:
    return Table(
        columns=("Layer",),
        rows=tuple((f"a.n{index}",) for index in range(len(levels))),
        footer=("",),
        notes=(),
        values={},
        levels=tuple(levels),
        about={},
    )


@given(st.lists(st.integers(1, 6), max_size=20))
def test_lines_are_those_of_rich(levels: list[int]) -> None:
    levels = [0, *levels]
    branch = [Tree(Text("n0"))]
    for index, level in enumerate(levels[1:], start=1):
        del branch[level:]
        branch.append(branch[-1].add(Text(f"n{index}")))
    console = Console(width=1_000, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(branch[0])
    drawn = [line.rstrip() for line in captured.get().splitlines()]
    assert [line.strip(" ") for line in tree(table(levels)).splitlines()[2:]] == [line.strip(" ") for line in drawn]


def test_very_deep_levels_are_numbers() -> None:
    lines = tree(table(list(range(3_000)))).splitlines()
    assert lines[-1].endswith("└── [2999] n2999")
    assert max(map(len, lines)) < 500
