"""Which blocks to checkpoint, against trying every set of blocks."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import pytest
import torch
from checks import storage_tracker
from checks.releases import file_since
from torch import nn

import thoplw
from thoplw.api.checkpoints import _Block, _checkpointed, checkpoints, least
from thoplw.errors import InputError, UnknownNameError

file_since("2.4")


class Block(nn.Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        self.up, self.act, self.down = nn.Linear(16, wide), nn.GELU(), nn.Linear(wide, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(self.act(self.up(x)))


def net(*sizes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(16, 16), *map(Block, sizes), nn.Linear(16, 4))


def subsets(paths: Any) -> Any:
    return chain.from_iterable(combinations(paths, size) for size in range(len(paths) + 1))


@pytest.mark.parametrize("sizes", [(64, 64, 64, 64), (32, 256, 64, 128), (256, 16, 16, 256, 64)])
@pytest.mark.parametrize("share", [0.9, 0.7, 0.5])
def test_no_other_choice_that_fits_recomputes_much_less(sizes: tuple[int, ...], share: float) -> None:
    model, x = net(*sizes), torch.ones(256, 16)
    paths = [str(place) for place in range(1, 1 + len(sizes))]
    modules = dict(model.named_modules())
    found = {}
    for chosen in subsets(paths):
        with _checkpointed([modules[path] for path in chosen]):
            report = thoplw.profile_training(model, x, memory=True, verbose=False)
        found[chosen] = report.memory.peak, report.by_phase()["recomputation"]
    most, fewest = found[()][0], min(peak for peak, _ in found.values())
    limit = int(fewest + share * (most - fewest))
    plan = checkpoints(model, x, limit)
    assert plan.candidates == tuple(paths)
    assert plan.report.memory.peak == found[plan.blocks][0] <= limit
    best = min(cost for peak, cost in found.values() if peak <= limit)
    assert plan.report.by_phase()["recomputation"] <= 1.05 * best


def test_the_peak_is_that_of_a_real_run() -> None:
    model, x = net(64, 64, 64), torch.ones(256, 16)
    plain = thoplw.profile_training(model, x, memory=True, verbose=False).memory.peak
    plan = checkpoints(model, x, plain - 100_000, optimizer="sgd")
    assert plan.blocks
    modules = dict(model.named_modules())
    with _checkpointed([modules[path] for path in plan.blocks]):
        seen = storage_tracker.training(model, (x,), loss=torch.Tensor.sum, optimizer=torch.optim.SGD)
    assert plan.report.memory.peaks == tuple(seen.peaks)
    assert all("forward" not in vars(module) for module in model.modules())
    assert str(plan).startswith(f"Checkpoint {len(plan.blocks)} of 3 blocks: ")


def test_what_fits_needs_nothing() -> None:
    plan = checkpoints(net(64), torch.ones(4, 16), 10**9)
    assert plan.blocks == ()
    assert "Nothing needs to be checkpointed" in str(plan)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(InputError, match="with all 2 blocks checkpointed the peak is"):
        checkpoints(net(64, 64), torch.ones(64, 16), 1000)
    with pytest.raises(InputError, match="take a smaller batch"):
        checkpoints(net(64, 64), torch.ones(64, 16), "1KB")
    with pytest.raises(InputError, match="'24XB' is no number of bytes; write a number with a unit, as in 24GB"):
        checkpoints(net(64, 64), torch.ones(64, 16), "24XB")
    with pytest.raises(InputError, match=r"gradients and optimizer take .* no block to checkpoint, as nn.Sequential"):
        checkpoints(nn.Linear(16, 16), torch.ones(64, 16), 1000)
    with pytest.raises(UnknownNameError, match="module"):
        checkpoints(net(64, 64), torch.ones(64, 16), 1000, blocks=["11"])


def test_the_least_that_saves_enough() -> None:
    blocks = [
        _Block(path=name, cost=cost, saved=saved) for name, cost, saved in (("a", 5, 5), ("b", 5, 5), ("c", 9, 10))
    ]
    assert least(blocks, 5) == ["a"]
    assert least(blocks, 6) == ["c"]
    assert least(blocks, 20) == ["a", "b", "c"]
    assert least(blocks, 21) is None
