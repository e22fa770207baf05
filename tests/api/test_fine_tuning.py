import pytest
import torch
from torch import nn

from thoplw.api.fine_tuning import adapt, checkpoint, freeze
from thoplw.errors import InputError, UnknownNameError


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))


def test_parameters_are_frozen_by_pattern_or_module() -> None:
    net = model()
    freeze(net, ["0", "*.bias"])
    assert [parameter.requires_grad for parameter in net.parameters()] == [False, False, True, False]


def test_patterns_that_match_nothing_are_said() -> None:
    with pytest.raises(InputError, match=r"no parameter has a name like '7\.\*'"):
        freeze(model(), ["7.*"])
    with pytest.raises(UnknownNameError, match="weight"):
        freeze(model(), ["0.weigt"])


def test_a_model_without_a_switch_cannot_be_checkpointed() -> None:
    with pytest.raises(InputError, match="has no switch"):
        checkpoint(model())


def test_models_of_timm_and_transformers_have_a_switch() -> None:
    class Switched(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            setattr(self, name, lambda **options: told.append((name, options)))

    told: list[object] = []
    for name in ("gradient_checkpointing_enable", "set_grad_checkpointing"):
        checkpoint(Switched(name))
    assert told == [
        ("gradient_checkpointing_enable", {"gradient_checkpointing_kwargs": {"use_reentrant": False}}),
        ("set_grad_checkpointing", {}),
    ]


def test_adapters_are_all_that_is_trained() -> None:
    pytest.importorskip("peft")
    adapted = adapt(model(), 3)
    assert sum(each.numel() for each in adapted.parameters() if each.requires_grad) == 3 * (4 + 5)
    with pytest.raises(InputError, match="has 1 linear layers"):
        adapt(nn.Sequential(nn.Linear(4, 4)), 3)
    assert torch.is_grad_enabled()
