"""The model, and torch, are exactly as they were: after success, after a failing forward, abstractly and for real."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.modules.module as module_globals
from checks.attacks.touching import KINDS, touched
from checks.releases import has_fast_path
from torch import nn

import thoplw


class Untidy(nn.Module):
    """Does everything to itself and to torch that a forward can."""

    def __init__(self, fail: bool) -> None:
        super().__init__()
        self.fail = fail
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.frozen = nn.BatchNorm1d(4).eval()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("average", torch.zeros(4))
        self.seen: list[torch.Tensor] = []
        self.cache: dict[str, torch.Tensor] = {"old": torch.ones(1)}
        self.tally = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.calls.view(1)[0] = 7
        self.average.mul_(0.9).add_(x.mean(0))
        self.average = self.average + 1
        self.seen.append(x)
        self.cache["new"] = x
        self.tally += 1
        self.last = x
        self.body[0].weight.data.mul_(2)
        self.body.register_forward_hook(lambda *_: None)
        self.train()
        self.extra = nn.ReLU()
        torch.rand(3), torch.randn(2), random.random(), np.random.rand()
        if self.fail:
            raise ZeroDivisionError("the model's own error")
        return self.frozen(self.body(x))


def state(model: nn.Module) -> dict[str, Any]:
    """All that may not change, in comparable form."""
    return {
        "modes": {name: module.training for name, module in model.named_modules()},
        "tensors": {name: (id(tensor), tensor.clone()) for name, tensor in model.state_dict(keep_vars=True).items()},
        "gradients": {name: parameter.grad for name, parameter in model.named_parameters()},
        "attributes": {name: list(vars(module)) for name, module in model.named_modules()},
        "contents": (list(model.seen), dict(model.cache), model.tally),
        "hooks": {name: len(m._forward_hooks) + len(m._forward_pre_hooks) for name, m in model.named_modules()},
        "global hooks": {n: str(value) for n, value in vars(module_globals).items() if n.startswith("_global")},
        "random": (torch.get_rng_state(), random.getstate(), str(np.random.get_state())),
        "torch": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch._C._len_torch_dispatch_stack(),
            has_fast_path(),
            torch._C._dispatch_tls_is_dispatch_key_excluded(torch._C.DispatchKey.ADInplaceOrView),
        ),
        "functions": (nn.Module.__call__, nn.Linear.forward, torch.nn.functional.linear, torch.Tensor.__add__),
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize("fail", [False, True], ids=["success", "failure"])
@pytest.mark.parametrize("prepare", [nn.Module.train, nn.Module.eval], ids=["train", "eval"])
def test_nothing_changes(execute: bool, fail: bool, prepare: Callable[[nn.Module], nn.Module]) -> None:
    model = Untidy(fail)
    prepare(model)
    model.frozen.eval()
    x = torch.randn(2, 4)
    before, input_before = state(model), x.clone()
    if fail:
        with pytest.raises(ZeroDivisionError, match=r"^the model's own error"):
            thoplw.profile(model, x, execute=execute)
    else:
        thoplw.profile(model, x, execute=execute)
    after = state(model)
    assert [key for key in before if not same(before[key], after[key])] == []
    assert torch.equal(x, input_before)


def test_a_list_that_modules_share_is_put_back_once() -> None:
    class Noting(nn.Module):
        def __init__(self, notes: list[str]) -> None:
            super().__init__()
            self.notes = notes

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.notes.append("again")
            return x

    notes = ["once"]
    thoplw.profile(nn.Sequential(Noting(notes), Noting(notes)), (1, 1))
    assert notes == ["once"]


def test_gradients_stay() -> None:
    model = nn.Linear(3, 3)
    model(torch.randn(2, 3)).sum().backward()
    gradient = model.weight.grad
    thoplw.profile(model, (2, 3))
    assert model.weight.grad is gradient


def test_weights_of_other_modes_stay_usable() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).train()
    thoplw.profile(model, (2, 3))
    model(torch.randn(2, 3)).sum().backward()
    assert model[1].num_batches_tracked == 1
    assert model[0].weight.grad is not None


def test_in_place_operators_on_inputs_do_not_reach_them() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
            x.mul_(0)
            ids.zero_()
            return x

    x, ids = torch.randn(2, 3), torch.ones(2, dtype=torch.long)
    before = x.clone()
    thoplw.profile(InPlace(), (x, ids))
    assert torch.equal(x, before)
    assert torch.equal(ids, torch.ones(2, dtype=torch.long))


class Constrained(nn.Module):
    """Assigns the data of its weight: the same again, with its norm clipped, or a part of it."""

    def __init__(self, part: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)
        self.part = part

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        data = self.layer.weight.data
        self.layer.weight.data = data[:2] if self.part else torch.renorm(data, 2, 0, 0.1)
        return self.layer(x)


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize("part", [False, True])
def test_data_that_a_forward_assigns_is_put_back(part: bool, execute: bool) -> None:
    model = Constrained(part)
    weight, before = model.layer.weight, model.layer.weight.detach().clone()
    address = weight.data_ptr()
    if part and not execute:
        with pytest.raises(thoplw.InputError, match=r"\.data.*\(4, 4\).*execute=True"):
            thoplw.profile(model, (3, 4))
    else:
        macs = thoplw.profile(model, (3, 4), convention="macs", execute=execute)[0]
        assert macs == 3 * 4 * (2 if part else 4)
    assert model.layer.weight is weight
    assert weight.data_ptr() == address
    assert torch.equal(weight, before)
    weight.sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize("name", KINDS)
def test_whatever_a_forward_touches_is_put_back(name: str, execute: bool) -> None:
    def run(model: nn.Module, inputs: tuple[Any, ...]) -> None:
        try:
            macs = thoplw.profile(model, inputs, convention="macs", verbose=False, execute=execute)[0]
        except thoplw.DataDependentError:  # the forward caught it, and is told all the same
            assert (name, execute) == ("weight through NumPy", False)
        else:
            assert macs == 2 * 4 * 4

    assert touched(KINDS[name], run) == ""


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_a_buffer_without_memory_has_none_afterwards(execute: bool) -> None:
    class Gathers(nn.Module):
        """Gives a buffer its memory when it is called, as weights that are split over processes are gathered."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("whole", torch.ones(4))
            self.whole.untyped_storage().resize_(0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.whole.untyped_storage().resize_(16)
            return x + self.whole.fill_(2)

    model = Gathers()
    thoplw.profile(model, torch.ones(2, 4), verbose=False, execute=execute)
    assert model.whole.untyped_storage().nbytes() == 0


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_a_model_may_keep_what_escaped_from_vmap(execute: bool) -> None:
    class Leaking(nn.Module):
        """Keeps a tensor that no operator takes once ``vmap`` is over, as the multi-agent networks of torchrl do."""

        def __init__(self) -> None:
            super().__init__()
            self.layer, self.last = nn.Linear(4, 3), torch.empty(0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.vmap(self.row)(x)

        def row(self, row: torch.Tensor) -> torch.Tensor:
            self.last = row
            return self.layer(row)

    model = Leaking()
    model(torch.ones(5, 4))
    before = model.last
    assert thoplw.profile(model, (5, 4), convention="macs", execute=execute)[:2] == (5 * 4 * 3, 15)
    assert model.last is before
