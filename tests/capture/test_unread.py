"""A keyword input that nobody reads is said."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import thoplw


class State:
    """What a cache is: tensors in attributes and lists."""

    def __init__(self) -> None:
        self.layers = [torch.ones(2, 4), torch.ones(2, 4)]


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, state: State | None = None, **kwargs: Any) -> torch.Tensor:
        return self.layer(x if state is None else x + state.layers[1])


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
        return self.inner(x, **kwargs)


def unread(execute: bool, **given: Any) -> list[str]:
    inputs = thoplw.Inputs(torch.ones(2, 4), **given)
    _, _, layers = thoplw.profile(Outer(), inputs, verbose=False, execute=execute)
    notes = [note for note in layers.notes() if note.startswith("Never read: ")]
    assert len(notes) <= 1
    names = [name for name in given if any(name in note for note in notes)]
    assert layers.to_dict().get("unread", []) == names
    return names


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"state": State()}, []),  # read further down, by one of its tensors
        ({"cache": State()}, ["cache"]),
        ({"cache": [torch.ones(1)], "state": State()}, ["cache"]),
        ({"ids": torch.ones(2, dtype=torch.long)}, ["ids"]),  # has values also in a run without arithmetic
        ({"mask": torch.ones(2)}, []),  # the forward names it: it is its business
        ({"flag": True, "state": None}, []),  # whether a number is read, nothing tells
    ],
)
def test_a_keyword_that_nobody_reads_is_said(execute: bool, given: dict[str, Any], names: list[str]) -> None:
    assert unread(execute, **given) == names


def test_the_same_state_under_a_wrong_name_changes_nothing() -> None:
    x, state = torch.ones(2, 4), State()

    def flops(**given: Any) -> int:
        return thoplw.profile(Outer(), thoplw.Inputs(x, **given), verbose=False)[2].total_flops

    assert flops(state=state) == flops() + x.numel()
    assert flops(cache=state) == flops()
    assert [type(each) for each in state.layers] == [torch.Tensor, torch.Tensor]


def test_a_profile_read_from_a_file_still_says_it(tmp_path: Any) -> None:
    from thoplw.report.document import read

    inputs = thoplw.Inputs(torch.ones(2, 4), cache=State())
    _, _, layers = thoplw.profile(Outer(), inputs, verbose=False)
    path = tmp_path / "profile.json"
    path.write_text(layers.summary("json"))
    assert read(path).notes == layers.notes()
