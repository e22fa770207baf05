"""What calls leave, and where it lies."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from thoplw.capture.state import Enough, StateRecorder


class Layer:
    def __init__(self) -> None:
        self.keys, self.length = torch.ones(2, 3), torch.tensor(3)


class Cache:
    def __init__(self) -> None:
        self.layers = [Layer(), Layer()]
        self.settings = {"name": "cache"}


def test_what_the_next_call_is_given_again_is_the_cache() -> None:
    recorder, cache, other = StateRecorder(nn.Identity(), 2), Cache(), [torch.ones(4)]
    module, ids = nn.Identity(), torch.ones(2)
    recorder.before(module, (ids,), {"cache": cache})
    recorder.after(module, (ids,), {"cache": cache}, {"logits": torch.ones(9), "cache": cache, "hidden": other})
    recorder.before(module, (torch.ones(1),), {"cache": cache})
    (held,) = recorder.states
    assert sorted(each[:3] for each in held) == [(0, "Layer", "keys"), (1, "Layer", "keys")]
    assert {each.bytes for each in held} == {24}


def test_what_is_handed_on_in_parts_is_held_as_a_whole() -> None:
    recorder, module = StateRecorder(nn.Identity(), 1), nn.Identity()
    rows = torch.ones(6, 2)
    recorder.before(module, (), {})
    recorder.after(module, (), {}, {"mems": [rows]})
    with pytest.raises(Enough):
        recorder.before(module, (), {"mems": [rows[-4:]]})
    ((held,),) = recorder.states
    assert (held.owner, held.bytes) == ("mems", 48)


def test_places_are_told_apart() -> None:
    """Those of a tensor by which it is known again after a prompt of another length."""
    recorder, module = StateRecorder(nn.Identity(), 1), nn.Identity()
    layer = Layer()
    layer.states = {0: torch.ones(2), 1: [torch.ones(2), torch.ones(3)]}  # type: ignore[attr-defined] # it is no class of ours
    given = {"cache": [layer], "pairs": [(torch.ones(4), torch.ones(4))]}
    recorder.before(module, (), {})
    recorder.after(module, (), given, None)
    with pytest.raises(Enough):
        recorder.before(module, (), given)
    (held,) = recorder.states
    assert sorted(each[:3] for each in held) == [
        (0, "Layer", "keys"),
        (0, "Layer", "states[0]"),
        (0, "Layer", "states[1][0]"),
        (0, "Layer", "states[1][1]"),
        (0, "pairs", "pairs[0]"),
        (0, "pairs", "pairs[1]"),
    ]


def test_a_tensor_made_of_others_holds_these() -> None:
    """As one of quanto, which looks like 12 numbers of four bytes, and keeps 6 bytes and a scale."""

    class Packed(torch.Tensor):
        @staticmethod
        def __new__(cls, values: torch.Tensor, scale: torch.Tensor) -> Packed:
            made: Packed = torch.Tensor._make_wrapper_subclass(cls, (12,))
            made.values, made.scale = values, scale  # type: ignore[assignment, method-assign] # names of quanto's kind
            return made

        @classmethod
        def __torch_dispatch__(cls, *given: Any) -> Any:
            raise NotImplementedError

        def __tensor_flatten__(self) -> tuple[list[str], None]:
            return ["values", "scale"], None

    recorder, module = StateRecorder(nn.Identity(), 1), nn.Identity()
    cache = [Packed(torch.ones(6, dtype=torch.uint8), torch.ones(1))]
    recorder.before(module, (), {})
    recorder.after(module, (), {"cache": cache}, None)
    with pytest.raises(Enough):
        recorder.before(module, (), {"cache": cache})
    (held,) = recorder.states
    assert sorted((*each[:3], each.bytes) for each in held) == [
        (0, "cache", "cache.scale", 4),
        (0, "cache", "cache.values", 6),
    ]


def test_tensors_in_one_storage_have_its_bytes_together() -> None:
    recorder, module = StateRecorder(nn.Identity(), 1), nn.Identity()
    rows = torch.ones(6, 4)
    keys, values, alone = rows[:, :1], rows[:, 1:], torch.ones(5)
    cache = [keys, values, values.view(6, 3), alone]
    recorder.before(module, (), {})
    recorder.after(module, (), {}, {"cache": cache})
    with pytest.raises(Enough):
        recorder.before(module, (), {"cache": cache})
    (held,) = recorder.states
    sizes = {each.layer: each.bytes for each in held}
    assert sum(sizes.values()) == (24 + 5) * 4
    assert sizes[3] == 20
    assert 13 <= sizes[0] <= 14  # 6 of 42 elements that are shown, of 96 bytes
    assert 41 <= sizes[1] <= 42
    assert 41 <= sizes[2] <= 42


def test_states_in_modules_are_found() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    recorder = StateRecorder(model, 1)
    recorder.before(model, (), {})
    model[0].state = torch.ones(3)
    recorder.after(model, (), {}, None)
    with pytest.raises(Enough):
        recorder.before(model, (), {})
    ((held,),) = recorder.states
    assert held[:3] == (0, "Linear", "state")
