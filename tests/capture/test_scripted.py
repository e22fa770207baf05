"""TorchScript that was frozen or optimised."""

from __future__ import annotations

from typing import Dict  # noqa: UP035 # torch 2.0 knows no other name

import pytest
import torch
from torch import nn

import thoplw
from thoplw.capture.torch_internals import TRACED_NEEDS_MEMORY

pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit:FutureWarning",
    "ignore:.torch.jit:DeprecationWarning",
    "ignore:.*will be removed in Python 3.14:DeprecationWarning",  # of torch 2.2 with Python 3.12
)

X = torch.ones(2, 3, 8, 8)
MACS = 2 * (8 * 8 * 8 * 27 + 8 * 8 * 8 * 4 * 9 + 8 * 5)
#: Freezing folds batch norm into the convolution before it.
PARAMETERS = (8 * 27 + 8) + (8 * 4 * 9 + 8) + (8 * 5 + 5)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ).eval()


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize("traced", [False, True])
def test_a_frozen_module_has_its_weights_as_constants(traced: bool, execute: bool) -> None:
    model = torch.jit.freeze(torch.jit.trace(network(), X) if traced else torch.jit.script(network()))
    attributes = set(vars(model))
    macs, params, info = thoplw.profile(model, (X,), convention="macs", execute=execute, verbose=False)
    assert set(vars(model)) == attributes
    assert (macs, params) == (MACS, PARAMETERS)
    assert not info.uncounted
    assert model(X).shape == (2, 5)


def test_a_traced_module_counts_unless_it_would_end_the_process() -> None:
    model = torch.jit.trace(network(), X)
    if TRACED_NEEDS_MEMORY:
        with pytest.raises(thoplw.InputError, match=r"torch\.jit\.trace.*crashes.*torch\.jit\.freeze"):
            thoplw.profile(model, (X,))
    else:
        assert thoplw.profile(model, (X,), convention="macs", verbose=False)[0] == MACS


@pytest.mark.parametrize("execute", [False, True])
def test_a_frozen_part_of_a_model(execute: bool) -> None:
    model = nn.Sequential(torch.jit.freeze(torch.jit.script(network())), nn.Linear(5, 2))
    macs, params, _ = thoplw.profile(model, (X,), convention="macs", execute=execute, verbose=False)
    assert (macs, params) == (MACS + 2 * 5 * 2, PARAMETERS + 12)


@pytest.mark.parametrize("execute", [False, True])
def test_an_optimised_module_is_refused(execute: bool) -> None:
    model = torch.jit.optimize_for_inference(torch.jit.script(network()))
    with pytest.raises(
        thoplw.InputError, match=r"optimize_for_inference.*prim::mkldnn_convolution.*profile it before that"
    ):
        thoplw.profile(model, (X,), execute=execute)


class Counting(nn.Module):
    """Counts its calls, and keeps what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.seen = nn.Linear(4, 4), torch.zeros(2)
        self.calls = torch.jit.Attribute(0, int)
        self.named = torch.jit.Attribute({"a": 1}, Dict[str, int])  # noqa: UP006 # as above

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen = self.seen + 1
        self.named["b"] = self.calls
        return self.layer(x)


@pytest.mark.parametrize("execute", [False, True])
def test_what_a_scripted_module_holds_is_put_back(execute: bool) -> None:
    model = torch.jit.script(Counting())
    for whole in (model, nn.Sequential(model)):
        assert thoplw.profile(whole, (2, 4), convention="macs", verbose=False, execute=execute)[0] == 2 * 4 * 4
        assert (model.calls, model.seen.tolist(), dict(model.named)) == (0, [0, 0], {"a": 1})
