"""What is read of the modules of a model."""

from __future__ import annotations

import pytest
from torch import nn

from thoplw.capture.abstract import Specs
from thoplw.capture.weights import Weights
from thoplw.record import ModuleInfo, class_names


def read(model: nn.Module) -> list[ModuleInfo]:
    weights = Weights(Specs())
    weights.add(model)
    return weights.infos


def test_a_class_is_known_by_its_names() -> None:
    model, linear = read(nn.Sequential(nn.Linear(2, 3)))
    assert (model.class_name, linear.class_name) == ("Sequential", "Linear")
    assert (model.classes, linear.classes) == (class_names(nn.Sequential), class_names(nn.Linear))


@pytest.mark.parametrize(
    ("module", "container"),
    [(nn.ModuleList(), True), (nn.ModuleDict(), True), (nn.Module(), True), (nn.Sequential(), False)],
)
def test_containers_are_never_called(module: nn.Module, container: bool) -> None:
    assert [info.container for info in read(module)] == [container]


def test_a_weight_that_two_modules_have_is_one() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    _, first, second = read(model)
    assert first.parameters[0] == second.parameters[0]
    assert first.parameters[1].key != second.parameters[1].key
