"""A node of autograd's graph belongs to the module that made it, and a weight to the module that owns it."""

from __future__ import annotations

import pytest
import torch
from checks.releases import file_since
from torch import nn

import thoplw
from thoplw.capture.abstract import Specs
from thoplw.capture.backward import MarkedScopes, Owners
from thoplw.capture.torch_internals import number_of_node
from thoplw.capture.weights import Weights

file_since("2.4")


def scopes_of(model: nn.Module) -> tuple[MarkedScopes, Weights]:
    weights = Weights(Specs())
    weights.add(model)
    return MarkedScopes(weights.indices, Specs()), weights


def test_every_node_has_the_module_that_ran_when_it_was_made() -> None:
    """By autograd itself: the node of each output, and what belongs to the caller between two calls."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            a = self.first(x)
            b = a.exp()
            return [a, b, self.last(b)]

    model = Net()
    scopes, _ = scopes_of(model)
    before = torch.ones(3, requires_grad=True) * 2
    with scopes:
        made = model(before)
    owners = [scopes.scopes[scopes.maker_of(number_of_node(each.grad_fn))].module for each in made]
    assert [[*dict(model.named_modules())][index] for index in owners] == ["first", "", "last"]
    assert scopes.maker_of(number_of_node(before.grad_fn)) == 0  # it is older than the run


def test_what_was_computed_before_the_run_is_not_of_the_first_layer() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.base = nn.Parameter(torch.ones(4, 4))
            self.scale = self.base @ torch.ones(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) @ self.scale

    report = thoplw.profile_training(Net(), (2, 4), loss=torch.sum, convention="macs", verbose=False)
    own = {row.name: row.phases["backward"] for row in report.rows}
    assert own["layer"] == 2 * 4 * 4  # the gradient of its weight
    assert own[""] == 2 * (2 * 4 * 4) + 4 * 4 * 4  # of both factors, and of what the second was made of


@pytest.mark.parametrize(("number", "scope"), [(4, 0), (5, 7), (9, 7), (10, 8), (11, 8), (12, 9), (99, 9)])
def test_numbers_belong_to_the_last_mark_before_them(number: int, scope: int) -> None:
    scopes, _ = scopes_of(nn.ReLU())
    assert scopes.maker_of(number) == 0
    for mark, at in ((7, 5), (6, 10), (8, 10), (9, 12)):  # a scope that made nothing gives way
        scopes.mark(mark, at)
    assert scopes.maker_of(number) == scope


def test_a_weight_belongs_to_its_module_or_to_the_nearest_that_was_called() -> None:
    inner = nn.Sequential(nn.Linear(2, 2))
    model = nn.Sequential(nn.Linear(2, 2), inner)
    model[0].bias = inner[0].bias  # shared: it belongs to the first
    scopes, weights = scopes_of(model)
    owners = Owners(weights, scopes)
    first = [scopes.open(index) for index in (0, 1, 2)]
    assert owners.of(model[0].weight) == first[1]
    assert owners.of(inner[0].bias) == first[1]
    assert owners.of(inner[0].weight) == first[2]  # its own module never ran
    assert owners.of(torch.ones(2)) is None
    again = scopes.open(1)
    assert owners.of(model[0].weight) == first[1] != again


def test_tensors_of_one_scope_have_it_and_those_of_several_have_none() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    scopes, weights = scopes_of(model)
    owners = Owners(weights, scopes)
    _, one, _ = (scopes.open(index) for index in (0, 1, 2))
    assert owners.among(([model[0].weight], 3, (torch.ones(1), model[0].bias))) == one
    assert owners.among((model[0].weight, model[1].weight)) is None
    assert owners.among((torch.ones(1),)) is None


def test_a_gradient_belongs_to_the_module_of_its_weight_once_it_is_noted() -> None:
    model = nn.Linear(2, 2)
    scopes, weights = scopes_of(model)
    owners = Owners(weights, scopes)
    scope = scopes.open(0)
    model(torch.ones(2)).sum().backward()
    gradient = model.weight.grad
    assert gradient is not None
    assert owners.of(gradient) is None
    owners.note_gradients()
    assert owners.of(gradient) == scope
    state = torch.ones(2)
    owners.note(state, scope)
    assert owners.of(state) == scope
    assert owners.of(state.clone()) is None
