from typing import Any

import pytest
import torch

from thoplw.capture.training_step import TrainingStep, find_optimizer
from thoplw.errors import InputError, UnknownNameError


class Returns(torch.nn.Module):
    def __init__(self, make: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.make = make

    def forward(self) -> Any:
        return self.make(self.weight)


@pytest.mark.parametrize(
    ("make", "gradient"),
    [
        (lambda w: w * 3, 3),
        (lambda w: (w * 3, [w * 2], w.detach()), 5),
        (lambda w: {"loss": (w * 7).sum(), "logits": w}, 7),
        (lambda w: {"box": (w * 2).sum(), "mask": w.sum()}, 3),
        (lambda w: (w * 4).sum(), 4),
    ],
)
def test_the_loss_is_the_models_own_or_the_sum_of_what_it_returns(make: Any, gradient: int) -> None:
    model = Returns(make)
    TrainingStep().run(model, (), {})
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [gradient, gradient]


def test_a_loss_takes_targets() -> None:
    model = Returns(lambda w: w * 3)
    TrainingStep(loss=lambda output, target: (output * target).sum(), targets=(torch.tensor([1.0, 2.0]),)).run(
        model, (), {}
    )
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [3, 6]


def test_gradients_are_accumulated_as_means() -> None:
    model = Returns(lambda w: w * 3)
    TrainingStep(accumulate=2).run(model, (), {})
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [3, 3]


def test_an_optimizer_steps_once() -> None:
    model = Returns(lambda w: w * 3)
    TrainingStep(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.5), accumulate=2).run(model, (), {})
    assert model.weight.tolist() == [-0.5, -0.5]


def test_nothing_to_differentiate_is_said() -> None:
    model = Returns(lambda w: w.detach())
    with pytest.raises(InputError, match="are all parameters frozen"):
        TrainingStep().run(model, (), {})


def test_optimizers_go_by_name() -> None:
    assert find_optimizer("AdamW") is torch.optim.AdamW
    assert find_optimizer(torch.optim.SGD) is torch.optim.SGD
    with pytest.raises(UnknownNameError, match="adamw"):
        find_optimizer("adamwe")
    with pytest.raises(InputError, match="give an optimizer"):
        find_optimizer(3)
