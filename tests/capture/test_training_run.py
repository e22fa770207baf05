from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.releases import file_since, since
from torch import nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import thoplw
from thoplw.capture import capture
from thoplw.capture.options import Options
from thoplw.capture.training_step import TrainingStep
from thoplw.record import Phase, Trace

file_since("2.4")


X = torch.zeros(3, 4)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.second = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu())


#: Operators that multiply matrices.
PRODUCTS = ("aten.mm", "aten.addmm")


def products(trace: Trace) -> dict[tuple[str, str], int]:
    """How many products of matrices ran, by phase and module."""
    assert len(trace.phases) == len(trace.steps)
    return Counter(
        (Phase(phase).label, trace.modules[trace.scopes[scope].module].path)
        for (call, scope), phase in zip(trace.steps, trace.phases, strict=True)
        if call.target in PRODUCTS
    )


def test_products_belong_to_the_module_whose_forward_they_are_of() -> None:
    assert products(capture(Net(), (X,), {}, Options(step=TrainingStep()))) == {
        ("forward", "first"): 1,
        ("forward", "second"): 1,
        ("backward", "second"): 2,
        ("backward", "first"): 1,  # the input asks for no gradient
    }


def test_an_input_that_requires_a_gradient_gets_one() -> None:
    x = torch.zeros(3, 4, requires_grad=True)
    assert products(capture(Net(), (x,), {}, Options(step=TrainingStep())))["backward", "first"] == 2
    assert x.grad is None


def test_frozen_layers_have_no_gradient_of_their_weights_and_none_below_the_lowest_trained_one() -> None:
    model = Net()
    model.first.requires_grad_(False)
    assert products(capture(model, (X,), {}, Options(step=TrainingStep()))) == {
        ("forward", "first"): 1,
        ("forward", "second"): 1,
        ("backward", "second"): 1,
    }


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_checkpointing_repeats_is_a_recomputation_of_the_module_that_runs(reentrant: bool) -> None:
    class Checkpointed(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return checkpoint(super().forward, x, use_reentrant=reentrant)

    x = torch.zeros(3, 4, requires_grad=True)
    found = products(capture(Checkpointed(), (x,), {}, Options(step=TrainingStep())))
    # Without reentrance it stops before the last product, whose result nobody needs.
    repeated = {"first": 1, "second": 1} if reentrant else {"first": 1}
    assert {path: times for (phase, path), times in found.items() if phase == "recomputation"} == repeated
    assert (found["backward", "first"], found["backward", "second"]) == (2, 2)


def test_the_sum_of_gradients_of_a_shared_weight_belongs_to_its_owner() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.owner = nn.Linear(4, 4, bias=False)
            self.other = nn.Linear(4, 4, bias=False)
            self.last = nn.Linear(4, 4, bias=False)
            self.other.weight = self.last.weight = self.owner.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.other(self.owner(x)))

    trace = capture(Tied(), (X,), {}, Options(step=TrainingStep()))
    sums = [trace.modules[trace.scopes[scope].module].path for call, scope in trace.steps if call.target == "aten.add"]
    assert sums == ["owner", "owner"]


