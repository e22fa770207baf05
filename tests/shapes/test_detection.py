"""Rules of torchvision's operators: as their real kernels do it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision  # noqa: F401 # registers its operators
from checks.laid_out import frozen, observable

from thoplw.shapes import RULES

X = torch.rand(2, 8, 9, 10)
BOXES = torch.tensor([[0.0, 1, 1, 5, 5], [1, 0, 2, 7, 8], [1, 2, 2, 3, 4]])

CASES: dict[str, tuple[Any, ...]] = {
    "roi_align": (X, BOXES, 1.0, 3, 4, 2, False),
    "roi_pool": (X, BOXES, 0.5, 3, 4),
    "ps_roi_align": (X, BOXES, 1.0, 2, 4, 2),
    "ps_roi_pool": (X, BOXES, 0.5, 2, 2),
    "deform_conv2d": (
        *(X, torch.rand(6, 4, 3, 3), torch.rand(2, 18, 5, 8), torch.rand(2, 9, 5, 8), torch.rand(6)),
        *(2, 1, 1, 0, 1, 1, 2, 1, True),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_rule_answers_as_the_kernel(name: str) -> None:
    answer = RULES[f"torchvision.{name}"](*frozen(CASES[name]))
    assert answer is not None
    assert observable(answer) == observable(getattr(torch.ops.torchvision, name)(*CASES[name]))


@pytest.mark.parametrize("name", CASES)
def test_one_picture_without_a_batch_has_no_shape(name: str) -> None:
    assert RULES[f"torchvision.{name}"](*frozen((X[0], *CASES[name][1:]))) is None


def test_every_rule_is_tried() -> None:
    assert {f"torchvision.{name}" for name in CASES} == {name for name in RULES if name.startswith("torchvision.")}
