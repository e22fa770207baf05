"""The terms of a reconciliation add up to the difference, for every pair of conventions on every model."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from checks.peers import MODELS, trace
from torch import nn

import thoplw


@pytest.mark.parametrize("name", MODELS)
def test_terms_add_up(name: str) -> None:
    found = thoplw.Comparison(trace(name), thoplw.conventions())
    for left, right in combinations(found, 2):
        difference = found[left].total_macs - found[right].total_macs
        for by_layer in (False, True):
            terms = found.terms(left, right, by_layer=by_layer)
            assert sum(term.difference for term in terms) == difference, (left, right)
            assert all(term.left - term.right == term.difference != 0 for term in terms)


def test_a_layer_is_of_the_kind_that_it_mostly_computes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    found = thoplw.compare(model, (1, 3, 4, 4), ["thop", "macs"])
    # thop goes by layers, macs by operators; what both count is the same, so that batch norm alone is left
    assert {term.kind: term.difference for term in found.terms("thop", "macs")} == {"batch norm": 4 * 4 * 2 * 2}


def test_what_a_tool_does_not_see_is_a_term() -> None:
    class Product(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x.mT

    found = thoplw.compare(Product(), (2, 3, 5), ["thop", "macs"])
    assert [tuple(term) for term in found.terms("macs", "thop")] == [("", "matrix products", 2 * 3 * 3 * 5, 0)]
