"""The loss of a step: of a function, of the model itself, or the sum of what it returned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from thoplw.capture.criterion import Criterion
from thoplw.errors import InputError


def one(value: float) -> torch.Tensor:
    """A number that requires a gradient."""
    return torch.tensor(float(value), requires_grad=True)


A, B, PLAIN = one(2), one(5), torch.tensor(100.0)
MANY = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)


@pytest.mark.parametrize(
    ("loss", "output", "expected"),
    [
        (None, A, 2),
        (None, {"loss": A, "logits": MANY}, 2),
        (None, SimpleNamespace(loss=MANY, logits=B), 7),  # a number for each device
        (None, {"boxes": A, "classes": B}, 7),  # every one a loss
        (None, {"boxes": A, "logits": MANY}, 9),  # not all are: the sum
        (None, (MANY, [B, PLAIN]), 12),  # of what requires a gradient
        ("sum", {"loss": A, "logits": MANY}, 9),
        (lambda output, *targets: output.sum() * sum(targets), MANY, 7 * 30),
    ],
)
def test_it_is_what_a_model_or_a_function_says(loss: Any, output: Any, expected: float) -> None:
    targets = (10, 20) if callable(loss) else ()
    assert Criterion(loss, targets, 1)(output).item() == expected


def test_shares_add_up_to_one_loss_and_a_scaler_scales_it_last() -> None:
    scaler = SimpleNamespace(scale=lambda loss: loss * 1024)
    assert 4 * Criterion(None, (), 4)(B) == B
    assert Criterion(None, (), 4)(B, scaler) == 1024 * B / 4


def test_a_loss_with_layers_has_none_of_them_in_the_tree() -> None:
    criterion = Criterion(torch.nn.Sequential(torch.nn.Linear(1, 1)), (), 1)
    assert [*criterion.modules()] == [criterion]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "loss= returned nothing: return one number"),
        (3.0, "loss= returned a float: return one number"),
        (MANY, r"of shape \(3,\): return one number"),
        (PLAIN, "requires no gradient: are all parameters frozen"),
    ],
)
def test_what_no_backward_pass_can_begin_at_is_refused(returned: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Criterion(lambda output: returned, (), 1)(A)


@pytest.mark.parametrize("output", [PLAIN, (), {"logits": PLAIN}])
def test_outputs_without_a_gradient_have_no_sum(output: Any) -> None:
    with pytest.raises(InputError, match="nothing that the model returned requires a gradient"):
        Criterion(None, (), 1)(output)
