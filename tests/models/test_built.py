"""A builder runs without weights, in the thriftiest way that it bears."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.loaded import devices

from thoplw.models.registry import load

Write = Callable[[str], str]


def test_a_callable_is_called_without_allocating_weights(module: Write) -> None:
    name = module("def build(): return nn.Linear(3, 4)")
    loaded = load(f"{name}:build")
    assert devices(loaded) == {"meta"}
    assert loaded.inputs is None


def test_a_builder_that_computes_sizes_still_allocates_no_weights(module: Write) -> None:
    name = module("def build(): return nn.Linear(int(torch.arange(4)[-1].item()), 10)")
    loaded = load(f"{name}:build")
    assert loaded.model.in_features == 3
    assert devices(loaded) == {"meta"}


def test_a_builder_that_computes_sizes_with_numpy_still_allocates_no_weights(module: Write) -> None:
    name = module("def build(): return nn.Linear(int(torch.linspace(1, 3, 5).numpy()[-1]), 10)")
    loaded = load(f"{name}:build")
    assert loaded.model.in_features == 3
    assert devices(loaded) == {"meta"}


def test_a_builder_that_reads_weights_gets_them(module: Write) -> None:
    name = module("def build():\n    net = nn.Linear(3, 4)\n    net.scale = net.weight.max().item()\n    return net")
    assert devices(load(f"{name}:build")) == {"cpu"}


def test_the_default_device_is_as_before(module: Write) -> None:
    load(f"{module('def build(): return nn.Linear(3, 4)')}:build")
    assert torch.empty(1).device.type == "cpu"


def test_a_builder_that_warns(module: Write) -> None:
    name = module("import warnings\ndef build():\n    warnings.warn('no weights')\n    return nn.Linear(3, 4)")
    load(f"{name}:build")


def test_errors_of_the_builder_come_through(module: Write) -> None:
    name = module("def build(): raise KeyError('mine')")
    with pytest.raises(KeyError, match="mine"):
        load(f"{name}:build")
    name = module("def build(): raise RuntimeError('mine')")
    with pytest.raises(RuntimeError, match="mine"):
        load(f"{name}:build")


@pytest.mark.parametrize("text", ["raise KeyError('mine')", "return nn.Linear(3, 4)(torch.ones(1, 5))"])
def test_a_builder_that_fails_by_itself_is_called_once(text: str, module: Write, capsys: Any) -> None:
    """Real weights would take their time and memory to fail alike."""
    name = module(f"def build():\n    print('built')\n    nn.Linear(8, 8)\n    {text}")
    with pytest.raises((KeyError, RuntimeError)):
        load(f"{name}:build")
    assert capsys.readouterr().out == "built\n"


def test_a_builder_that_hides_what_it_wants_gets_it_all_the_same(module: Write) -> None:
    name = module(
        "def build():\n    net = nn.Linear(3, 4)\n    try:\n        net.scale = net.weight.max().item()\n"
        "    except RuntimeError:\n        raise ValueError('no scale')\n    return net"
    )
    assert devices(load(f"{name}:build")) == {"cpu"}


def test_only_weights_without_values_are_left_unfilled(module: Write) -> None:
    name = module(
        "def build():\n    net = nn.Linear(3, 4)\n    nn.init.trunc_normal_(net.weight)\n"
        "    net.width = int(torch.zeros(2, device='cpu').fill_(1.5).add_(1).sum())\n    return net"
    )
    loaded = load(f"{name}:build")
    assert devices(loaded) == {"meta"}
    assert loaded.model.width == 5
