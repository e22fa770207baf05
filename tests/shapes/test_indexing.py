"""What is looked up has the shape and strides of torch's kernels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.drawn import Draw
from checks.laid_out import by_rule_and_kernel, frozen

from thoplw.shapes import RULES

BASE = torch.rand(4, 3, 5)
CASES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "rows": ("index", (BASE, (torch.tensor([[1, 0, 1]]),))),
    "places": ("index", (BASE, (None, torch.tensor([[1], [0]]), torch.tensor([4, 2, 0])))),
    "with a slice between": ("index", (BASE.transpose(0, 1), (torch.tensor([1]), None, torch.tensor([4, 2])))),
    "embedding": ("embedding", (BASE[0], torch.tensor([[2, 0]]))),
    "one hot": ("one_hot", (torch.tensor([2, 0]), 4)),
}


@pytest.mark.parametrize(("name", "args"), CASES.values(), ids=CASES)
def test_the_rule_answers_as_the_kernel(name: str, args: tuple[Any, ...]) -> None:
    answer, done = by_rule_and_kernel(name, args)
    assert answer == done


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("index", (BASE, (None, None))),
        ("index", (BASE, (BASE > 0.5,))),  # how many there are says the mask
        ("index", (BASE, (torch.tensor([0, 1]), torch.tensor([0, 1, 2])))),
        ("index", (BASE, (torch.tensor([0]),) * 4)),
        ("index", (BASE[:0], (torch.tensor([0]),))),
        ("one_hot", (torch.tensor([2]), -1)),  # as many as values say
        ("embedding", (BASE, torch.tensor([0]))),
    ],
)
def test_the_rule_leaves_the_rest_to_torch(name: str, args: tuple[Any, ...]) -> None:
    assert RULES[f"aten.{name}"](*frozen(args)) is None


def indexed(draw: Draw) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
    """A tensor, and an index for some of its dimensions; the indices are broadcast."""
    x, chosen = draw.tensor(draw.any_shape(1)), draw.any_shape(0, 2)
    indices: list[torch.Tensor | None] = []
    for size in x.shape:
        sizes = [1 if draw.maybe(0.2) else each for each in chosen[1 if chosen and draw.maybe(0.3) else 0 :]]
        indices.append(draw.tensor(sizes, torch.int64, size) if draw.maybe() else None)
    return x, indices if any(each is not None for each in indices) else [draw.tensor(chosen, torch.int64, x.shape[0])]


@pytest.mark.parametrize("seed", range(0, 600, 100))
def test_strides_are_those_of_the_kernel(seed: int) -> None:
    for draw in map(Draw, range(seed, seed + 100)):
        x, indices = indexed(draw)
        found = torch.ops.aten.index.Tensor(x, indices)
        if found.numel():
            answer = RULES["aten.index"](*frozen((x, tuple(indices))))
            assert (answer.shape, answer.strides) == (tuple(found.shape), found.stride()), (x.stride(), indices)
