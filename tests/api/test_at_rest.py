"""The profile of a model that did not run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thoplw
from thoplw.api.at_rest import at_rest
from thoplw.pricing import find


def tied() -> nn.Module:
    """An embedding of 10 rows of 4, a head that shares it, and a block of 20 parameters of its own."""
    model = nn.Module()
    model.words = nn.Embedding(10, 4)
    model.block = nn.Sequential(nn.Linear(4, 4))
    model.head = nn.Linear(4, 10, bias=False)
    model.head.weight = model.words.weight
    return model


def test_every_module_has_a_row_and_a_shared_weight_is_in_the_first() -> None:
    found = at_rest(tied(), find("macs"))
    assert [(row.name, row.cls, row.depth, row.params) for row in found.modules] == [
        ("", "Module", 0, 0),
        ("words", "Embedding", 1, 40),
        ("block", "Sequential", 1, 0),
        ("block.0", "Linear", 2, 20),
        ("head", "Linear", 1, 0),
    ]
    assert (found.params, found.cost, found.total.bytes) == (60, 0, {"float32": 240})


@pytest.mark.parametrize("convention", [each.name for each in thoplw.conventions()])
def test_a_convention_counts_the_parameters_that_it_counts_in_a_run(convention: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 1).requires_grad_(False))
    ran = thoplw.profile(model, (1, 3, 8, 8), convention=convention, verbose=False)[2]
    rest = thoplw.profile(model, convention=convention, verbose=False)[2]
    assert [(row.name, row.params, row.bytes) for row in rest.modules] == [
        (row.name, row.params, row.bytes) for row in ran.modules
    ]
    assert rest.total_params == ran.total_params


def test_a_report_says_that_nothing_ran() -> None:
    _, params, layers = thoplw.profile(tied(), verbose=False)
    assert params == 60
    assert layers.notes() == ("Nothing ran, as no input was given: only parameters are known.",)


def test_a_lazy_weight_is_refused() -> None:
    with pytest.raises(thoplw.InputError, match="weight 'weight' of the model itself is lazy"):
        at_rest(nn.LazyLinear(3), find("macs"))


def test_a_model_on_the_meta_device_needs_no_memory() -> None:
    with torch.device("meta"):
        model = nn.Linear(100_000, 100_000, bias=False)
    assert at_rest(model, find("macs")).params == 10**10
