"""Sums over the tree: at every node, own figures and those of the children give the total."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoplw.errors import InputError
from thoplw.report.rollup import cumulative, folded, layers, rolled_up, summed
from thoplw.report.rows import Row

FIGURES: dict[str, Callable[[Row], object]] = {
    "macs": lambda row: row.macs,
    "flops": lambda row: row.flops,
    "params": lambda row: row.params,
    "trainable": lambda row: row.trainable,
    "float32": lambda row: row.bytes.get("float32", 0),
    "int8": lambda row: row.bytes.get("int8", 0),
    "aten.linear": lambda row: row.operators.get("aten.linear", 0),
}


def row(name: str, depth: int, macs: int = 0, params: int = 0, cls: str = "Module", dtype: str = "float32") -> Row:
    return Row(
        name=name,
        cls=cls,
        depth=depth,
        figures={
            "calls": 1,
            "macs": macs,
            "flops": 3 * macs,
            "params": params,
            "trainable": params // 2,
            "bytes": {dtype: 4 * params} if params else {},
        },
        operators={"aten.linear": macs} if macs else {},
    )


@st.composite
def trees(draw: st.DrawFn) -> tuple[Row, ...]:
    """The rows of some model: every depth is at most one more than the one before."""
    rows = [row("", 0, draw(st.integers(0, 5)))]
    for index in range(draw(st.integers(0, 12))):
        depth = draw(st.integers(1, rows[-1].depth + 1))
        figures = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
        dtype = draw(st.sampled_from(["float32", "int8"]))
        above = next(other for other in reversed(rows) if other.depth == depth - 1)
        rows.append(row(f"{above.name}.{index}".strip("."), depth, *figures, dtype=dtype))
    return tuple(rows)


def children(rows: tuple[Row, ...], index: int) -> list[int]:
    inside = []
    for other in range(index + 1, len(rows)):
        if rows[other].depth <= rows[index].depth:
            break
        inside += [other] if rows[other].depth == rows[index].depth + 1 else []
    return inside


def total(rows: tuple[Row, ...]) -> dict[str, int]:
    return {name: sum(figure(each) for each in rows) for name, figure in FIGURES.items()}  # type: ignore[misc]


@given(trees())
def test_own_and_children_are_the_total_of_every_node(rows: tuple[Row, ...]) -> None:
    sums = cumulative(rows)
    assert [each.name for each in sums] == [each.name for each in rows]
    for index, own in enumerate(rows):
        parts = (own, *(sums[child] for child in children(rows, index)))
        assert total((sums[index],)) == total(parts)


@given(trees(), st.integers(0, 5))
def test_what_is_rolled_up_adds_up_and_ends_at_the_depth(rows: tuple[Row, ...], depth: int) -> None:
    rolled = rolled_up(rows, depth)
    assert total(rolled) == total(rows)
    assert [each.name for each in rolled] == [each.name for each in rows if each.depth <= depth]
    deepest = {each.name: each for each in cumulative(rows) if each.depth == depth}
    assert all(total((each,)) == total((deepest[each.name],)) for each in rolled if each.depth == depth)


@given(trees())
def test_what_is_folded_adds_up_at_every_node(rows: tuple[Row, ...]) -> None:
    less = folded(rows)
    assert total(less) == total(rows)
    assert folded(less) == less
    assert len(less) <= len(rows)


@given(trees())
def test_layers_leave_out_no_figure(rows: tuple[Row, ...]) -> None:
    kept = layers(rows, *FIGURES.values())  # type: ignore[arg-type] # all of them give integers
    assert total(kept) == total(rows)
    assert all(not any(total((each,)).values()) for each in rows if each not in kept)


def test_equal_blocks_fold_and_say_how_many_they_are() -> None:
    blocks = [
        each
        for index in range(12)
        for each in (
            row(f"layers.{index}", 2, cls="EncoderLayer"),
            row(f"layers.{index}.fc", 3, 5, 7, "Linear"),
        )
    ]
    other = row("layers.12", 2, 1, cls="EncoderLayer")
    rows = (row("", 0), row("layers", 1, cls="ModuleList"), *blocks, other)
    assert [(each.name, each.cls, each.macs, each.params) for each in folded(rows)] == [
        ("", "Module", 0, 0),
        ("layers", "ModuleList", 0, 0),
        ("layers.0 - 11", "12 x EncoderLayer", 0, 0),
        ("layers.0.fc", "Linear", 60, 84),
        ("layers.12", "EncoderLayer", 1, 0),
    ]


@pytest.mark.parametrize(
    ("first", "last", "name"),
    [
        ("layers.9", "layers.10", "layers.9 - 10"),
        ("body.layer_0", "body.layer_1", "body.layer_0 - 1"),
        ("body.first", "body.second", "body.first - second"),
        ("body.left1", "body.right1", "body.left1 - right1"),
    ],
)
def test_a_folded_block_goes_by_its_first_and_last_name(first: str, last: str, name: str) -> None:
    above = first.partition(".")[0]
    rows = (row("", 0), row(above, 1), row(first, 2, 1), row(last, 2, 1))
    assert folded(rows)[-1].name == name


@pytest.mark.parametrize(
    "change",
    [
        {"cls": "Other"},
        {"input_shapes": ((1, 2),)},
        {"other_shapes": ((((1, 2),), ()),)},
        {"figures": {"macs": 2}},
        {"figures": {"calls": 2}},
        {"figures": {"bytes": {"int8": 4}}},
    ],
)
def test_blocks_that_differ_inside_do_not_fold(change: dict[str, object]) -> None:
    def block(index: int, **changes: object) -> list[Row]:
        inner = row(f"{index}.fc", 2, 1, 1, "Linear")
        figures = {**inner.figures, **changes.pop("figures", {})}  # type: ignore[dict-item] # a mapping, if it is there
        inner = replace(inner, figures=figures, **changes)  # type: ignore[arg-type] # any field
        return [row(str(index), 1, cls="Block"), inner]

    rows = (row("", 0), *block(0), *block(1, **change))
    assert folded(rows) == rows


def test_equal_blocks_apart_from_each_other_do_not_fold() -> None:
    rows = (row("", 0), row("a", 1, 1), row("b", 1, 2), row("c", 1, 1))
    assert folded(rows) == rows


def test_a_sum_keeps_what_the_first_is() -> None:
    both = summed([row("a", 1, 1, 2, "Linear"), row("b", 2, 10, 20, dtype="int8")])
    assert (both.name, both.cls, both.depth, both.macs, both.params) == ("a", "Linear", 1, 11, 22)
    assert both.bytes == {"float32": 8, "int8": 80}


def test_a_chain_folds_however_deep_it_is() -> None:
    chain = tuple(row(".".join("0" * depth), depth, macs=1) for depth in range(3_000))
    assert folded(chain) == chain
    assert cumulative(chain)[0].figures["macs"] == 3_000


@pytest.mark.parametrize("depth", [-1, "a", 1.5, True])
def test_what_is_no_depth_is_refused(depth: Any) -> None:
    with pytest.raises(InputError, match=r"^depth=.*: 0 is the model itself"):
        rolled_up([row("", 0)], depth)
