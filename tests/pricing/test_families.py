"""What an operator is called in words for people."""

from __future__ import annotations

import pytest

from thoplw.formulas import FORMULAS
from thoplw.pricing.families import family_of


def test_every_priced_operator_has_words() -> None:
    assert [target for target in FORMULAS if family_of(target) == target] == []


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("aten.relu_", "activations"),
        ("aten.addmm", "matrix products"),
        ("aten.linear", "linear layers"),
        ("quantized.linear_relu", "linear layers"),
        ("quantized.conv2d_relu", "convolution"),
        ("aten.view", "moving data"),
        ("aten.threshold_backward", "activations"),
        ("aten._log_softmax_backward_data", "softmax"),
        ("aten._cdist_backward", "matrix products"),
        ("torchvision._roi_align_backward", "detection"),
        ("aten._foreach_add_", "optimizer"),
        ("mine.scan", "mine.scan"),
    ],
)
def test_families(target: str, kind: str) -> None:
    assert family_of(target) == kind
