"""What tools that see kernels count, and what they are blind for."""

from __future__ import annotations

import pytest
import torch
from checks.calls import c64, call, f32

from thoplw.formulas import FORMULAS
from thoplw.pricing.mirrors.common import PRODUCTS_INSIDE, blind_but, contraction_of
from thoplw.record import Work


def test_a_contraction_has_no_bias() -> None:
    linear = call("linear", f32(2, 3), f32(5, 3), f32(5), out=f32(2, 5))
    assert contraction_of("aten.linear")(linear) == Work(macs=2 * 3 * 5, flops=2 * 2 * 3 * 5)


def test_attention_has_its_two_products_and_no_softmax() -> None:
    q, k, v = f32(2, 4, 7, 8), f32(2, 4, 9, 8), f32(2, 4, 9, 6)
    done = call("scaled_dot_product_attention", q, k, v, out=f32(2, 4, 7, 6))
    macs = 2 * 4 * 7 * 9 * (8 + 6)
    assert contraction_of("aten.scaled_dot_product_attention")(done) == Work(macs=macs, flops=2 * macs)


def test_complex_numbers_count_as_real_ones_but_a_convolution_of_them_is_three() -> None:
    """As torch runs it: real kernels are what such a tool sees of one."""
    product = call("mm", c64(2, 3), c64(3, 5), out=c64(2, 5))
    assert contraction_of("aten.mm")(product).macs == 2 * 3 * 5
    convolution = call("conv1d", c64(1, 2, 8), c64(4, 2, 3), out=c64(1, 4, 6))
    assert contraction_of("aten.conv1d")(convolution).macs == 3 * 6 * 4 * 2 * 3


def test_what_a_tool_does_not_see_is_free_and_what_nobody_knows_has_no_price() -> None:
    def price(call: object) -> Work:
        return Work(macs=1)

    table = blind_but({"aten.relu": price, "aten.mm": None})
    assert table["aten.relu"] is price
    assert table["aten.mm"] is table["aten.conv2d"] is None
    assert "mine.op" not in table
    assert set(FORMULAS) <= set(table)
    with pytest.raises(TypeError):
        table["aten.mm"] = price  # type: ignore[index] # that is what is tested


@pytest.mark.parametrize("target", PRODUCTS_INSIDE)
def test_functions_with_products_inside_are_of_torch(target: str) -> None:
    name = target.removeprefix("aten.")
    assert hasattr(torch.ops.aten, name) or hasattr(torch, name)
