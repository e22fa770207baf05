"""Tensors that have a shape and nothing else, and the specs that they share."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.releases import since
from torch import nn

import thoplw
from thoplw.capture.abstract import Specs, abstract
from thoplw.errors import DataDependentError
from thoplw.record import TensorSpec


def test_printing_an_abstract_tensor_is_harmless() -> None:
    class Prints(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert repr(x) == "AbstractTensor(shape=(2, 3), dtype=torch.float32, device=cpu)"
            return x

    thoplw.profile(Prints(), (2, 3))


def test_equal_tensors_have_one_spec() -> None:
    specs = Specs()
    spec = specs.of(torch.ones(2, 3))
    assert specs.of(torch.zeros(2, 3)) is spec
    assert specs.intern(TensorSpec(shape=(2, 3), dtype="float32", strides=(3, 1))) is spec
    assert specs.of(torch.ones(3, 2).T) is not spec
    assert specs.of(torch.ones(2, 3).half()) is not spec


@pytest.mark.parametrize("way", ["of", "intern"])
def test_specs_say_whether_values_may_steer(way: str) -> None:
    specs = Specs()

    def valueless(shape: tuple[int, ...], dtype: torch.dtype) -> bool:
        tensor = torch.empty(shape, dtype=dtype, device="meta")
        spec = TensorSpec(shape=shape, dtype=str(dtype)[6:], strides=tensor.stride())
        return id(specs.of(tensor) if way == "of" else specs.intern(spec)) in specs.valueless

    assert valueless((2,), torch.float32)
    assert valueless((2,), torch.complex64)
    assert valueless((2**22 + 1,), torch.int64)
    assert not valueless((2**22,), torch.int64)
    assert not valueless((2,), torch.bool)


def test_an_abstract_tensor_looks_like_its_spec() -> None:
    spec = Specs().of(torch.ones(3, 2).T)
    x = abstract(spec, torch.device("cpu"))
    assert (tuple(x.shape), x.stride(), x.dtype, x.spec, x.token) == ((2, 3), (1, 2), torch.float32, spec, id(spec))
    with pytest.raises(thoplw.DataDependentError, match="outside of the run"):
        x + 1
    with pytest.raises(thoplw.DataDependentError, match=r"numpy\(\)"):
        x.numpy()


class Asks(nn.Module):
    """One linear layer of 32 MACs, whose output is asked something."""

    def __init__(self, ask: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.linear, self.ask = nn.Linear(4, 4), ask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        self.ask(y)
        return torch.as_tensor(y)


class Marked(torch.Tensor):
    pass


class Counting(torch.Tensor):
    def double(self) -> torch.Tensor:
        return self


@pytest.mark.parametrize(
    "ask",
    [
        lambda y: y.data_ptr(),
        lambda y: y[1:].storage_offset(),
        lambda y: y[1:]._base,
        lambda y: y[1:]._is_view(),
        lambda y: y._version,
        lambda y: y.untyped_storage(),
        lambda y: y.storage(),
        lambda y: torch.save(y, io.BytesIO()),
        lambda y: torch.from_dlpack(y),
        lambda y: f"{y.mean():.3f}",
        lambda y: torch.tensor([y.mean(), y.sum()]),
        lambda y: y.as_subclass(Counting),
    ],
)
def test_what_there_is_not_is_refused_and_sends_on(ask: Callable[[torch.Tensor], Any]) -> None:
    with pytest.raises(DataDependentError, match="execute=True"):
        thoplw.profile(Asks(ask), (2, 4))


def test_a_class_is_shown_as_it_would_be() -> None:
    def ask(y: torch.Tensor) -> None:
        marked: Any = y.as_subclass(Marked)
        assert y.__class__ is torch.Tensor
        assert isinstance(marked, Marked)
        assert not isinstance(y, Marked)
        assert not isinstance(marked.as_subclass(torch.Tensor), Marked)
        assert marked + 1 is not None
        assert f"{y}"

    assert thoplw.profile(Asks(ask), (2, 4), convention="macs")[0] == 32


@since("2.4")
@pytest.mark.parametrize(
    ("way", "gradients"),  # of the second layer one or two; of the first that of the weight, if it is reached
    [
        (lambda y: y.as_subclass(Marked), 3),
        (lambda y: y.as_subclass(torch.Tensor), 3),
        (copy.copy, 2),
        (torch.Tensor.detach, 1),
    ],
)
def test_gradients_go_as_far_as_those_of_real_tensors(way: Callable[[torch.Tensor], Any], gradients: int) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(way(self.first(x)))

    phases = thoplw.profile_training(Net(), (3, 4), verbose=False).by_phase()
    assert (phases["forward"], phases["backward"]) == (2 * 3 * 4 * 4, gradients * 3 * 4 * 4)


@since("2.3")
def test_tensors_change_places() -> None:
    """``swap_tensors`` gives each the shape of the other: ``[8, 4] [4, 4]`` afterwards, though y had two rows."""

    class Swaps(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y, other = x * 1, torch.cat([x] * 4) + 1
            torch.utils.swap_tensors(y, other)
            torch.utils.swap_tensors(y, other)
            torch.utils.swap_tensors(y, other)
            return super().forward(y)

    for execute in (False, True):
        assert thoplw.profile(Swaps(4, 4), (2, 4), convention="macs", execute=execute)[0] == 8 * 4 * 4


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_copies_are_made_of_everything_in_a_forward(device: str) -> None:
    class Copies(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = copy.deepcopy({"y": self.net(x), "z": copy.copy(x)})
            made = nn.Parameter(x)
            assert isinstance(copy.deepcopy(made), nn.Parameter)
            return torch.as_tensor(copy.deepcopy(self.net)(state["y"]) + state["z"])

    with torch.device(device):
        model = Copies()
    assert thoplw.profile(model, (2, 4), convention="macs")[:2] == (64, 28)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_the_best_of_nothing(shape: tuple[int, int]) -> None:
    class Best(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return x.topk(0, dim=0), x.topk(0, dim=1), x.sum(0), x[:, :, None].argmax(2)

    thoplw.profile(Best(), shape)


@pytest.mark.parametrize(
    "walk", [lambda x: x.apply_(abs), lambda x: x.map_(x, max), lambda x: x.map2_(x, x, lambda *a: 1)]
)
def test_who_goes_through_memory_is_refused_before_the_process_ends(walk: Any) -> None:
    class Walks(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return walk(super().forward(x))

    with pytest.raises(thoplw.DataDependentError, match=r"(apply|map2?)_\(\) needs the values"):
        thoplw.profile(Walks(4, 4), (2, 4))