@pytest.mark.parametrize("number", [2, 2.0])
def test_a_number_may_be_multiplied_by_a_gradient_of_zeros(number: float) -> None:
    """Torch moves it to the meta device, as a tensor which Python sees as a number."""

    class Signs(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sgn(super().forward(x) * number)

    assert products(capture(Signs(), (X,), {}, Options(step=TrainingStep())))["backward", "second"] == 2


@pytest.mark.parametrize(
    "options",
    [{"foreach": False}, {"foreach": True}, pytest.param({"fused": True}, marks=since("2.6", "no meta kernel before"))],
)
def test_the_update_belongs_to_the_owner_of_each_weight(options: dict[str, bool]) -> None:
    step = TrainingStep(optimizer=lambda parameters: torch.optim.AdamW(parameters, **options), clip=1.0)
    trace = capture(Net(), (X,), {}, Options(step=step))
    shapes: dict[str, set[tuple[int, ...]]] = {"first": set(), "second": set()}
    for (call, scope), phase in zip(trace.steps, trace.phases, strict=True):
        path = trace.modules[trace.scopes[scope].module].path
        if phase == Phase.UPDATE and path:
            shapes[path] |= {spec.shape for spec in call.inputs if len(spec.shape)}
    assert shapes == {"first": {(5, 4), (5,)}, "second": {(2, 5), (2,)}}


def test_a_gradient_of_a_gradient_belongs_to_the_module_of_the_first() -> None:
    class Force(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            energy = self.net(x).sum()
            return torch.autograd.grad(energy, x, create_graph=True)[0]

    x = torch.zeros(3, 4, requires_grad=True)
    found = products(capture(Force(), (x,), {}, Options(step=TrainingStep())))
    assert found["forward", "net.first"] == found["forward", "net.second"] == 1
    assert {path for phase, path in found if phase == "backward"} == {"net.first", "net.second"}
    assert not any(phase == "recomputation" for phase, _ in found)


def test_a_step_of_the_users_own_is_told_apart_by_phase() -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(model: nn.Module, x: torch.Tensor) -> None:
        for _ in range(2):
            optimizer.zero_grad()
            model(x).pow(2).mean().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    trace = capture(model, (X,), {}, Options(step=TrainingStep(function=step)))
    assert products(trace)["backward", "second"] == 4
    phases = [
        Phase(phase)
        for (call, _), phase in zip(trace.steps, trace.phases, strict=True)
        if call.target in ("aten.pow", "aten.linalg_vector_norm", "aten._foreach_norm")
    ]
    assert {*phases} == {Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE}
    assert not optimizer.state
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(
    "take",
    [
        lambda net, x: torch.autograd.grad(net(x).sum(), x)[0],
        lambda net, x: torch.autograd.functional.vjp(lambda y: net(y).sum(), x)[1],
        lambda net, x: net(x).sum().backward(inputs=[x]),
    ],
)
def test_a_forward_may_ask_for_gradients(take: Callable[..., Any], execute: bool) -> None:
    class Force(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def forward(self, x: torch.Tensor) -> Any:
            return take(self.net, x.requires_grad_())

    x, model = torch.zeros(3, 4), Force()
    assert products(capture(model, (x,), {}, Options(execute=execute))) == {
        ("forward", "net.first"): 1,
        ("forward", "net.second"): 1,
        ("backward", "net.second"): 1,
        ("backward", "net.first"): 1,
    }
    assert not x.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch scripts derivatives of its own
@pytest.mark.parametrize("execute", [False, True])
def test_a_forward_may_take_derivatives_forward_in_time(execute: bool) -> None:
    class Velocity(Net):
        def forward(self, x: torch.Tensor) -> Any:
            with forward_ad.dual_level():
                return forward_ad.unpack_dual(super().forward(forward_ad.make_dual(x, torch.ones(3, 4)))).tangent

    trace = capture(Velocity(), (torch.zeros(3, 4),), {}, Options(execute=execute))
    assert Counter(
        trace.modules[trace.scopes[scope].module].path
        for call, scope in trace.steps
        if call.target in ("aten.mm", "aten.addmm")
    ) == {"first": 3, "second": 3}  # of values, of their derivatives, and of those of the weights, which are 0
    assert forward_ad.enter_dual_level.__module__ == "torch.autograd.forward_ad"


def test_a_forward_that_catches_that_there_are_no_gradients_gets_them() -> None:
    class Careful(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                return torch.autograd.grad(super().forward(x.requires_grad_()).sum(), x)[0]
            except RuntimeError:
                return x

    assert products(capture(Careful(), (X,), {}))["backward", "first"] == 1


@pytest.mark.parametrize("how", [Options(), Options(execute=True), Options(iterations=1, graph=True)])
@pytest.mark.parametrize(
    "ask",
    [
        lambda y: y.register_hook(torch.abs),
        lambda y: y.retain_grad(),
        lambda y: torch.autograd.graph.register_multi_grad_hook([y], print),
    ],
)
def test_a_hook_of_a_gradient_asks_for_gradients(ask: Callable[[torch.Tensor], Any], how: Options) -> None:
    class HeatMap(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x)
            ask(y)
            return self.second(y)

    model = HeatMap()
    trace = capture(model, (X,), {}, how)
    owners = [trace.modules[trace.scopes[scope].module].path for call, scope in trace.steps if call.target in PRODUCTS]
    assert (owners, trace.phases) == (["first", "second"], b"")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with pytest.raises((RuntimeError, AssertionError)):  # as on real tensors
        capture(model, (X,), {}, how)


def test_memory_of_a_forward_that_asks_by_a_hook_is_told() -> None:
    class HeatMap(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            y.retain_grad()
            return y

    *_, layers = thoplw.profile(HeatMap(), X, memory=True, verbose=False)
    assert layers.memory.peak > 0


def test_functional_gradients_have_an_autograd_of_their_own() -> None:
    class Force(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.func.grad(lambda y: super(Force, self).forward(y).sum())(x)

    trace = capture(Force(), (X,), {})
    assert trace.phases == b""
