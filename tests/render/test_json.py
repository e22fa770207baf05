"""A document is written a layer a line, and reads back to the unit."""

from __future__ import annotations

import json as standard

import pytest

from thoplw.render.json import json

LAYER = {"name": "fc", "macs": 2**70 + 1}


@pytest.mark.parametrize("count", [1, 3])
def test_every_layer_has_a_line_and_no_figure_is_rounded(count: int) -> None:
    document = {"model": 'Net "2"', "totals": {"macs": count * LAYER["macs"]}, "layers": [LAYER] * count}
    text = json(document)
    assert standard.loads(text) == document
    assert sum(str(2**70 + 1) in line and "fc" in line for line in text.splitlines()) == count


def test_keys_stay_in_order_wherever_layers_stand() -> None:
    document = {"layers": [LAYER], "b": 1, "a": None}
    assert list(standard.loads(json(document))) == ["layers", "b", "a"]
