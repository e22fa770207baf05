from contextlib import suppress

import torch
from checks.releases import file_since

import thoplw
from thoplw.capture.abstract import Specs
from thoplw.capture.stand_ins import stood_in_for

file_since("2.4")


def test_a_weight_keeps_its_identity_and_is_on_the_device_asked_for() -> None:
    weight = torch.nn.Parameter(torch.ones(3, 4, device="meta"))
    with stood_in_for([weight], Specs(), torch.device("cpu")):
        assert (weight.device.type, weight.shape, weight.requires_grad) == ("cpu", (3, 4), True)
        assert isinstance(weight, torch.nn.Parameter)
    assert weight.device.type == "meta"


def test_gradients_and_values_are_out_of_reach() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = gradient = torch.ones(3)
    with suppress(ValueError), stood_in_for([weight], Specs(), torch.device("cpu")):
        assert weight.grad is None
        weight.requires_grad_(False)
        raise ValueError("a forward may raise")
    assert weight.grad is gradient
    assert weight.requires_grad
    assert weight.tolist() == [1.0, 1.0, 1.0]


def test_hooks_go_with_the_identity() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    weight.register_hook(lambda gradient: gradient)
    hooks = weight._backward_hooks
    with stood_in_for([weight], Specs(), torch.device("cpu")):
        assert weight._backward_hooks is hooks
    assert weight._backward_hooks is hooks


def test_autocast_around_it_lets_go_of_weights() -> None:
    """It watches those that it has cast, and a tensor that is watched cannot be put back."""
    layer, x = torch.nn.Linear(4, 4), torch.ones(2, 4)
    values = layer.weight.tolist()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x)
        for _ in range(2):
            info = thoplw.profile_training(layer, x, autocast="bf16", memory=True, verbose=False)
            assert info.by_phase()["forward"] == 2 * 4 * 4
        assert layer(x).dtype is torch.bfloat16
    assert layer.weight.tolist() == values
