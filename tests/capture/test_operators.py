"""Facts about torch's operators."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision  # noqa: F401 # registers its operators
from checks.releases import since

from thoplw.capture.operators import (
    decides_on_values,
    is_composite,
    is_higher_order,
    is_mutable,
    operator_of,
    overload_of,
    places_of,
    size_bound,
    target_of,
    written,
)
from thoplw.record import Call

aten = torch.ops.aten


@pytest.mark.parametrize(
    ("func", "target", "overload"),
    [
        (aten.add.Tensor, "aten.add", "Tensor"),
        (aten.conv2d.default, "aten.conv2d", "default"),
        (torch.ops.torchvision.nms.default, "torchvision.nms", "default"),
        pytest.param(getattr(torch.ops.higher_order, "cond", None), "higher_order.cond", "default", marks=since("2.2")),
    ],
)
def test_names_in_records(func: Any, target: str, overload: str) -> None:
    assert (target_of(func), overload_of(func)) == (target, overload)
    assert is_higher_order(func) is target.startswith("higher_order.")
    if not is_higher_order(func):
        assert operator_of(Call(target=target, overload=overload)) is func


@pytest.mark.parametrize(
    ("func", "decides"),
    [
        (aten.nonzero.default, True),
        (aten.item.default, False),  # composite: the piece that reads decides
        (aten._local_scalar_dense.default, True),
        (aten._pack_padded_sequence.default, True),
        (torch.ops.torchvision.nms.default, True),
        (aten.add.Tensor, False),
    ],
)
def test_what_decides_on_values(func: Any, decides: bool) -> None:
    assert decides_on_values(func) is decides


@pytest.mark.parametrize(
    ("func", "composite", "mutable", "places"),
    [
        (aten.linear.default, True, False, ()),
        (aten.add_.Tensor, False, True, ()),
        (aten.mm.out, False, True, ("out",)),
        (aten.sort.values, False, True, ("values", "indices")),
        (aten.mm.default, False, False, ()),
    ],
)
def test_what_an_operator_does_to_its_arguments(func: Any, composite: bool, mutable: bool, places: Any) -> None:
    assert (is_composite(func), is_mutable(func), places_of(func)) == (composite, mutable, places)


def test_what_torchscript_alone_has_is_no_composite() -> None:
    assert not is_composite(torch.ops.aten.sym_size.default)


def test_what_is_written() -> None:
    x, y = torch.ones(2, 2), torch.ones(2, 2)
    assert list(map(id, written(aten.add_.Tensor, (x, y), {}))) == [id(x)]
    assert list(map(id, written(aten.mm.out, (x, x), {"out": y}))) == [id(y)]
    assert list(map(id, written(aten._foreach_add_.Scalar, ([x, y], 1), {}))) == [id(x), id(y)]
    assert list(written(aten.mm.default, (x, y), {})) == []


@pytest.mark.parametrize(
    ("args", "bound"),
    [
        ((torch.ones(3, 1), torch.ones(4)), 12),
        ((torch.ones(3, 1), 5), 3),
        (((2, 3),), 6),
        ((), 1),
        ((7, 8), 0),
    ],
)
def test_about_how_many_elements_come_out(args: tuple[Any, ...], bound: int) -> None:
    assert size_bound(args) == bound
