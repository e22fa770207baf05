"""Modules use copies of their attributes while a run lasts, and what they had after it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import thoplw
from thoplw.capture.restore.twins import Twins


class Counts(nn.Module):
    """Sets an attribute, in its own way, and a parameter in every forward."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.calls = 0

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.scale = nn.Parameter(torch.ones(4))
        self.body.seen = x
        return self.body(x) * self.scale


def test_modules_have_their_own_attributes_again() -> None:
    model = Counts().train()
    attributes = [vars(module) for module in model.modules()]
    content = [dict(each) for each in attributes]
    assert thoplw.profile(model, (2, 4), convention="macs", verbose=False)[0] == 2 * 4 * 4
    assert all(vars(module) is own for module, own in zip(model.modules(), attributes, strict=True))
    assert [dict(each) for each in attributes] == content
    assert [name for name, _ in model.named_parameters()] == ["body.weight", "body.bias"]


def test_copies_are_in_evaluation_mode_and_share_nothing_that_changes() -> None:
    model = Counts().train()
    twins = Twins(list(model.modules()))
    twins.enter()
    assert not any(module.training for module in model.modules())
    model.extra = nn.Linear(2, 2)
    model.register_buffer("table", torch.ones(2))
    del model.calls
    twins.leave()
    assert all(module.training for module in model.modules())
    assert list(model._modules) == ["body"]
    assert not model._buffers
    assert model.calls == 0


def aliased() -> nn.Module:
    """One whose attributes somebody else has, too."""
    module = nn.Linear(4, 4)
    ALIASES.append(vars(module))
    return module


def registry_aliased() -> nn.Module:
    """One whose parameters somebody else has, too."""
    module = nn.Linear(4, 4)
    ALIASES.append(module._parameters)
    return module


def early() -> nn.Module:
    """One that has an attribute before those of torch."""
    module = nn.Linear(4, 4)
    attributes = {"first": [1], **vars(module)}
    module.__dict__ = attributes
    del attributes
    return module


ALIASES: list[dict[str, Any]] = []


@pytest.mark.parametrize("build", [aliased, registry_aliased, early])
def test_an_unusual_module_has_no_copies_and_is_put_back(build: Any) -> None:
    model = nn.Sequential(build(), nn.Linear(4, 4))
    twins = Twins(list(model.modules()))
    assert twins.others == [model[0]]
    assert twins.modules == [model, model[1]]
    model[0].register_forward_hook(lambda module, args, output: setattr(module, "seen", output))
    before = {name: vars(module).copy() for name, module in model.named_modules()}
    thoplw.profile(model.train(), (2, 4), verbose=False)
    assert {name: vars(module) for name, module in model.named_modules()} == before
