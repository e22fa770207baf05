"""The memory that the weights of a large model share: it changes no count, and takes no more than the largest."""

from __future__ import annotations

import torch
from checks.oracle import oracle_macs
from checks.shared_weights import SharedWeights
from torch import nn


def _model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(200, 300), nn.BatchNorm1d(300), nn.Linear(300, 200), nn.Embedding(4, 4))


def test_large_weights_are_one_memory_with_values() -> None:
    with SharedWeights(60_000, torch.float32):
        model = _model()
    first, second = model[0].weight, model[2].weight
    assert first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()
    assert (first.shape, second.shape) == ((300, 200), (200, 300))
    assert 0 < float(first.detach().std()) < 0.1


def test_small_tensors_and_those_of_other_types_are_made_as_always() -> None:
    with SharedWeights(60_000, torch.float32):
        model, indices = _model(), torch.empty(20_000, dtype=torch.int64)
    assert bool((model[1].weight == 1).all())
    assert bool((model[1].running_mean == 0).all())
    assert indices.untyped_storage().data_ptr() != model[0].weight.untyped_storage().data_ptr()


def test_a_tensor_that_does_not_fit_has_a_memory_of_its_own() -> None:
    with SharedWeights(1, torch.float32):  # rounded up to a million
        large = torch.empty(1 << 21)
        small = torch.empty(1 << 15)
    assert large.untyped_storage().data_ptr() != small.untyped_storage().data_ptr()


def test_a_stack_that_does_not_fit_repeats_a_piece() -> None:
    with SharedWeights(1, torch.float32):
        large = torch.empty(8, 1 << 10, 1 << 9)
    assert large.shape == (8, 1 << 10, 1 << 9)
    assert large.untyped_storage().nbytes() < large.numel() * large.element_size()
    assert torch.equal(large[0], large[7])


def test_counts_are_those_of_ordinary_weights() -> None:
    x = torch.rand(5, 200)
    with SharedWeights(60_000, torch.float32):
        shared = _model()[:3]
    assert oracle_macs(shared.eval(), x) == oracle_macs(_model()[:3].eval(), x) == 5 * 2 * 60_000


def test_initialisation_leaves_the_memory_alone() -> None:
    with SharedWeights(60_000, torch.float32):
        before = torch.empty(60_000)
        values = before.clone()
        nn.init.zeros_(nn.Linear(200, 300).weight)
    assert torch.equal(before, values)
