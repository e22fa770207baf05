"""Layers of torch by name."""

from __future__ import annotations

import pytest
from torch import nn

from thoplw.pricing.mirrors.layers import LAYERS, layers
from thoplw.record import class_names


@pytest.mark.parametrize("name", LAYERS)
def test_a_name_is_that_of_a_class(name: str) -> None:
    assert LAYERS[name] == class_names(getattr(nn, name))[0]


def test_several() -> None:
    assert layers("Linear GRU") == ("torch.nn.modules.linear:Linear", "torch.nn.modules.rnn:GRU")
    with pytest.raises(KeyError):
        layers("Linear Conv4d")
