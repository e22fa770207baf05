"""``count``: several models, loops, code outside of any module."""

from __future__ import annotations

import pytest
import torch
from checks.releases import since, working_transformers
from checks.secret import SecretError
from torch import nn

import thoplw


def test_everything_inside_is_counted() -> None:
    first, second = nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU())
    with thoplw.count() as counted:
        for _ in range(3):
            x = first(torch.randn(2, 3))
        second(x) @ torch.ones(5, 6)
    assert counted.total_macs == 3 * (2 * 12 + 2 * 4) + 2 * 20 + 2 * 5 * 6
    assert counted.total_params == 16 + 20
    assert {row.name: (row.macs, row.params, row.calls) for row in counted.layer_info} == {
        "": (60, 0, 1),
        "Linear": (96, 16, 3),
        "Sequential.0": (40, 20, 1),
        "Sequential.1": (0, 0, 1),
    }
    assert counted.summary().count("\n") == 7


def test_each_call_has_its_own_report() -> None:
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU())
    with thoplw.count() as counted:
        model(torch.randn(1, 3))
        model(torch.randn(5, 3))
    assert [call.total_macs for call in counted.calls] == [12, 60]
    assert [row.name for row in counted.calls[1]] == ["0", "1"]
    assert counted.calls[0].total_params == counted.total_params == 12
    alone = thoplw.profile(model, torch.randn(5, 3), execute=True)[2]
    assert counted.calls[1].summary() == alone.summary()


def test_a_second_use_starts_from_zero() -> None:
    counter = thoplw.count()
    model = nn.Linear(3, 4, bias=False)
    for _ in range(2):
        with counter:
            model(torch.randn(1, 3))
        assert (counter.total_macs, len(counter.calls)) == (12, 1)


def test_models_of_one_class_and_parts_of_a_known_model() -> None:
    inner = nn.Linear(3, 3, bias=False)
    outer = nn.Sequential(inner, nn.Linear(3, 3, bias=False))
    with thoplw.count(convention="macs") as counted:
        inner(torch.randn(1, 3))
        outer(torch.randn(1, 3))
        nn.Linear(3, 1, bias=False)(torch.randn(1, 3))
    assert {row.name: (row.macs, row.params, row.calls) for row in counted.layer_info} == {
        "Linear": (18, 9, 2),
        "Sequential.1": (9, 9, 1),
        "Linear_2": (3, 3, 1),
    }
    assert [call.total_macs for call in counted.calls] == [9, 18, 3]


def test_values_steer_and_nothing_is_assumed() -> None:
    with thoplw.count() as counted:
        x = torch.tensor([[1.0, -1], [2, 2], [3, 3]])
        x[x[:, 1] > 0] @ torch.ones(2, 4)
    assert counted.total_macs == 2 * 2 * 4
    assert counted.layer_info.assumptions == {}


def test_custom_prices() -> None:
    with thoplw.count(custom_ops={nn.Linear: lambda module, inputs, output: 7}) as counted:
        nn.Sequential(nn.Linear(3, 4), nn.ReLU())(torch.randn(1, 3))
        nn.Linear(3, 4)(torch.randn(1, 3))
    assert counted.total_macs == 14
    assert [call.total_macs for call in counted.calls] == [7, 7]


