"""Rules of operators whose meta kernels are wrong, or not there: as real kernels do it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.laid_out import frozen, observable
from torch.nn import functional as F

from thoplw.shapes import RULES

X = torch.rand(3, 4)

#: Probabilities of 4 symbols at 5 places of 3 sequences, and 2 symbols that each has; likelihoods and their sums.
ALIGNED = (torch.rand(5, 3, 4).log(), torch.ones(3, 2, dtype=torch.long), [5, 5, 5], [2, 2, 2])
LIKELIHOODS = torch.ops.aten._ctc_loss(*ALIGNED)

VIDEO = torch.rand(2, 3, 5, 6, 7).to(memory_format=torch.channels_last_3d)
LARGEST = torch.ops.aten.fractional_max_pool3d(VIDEO, [2, 2, 2], [2, 3, 2], torch.rand(2, 3, 3))

PICTURES = {
    f"{dtype}, {name}": torch.rand(2, 6, 4, 5).to(dtype, memory_format=order)
    for dtype in (torch.bfloat16, torch.float16)
    for name, order in (("plain", torch.contiguous_format), ("channels last", torch.channels_last))
}

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
    **{
        f"native_group_norm of {name}": ("native_group_norm", (x, torch.ones(6), torch.ones(6), 2, 6, 20, 3, 1e-5))
        for name, x in PICTURES.items()
    },
    **{
        f"native_group_norm_backward of {name}": (
            "native_group_norm_backward",
            (x, x, torch.ones(2, 3), torch.ones(2, 3), torch.ones(6), 2, 6, 20, 3, [True] * 3),
        )
        for name, x in PICTURES.items()
    },
    "max_pool3d": ("max_pool3d_with_indices", (torch.rand(2, 3, 5, 6, 7), 2)),
    "max_pool3d, padded": ("max_pool3d_with_indices", (torch.rand(2, 3, 5, 6, 9), (1, 3, 2), 2, (0, 1, 1), (1, 2, 3))),
    "max_pool3d of one channel, last": (
        "max_pool3d_with_indices",
        (VIDEO[:1, :1].permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3), 2),
    ),
    "gradient of a loss of sequences": ("_ctc_loss_backward", (torch.ones(3), *ALIGNED, *LIKELIHOODS, 0)),
    "gradient of a loss of margins": (
        "multi_margin_loss_backward",
        (torch.ones(()), X.t(), torch.zeros(4, dtype=torch.long), 1, 1, None, 1),
    ),
    "gradients of losses of margins": (
        "multilabel_margin_loss_backward",
        (torch.ones(3), X, torch.zeros(3, 4, dtype=torch.long), 0, torch.ones(3, 4)),
    ),
    "gradient of the largest": (
        "fractional_max_pool3d_backward",
        (torch.ones(2, 3, 2, 3, 2), VIDEO, [2, 2, 2], [2, 3, 2], LARGEST[1]),
    ),
    "histogram": ("histogram", (X, 5)),
    "histogram with edges": ("histogram", (X, torch.tensor([0.0, 0.5, 1.0]))),
    "edges of bins": ("_histogramdd_bin_edges", (X[:, :2], [3, 5])),
    "counts in bins": ("_histogramdd_from_bin_cts", (X[:, :2], [3, 5])),
    "counts between edges": ("_histogramdd_from_bin_tensors", (X[:, :1], [torch.tensor([0.0, 0.5, 1.0])])),
    "weight norm": ("_weight_norm_interface", (X, torch.rand(3, 1))),
    "weight norm, of columns": ("_weight_norm_interface", (X, torch.rand(1, 4), 1)),
    "gradients of a weight norm": ("_weight_norm_interface_backward", (X, X, torch.rand(3, 1), torch.rand(3, 1), 0)),
}

#: In words of torch: there is no kernel for half precision.
NO_HALF = ("not implemented for 'Half'", "expect input to have scalar type", "mixed dtype (CPU)")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_rule_answers_as_the_kernel(case: tuple[str, tuple[Any, ...]]) -> None:
    name, args = case
    answer = RULES[f"aten.{name}"](*frozen(args))
    assert answer is not None
    try:
        done = getattr(torch.ops.aten, name)(*args)
    except RuntimeError as error:
        if not any(words in str(error) for words in NO_HALF):
            raise
        pytest.skip("this torch has no kernel for half precision on the CPU")
    assert observable(answer) == observable(done)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("huber_loss", (X, X)),
        ("pixel_unshuffle", (torch.zeros(1, 4, 4, 4), 2)),
        ("histogram", (X, 0)),
        ("max_pool3d_with_indices", (X, 2)),
    ],
)
def test_what_meta_kernels_do_well_is_left_to_them(name: str, args: tuple[Any, ...]) -> None:
    assert RULES[f"aten.{name}"](*frozen(args)) is None


def test_modules_of_two_dtypes() -> None:
    real = F.huber_loss(X, X.double())
    assert real.dtype == torch.float32  # or the rule is not needed any more
