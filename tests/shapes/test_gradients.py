"""Gradients have the shapes of what they are gradients of, as autograd's own kernels put them out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.laid_out import by_rule_and_kernel, frozen, observable

from thoplw.capture.torch_names import name_of
from thoplw.shapes import RULES

X = torch.rand(2, 6, 4)
CHANNELS = torch.ones(6)
POSITIONS = torch.ones(2, 6, 1)

CASES: dict[str, tuple[Any, ...]] = {
    "native_batch_norm_backward": (X, X, *[CHANNELS] * 5, True, 1e-5, (True,) * 3),
    "native_layer_norm": (X, (4,), torch.ones(4), None, 1e-5),
    "native_layer_norm_backward": (X, X, (4,), POSITIONS, POSITIONS, torch.ones(4), torch.ones(4), (True,) * 3),
    "gelu_backward": (X, X),
    "silu_backward": (X, X),
    "tanh_backward": (X, X),
    "threshold_backward": (X, X, 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_the_rule_answers_as_the_kernel(name: str) -> None:
    answer, done = by_rule_and_kernel(name, CASES[name])
    assert answer == done


@pytest.mark.parametrize("name", ["_softmax_backward_data", "_log_softmax_backward_data"])
def test_a_softmax_has_its_gradient_in_its_own_type(name: str) -> None:
    rule = RULES[f"aten.{name}"]
    done = getattr(torch.ops.aten, name)(X, X, 1, torch.float32)
    assert observable(rule(*frozen((X, X)), 1, name_of(torch.float32))) == observable(done)
    assert rule(*frozen((X, X)), 1, name_of(torch.float16)) is None  # it came of halves
    assert rule(*frozen((X, X)), 3, name_of(torch.float32)) is None


@pytest.mark.parametrize("name", CASES)
def test_what_lies_otherwise_or_is_of_another_type_is_left_to_the_kernel(name: str) -> None:
    for other in (X.transpose(0, 1).contiguous().transpose(0, 1), X.half()):
        changed = [other if each is X else each for each in CASES[name]]
        assert RULES[f"aten.{name}"](*frozen(changed)) is None


@pytest.mark.parametrize("name", ["native_batch_norm_backward", "native_layer_norm_backward"])
def test_a_gradient_that_nobody_asks_for_is_left_to_the_kernel(name: str) -> None:
    *args, _ = CASES[name]
    assert RULES[f"aten.{name}"](*frozen((*args, (True, False, True)))) is None