def test_an_error_inside_comes_through_and_nothing_stays_behind() -> None:
    counted = thoplw.count()

    def fail() -> None:
        with counted:
            nn.Linear(3, 4)(torch.randn(1, 3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert counted.total_macs == 16
    assert torch._C._len_torch_dispatch_stack() == 0
    assert not torch.is_inference_mode_enabled()


def test_an_error_inside_that_does_not_tell_its_class_comes_through() -> None:
    seen: list[type] = []
    try:  # not pytest.raises(), which asks an error for its class
        with thoplw.count():
            raise SecretError
    except Exception as error:
        seen.append(type(error))
    assert seen == [SecretError]


def test_unknown_convention() -> None:
    with pytest.raises(thoplw.UnknownNameError, match="Did you mean 'macs'"):
        thoplw.count("mac")


@pytest.mark.parametrize("name", ["deepspeed", "fvcore", "ptflops", "thop"])
def test_a_mirror_that_needs_whole_operators_refuses_the_pieces_that_gradients_make(name: str) -> None:
    model = nn.Conv2d(3, 4, 3, bias=False)
    with torch.no_grad(), thoplw.count(convention=name) as counted:
        model(torch.zeros(1, 3, 8, 8))
    assert counted.total_macs == 4 * 36 * 3 * 9
    refused = pytest.raises(thoplw.InputError, match=f"^convention '{name}' prices .* turn gradients off")
    with refused, thoplw.count(convention=name):
        model(torch.zeros(1, 3, 8, 8))


def test_a_layer_called_before_the_model_that_holds_it() -> None:
    layer = nn.Linear(3, 4, bias=False)
    model = nn.Sequential(nn.ReLU(), layer, nn.ReLU())
    with thoplw.count(convention="macs") as counted:
        layer(torch.zeros(1, 3))
        model(torch.zeros(1, 3))
    alone, held = counted.calls
    assert [(row.cls, row.macs, row.params) for row in alone] == [("Linear", 12, 12)]
    assert [(row.cls, row.macs, row.params) for row in held] == [("ReLU", 0, 0), ("ReLU", 0, 0), ("Linear", 12, 12)]
    assert counted.total_macs == 24


def test_a_function_is_refused_with_what_to_write() -> None:
    with pytest.raises(
        thoplw.InputError, match=r"^count takes no function: write `with thoplw\.count\(\) as counted:`"
    ):
        thoplw.count(torch.matmul)  # type: ignore[arg-type] # on purpose


@since("2.1")  # which tells whose gradients they are
def test_a_training_loop_is_counted_whole_by_phase() -> None:
    """The input asks for no gradient, so that the first layer has that of its weight only."""
    torch.manual_seed(0)  # else one model in 32 has no unit that the ReLU lets through, and learns nothing there
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = [parameter.clone() for parameter in model.parameters()]
    with thoplw.count("flops") as counted:
        for _ in range(3):
            optimizer.zero_grad()
            loss = (model(torch.ones(8, 4)) ** 2).mean()
            loss.backward()
            optimizer.step()
            loss.item()
    assert not any(map(torch.equal, model.parameters(), before))
    phases = counted.layer_info.by_phase()
    assert phases["update"] == 3 * (4 * 5 + 5 + 5 * 2 + 2)  # an addition for each weight
    with thoplw.count("macs") as counted:
        model(torch.ones(8, 4)).sum().backward()
    first, second = 8 * 4 * 5, 8 * 5 * 2
    assert counted.layer_info.by_phase() == {
        "forward": first + second,
        "recomputation": 0,
        "backward": first + 2 * second,
        "update": 0,
    }
    rows = {row.name: row.phases.get("backward") for row in counted.layer_info if row.macs}
    assert rows == {"Sequential.0": first, "Sequential.2": 2 * second}


def test_results_are_there_once_the_block_is_over() -> None:
    counted = thoplw.count(convention="macs")
    assert repr(counted) == "<thoplw.count: the block is not over>"
    for name in ("layer_info", "calls", "total_macs", "total_params"):
        with pytest.raises(AttributeError, match=f"{name} is there once the block"):
            getattr(counted, name)
    with counted:
        torch.nn.Linear(4, 4)(torch.ones(2, 4))
    assert repr(counted) == "<thoplw.count: 32 MACs, 20 parameters>"
    with pytest.raises(AttributeError, match="no attribute 'macs'"):
        _ = counted.macs


class Reading(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> float:
        return self.layer(x).sum().item()


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_model_without_weights_is_told_what_to_do(device: str) -> None:
    working_transformers()
    model = Reading().to("meta")
    with pytest.raises(thoplw.InputError, match=r"no values: .*thoplw\.profile_generation\(model"), thoplw.count():
        model(torch.ones(2, 4, device=device))


def test_an_error_of_the_block_comes_through() -> None:
    with pytest.raises(RuntimeError, match="metal"), thoplw.count() as counted:
        raise RuntimeError("no metal here")
    assert counted.total_macs == 0


def test_generate_without_weights_is_told_what_to_do() -> None:
    transformers = working_transformers()
    config = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20)
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(config)
    ids = torch.ones(1, 3, dtype=torch.long, device="meta")
    with pytest.raises(thoplw.InputError, match=r"thoplw\.profile_generation"), thoplw.count():
        model.generate(ids, max_new_tokens=2)
