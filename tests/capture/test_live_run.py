"""A real run gives real results, and what an operator wrote to the model is put back."""

from __future__ import annotations

import torch
from torch import nn

from thoplw.capture import capture
from thoplw.capture.options import Options


class Writes(nn.Module):
    """Writes to a weight in one of many ways, and returns what it then is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2))
        self.register_buffer("count", torch.zeros(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weight[0].mul_(3)  # through a view
        torch.add(self.count, 1, out=self.count)
        found.append((self.weight.clone(), self.count.clone(), x + 1))
        return x


found: list[tuple[torch.Tensor, ...]] = []


def test_writes_are_seen_during_the_run_and_undone_after() -> None:
    model = Writes()
    capture(model, (torch.zeros(2),), {}, Options(execute=True))
    ((weight, count, x),) = found
    assert torch.equal(weight, torch.tensor([[3.0, 3], [1, 1]]))
    assert torch.equal(count, torch.ones(2))
    assert torch.equal(x, torch.ones(2))
    assert torch.equal(model.weight, torch.ones(2, 2))
    assert torch.equal(model.count, torch.zeros(2))


def test_control_flow_on_values_is_followed() -> None:
    class Loops(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            while x.sum() < 10:
                x = x.exp()
            return x

    trace = capture(Loops(), (torch.zeros(2),), {}, Options(execute=True))  # 0, 1, e, exp(e) = 15
    assert [call.target for call, _ in trace.steps].count("aten.exp") == 3
