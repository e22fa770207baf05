"""Rules of operators whose meta kernels are wrong, or not there: as real kernels do it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.laid_out import frozen, observable
from torch.nn import functional as F

from thoplw.shapes import RULES

X = torch.rand(3, 4)

CASES: dict[str, tuple[str, tuple[Any, ...]]] = {
    **{
        f"{name}, {reduction} of {first} and {second}": (name, (X.to(first), X.to(second), reduction))
        for name in ("huber_loss", "soft_margin_loss")
        for reduction in (0, 1)
        for first, second in ((torch.float32, torch.float64), (torch.float16, torch.float32))
    },
    **{
        f"pixel_unshuffle of {shape}": ("pixel_unshuffle", (torch.zeros(shape), 2))
        for shape in ((0, 4, 4, 4), (2, 0, 4, 4), (2, 4, 0, 4), (4, 4, 0))
    },
    "histogram": ("histogram", (X, 5)),
    "histogram with edges": ("histogram", (X, torch.tensor([0.0, 0.5, 1.0]))),
    "edges of bins": ("_histogramdd_bin_edges", (X[:, :2], [3, 5])),
    "counts in bins": ("_histogramdd_from_bin_cts", (X[:, :2], [3, 5])),
    "counts between edges": ("_histogramdd_from_bin_tensors", (X[:, :1], [torch.tensor([0.0, 0.5, 1.0])])),
    "geqrf": ("geqrf", (torch.rand(2, 5, 3),)),
    "geqrf, wide": ("geqrf", (torch.rand(3, 5),)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_rule_answers_as_the_kernel(case: tuple[str, tuple[Any, ...]]) -> None:
    name, args = case
    answer = RULES[f"aten.{name}"](*frozen(args))
    assert answer is not None
    assert observable(answer) == observable(getattr(torch.ops.aten, name)(*args))


@pytest.mark.parametrize(
    ("name", "args"),
    [("huber_loss", (X, X)), ("pixel_unshuffle", (torch.zeros(1, 4, 4, 4), 2)), ("histogram", (X, 0))],
)
def test_what_meta_kernels_do_well_is_left_to_them(name: str, args: tuple[Any, ...]) -> None:
    assert RULES[f"aten.{name}"](*frozen(args)) is None


def test_modules_of_two_dtypes() -> None:
    real = F.huber_loss(X, X.double())
    assert real.dtype == torch.float32  # or the rule is not needed any more
