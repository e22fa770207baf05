"""What calls leave: where it lies, and how large its storage is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from thoplw.capture import capture
from thoplw.capture.state import Enough, Watch, stored

VIEWS = {
    "whole": lambda x: x,
    "window": lambda x: x[:, :, -3:, :],
    "transposed": lambda x: x.transpose(1, 2),
    "expanded": lambda x: x[:, :1].expand(-1, 6, -1, -1)[:, :, 1:],
    "of one head": lambda x: x[:, 1],
    "empty": lambda x: x[:0],
    "number": lambda x: x.sum(),
}


@pytest.mark.parametrize("name", VIEWS)
def test_the_storage_of_a_view_is_that_of_the_whole(name: str) -> None:
    sizes: list[int] = []

    class Viewing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            view: torch.Tensor = VIEWS[name](x + 1)  # type: ignore[no-untyped-call] # they are lambdas
            return view

    def watch(scope: int, module: nn.Module, inputs: Any, output: Any) -> None:
        sizes.append(stored(output))

    x = torch.randn(2, 3, 5, 4)
    capture(Viewing(), (x,), {}, watch=watch)
    real = Viewing()(x)
    assert sizes == [0 if name == "empty" else real.untyped_storage().nbytes()]
    assert stored(real) == real.untyped_storage().nbytes()


class Layer:
    def __init__(self) -> None:
        self.keys, self.length = torch.ones(2, 3), torch.tensor(3)


class Cache:
    def __init__(self) -> None:
        self.layers = [Layer(), Layer()]
        self.settings = {"name": "cache"}


def test_what_the_next_call_is_given_again_is_the_cache() -> None:
    watch, cache, other = Watch(nn.Identity(), 2), Cache(), [torch.ones(4)]
    module, ids = nn.Identity(), torch.ones(2)
    watch.before(module, (ids,), {"cache": cache})
    watch.after(module, (ids,), {"cache": cache}, {"logits": torch.ones(9), "cache": cache, "hidden": other})
    watch.before(module, (torch.ones(1),), {"cache": cache})
    (held,) = watch.states
    assert sorted(each[:3] for each in held) == [(0, "Layer", "keys"), (1, "Layer", "keys")]
    assert {each.bytes for each in held} == {24}


def test_what_is_handed_on_in_parts_is_held_as_a_whole() -> None:
    watch, module = Watch(nn.Identity(), 1), nn.Identity()
    rows = torch.ones(6, 2)
    watch.before(module, (), {})
    watch.after(module, (), {}, {"mems": [rows]})
    with pytest.raises(Enough):
        watch.before(module, (), {"mems": [rows[-4:]]})
    ((held,),) = watch.states
    assert (held.owner, held.bytes) == ("mems", 48)


def test_states_in_modules_are_found() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    watch = Watch(model, 1)
    watch.before(model, (), {})
    model[0].state = torch.ones(3)
    watch.after(model, (), {}, None)
    with pytest.raises(Enough):
        watch.before(model, (), {})
    ((held,),) = watch.states
    assert held[:3] == (0, "Linear", "state")
