"""Few calls are run, and all are known: from the prompt on where the way there matters, and by place where not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from thoplw.api.calls import Calls
from thoplw.capture.generation import ByForward, ByFunctions
from thoplw.errors import InputError
from thoplw.pricing import CONVENTIONS

WIDTH, BATCH, PROMPT = 8, 3, 5


class Remembers(nn.Module):
    """Compares what is new with all that it keeps: each token so many times, once it has seen a prompt."""

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, WIDTH)
        self.head = nn.Linear(WIDTH, 2, bias=False)
        self.times = times

    def forward(self, ids: torch.Tensor, memory: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        x = self.embedding(ids)
        memory = x if memory is None else torch.cat([memory, *[x] * self.times], 1)
        return {"scores": self.head(x) @ self.head(memory).mT, "memory": memory}


def cost(new: int, kept: int) -> int:
    """Two products by the head, and that of all pairs."""
    return BATCH * (2 * WIDTH * (new + kept) + 2 * new * kept)


def calls(times: int = 1, prices: Any = None) -> Calls:
    return Calls(ByForward(Remembers(times), BATCH, PROMPT + 40), CONVENTIONS["macs"], prices, PROMPT)


def total(found: Calls, last: int) -> int:
    return sum(part.total[0] for part in found.parts(last))


def test_a_call_costs_what_it_compares_and_leaves_what_it_keeps() -> None:
    found = calls()
    assert found.prefill(PROMPT).figures == (cost(5, 5), 2 * cost(5, 5), BATCH * 5 * WIDTH * 4, cost(5, 5))
    assert found.step(9).figures == (cost(1, 10), 2 * cost(1, 10), BATCH * 10 * WIDTH * 4, cost(1, 10))
    product = BATCH * 2 * WIDTH
    assert [*found.step(9).layers()] == [
        ("head", (BATCH, 1, WIDTH), product),
        ("head", (BATCH, 10, WIDTH), 10 * product),
    ]


def test_many_steps_are_known_by_few() -> None:
    found = calls()
    assert total(found, 44) == sum(cost(1, at + 1) for at in range(PROMPT, 45))
    assert not found.path_matters
    assert len(found._steps) < 12


def test_where_the_way_matters_every_step_is_run_after_those_before_it() -> None:
    """After a prompt of 6 there are 6 rows; after one of 5 and a step there are 7."""
    found = calls(times=2)
    assert total(found, 16) == sum(cost(1, PROMPT + 2 * (at - PROMPT + 1)) for at in range(PROMPT, 17))
    assert found.path_matters
    assert found.step(7).figures[0] == cost(1, PROMPT + 2 * 3)


def test_prefills_of_other_lengths_leave_theirs_and_the_end_stays() -> None:
    found = calls()
    left = [sum(each.bytes for each in held) for held in found.left_by_prefills([2, 7])]
    assert left == [BATCH * 2 * WIDTH * 4, BATCH * 7 * WIDTH * 4]
    assert found.caller.longest == PROMPT + 40


def test_prices_of_the_users_own_count_in_every_call() -> None:
    found = calls(prices={nn.Embedding: lambda module, inputs, output: 1000 * output.shape[1]})
    assert found.prefill(PROMPT).info.total_macs == cost(5, 5) + 5000
    assert found.step(9).info.total_macs == cost(1, 10) + 1000


def by_functions(prefill: Callable[..., Any], step: Callable[..., Any]) -> Calls:
    return Calls(ByFunctions(Remembers(), BATCH, PROMPT + 4, prefill, step), CONVENTIONS["macs"], None, PROMPT)


def test_paths_are_those_of_reports() -> None:
    found = by_functions(
        lambda model, ids: model(ids)["memory"], lambda model, ids, memory: model(ids, memory)["memory"]
    )
    head = found.caller.model.head
    assert found.paths_of(head) == {"model.head"}
    costs = {row.name: row.macs for row in found.step(PROMPT).info.rows}
    assert costs["model.head"] == BATCH * 2 * WIDTH * 7
    alone = calls()
    assert alone.paths_of(alone.caller.model.head) == {"head"}


def test_functions_that_call_nothing_are_told_so() -> None:
    found = by_functions(lambda model, ids: None, lambda model, ids, memory: None)
    with pytest.raises(InputError, match="a call of Remembers ran no operator: prefill= and step= are functions"):
        found.prefill(PROMPT)
