"""Layers that are not run again: the record is the one that running them makes, whatever a model does to them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.releases import older, since
from checks.traces import seen
from checks.zoo import MACS, skip_without_package
from torch import nn
from torch.overrides import TorchFunctionMode

import thoplw
from thoplw.capture import capture, layer_cache
from thoplw.capture.abstract import Specs
from thoplw.capture.abstract_run import AbstractRun
from thoplw.capture.inputs import arguments
from thoplw.capture.options import Options
from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.weights import Weights
from thoplw.models.registry import load

X = torch.zeros(2, 8, 6, 6)


def outcome(model: nn.Module, args: Any, kwargs: Any, reuse_layers: bool = True) -> Any:
    """What a run of a model comes to: its record, or torch's refusal."""
    try:
        return seen(capture(model, args, kwargs, Options(reuse_layers=reuse_layers)))
    except (AttributeError, RuntimeError, ValueError) as error:
        return type(error), str(error)


def repeated(monkeypatch: pytest.MonkeyPatch, model: nn.Module, *args: Any, **kwargs: Any) -> int:
    """How many calls were not run, after a check that the record is the one that running them makes."""
    passed: list[int] = []
    note = layer_cache.ModuleScopes.record_call

    def noted(self: Any, index: int, *rest: Any) -> int:
        passed.append(index)
        return note(self, index, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(layer_cache.ModuleScopes, "record_call", noted)
        found, count = outcome(model, args, kwargs), len(passed)
        assert outcome(model, args, kwargs, reuse_layers=False) == found
        assert len(passed) == count
    return count


@pytest.mark.parametrize("name", MACS)
def test_models_of_the_zoos(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_package(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # models warn of much that is none of our business
        loaded = load(name)
        args, kwargs = arguments(loaded.inputs)
        assert repeated(monkeypatch, loaded.model, *args, **kwargs) > 0


#: One layer of every class that need not be run again, and variants.
MAKERS: list[Callable[[], nn.Module]] = [
    lambda: nn.BatchNorm1d(8),
    lambda: nn.BatchNorm2d(8),
    lambda: nn.BatchNorm2d(8, affine=False),
    lambda: nn.BatchNorm2d(8, track_running_stats=False),
    lambda: nn.BatchNorm3d(8),
    lambda: nn.Conv1d(8, 8, 3, padding=1),
    lambda: nn.Conv2d(8, 8, 3, padding=1),
    lambda: nn.Conv2d(8, 8, 3, padding="same", bias=False),
    lambda: nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"),
    lambda: nn.Conv3d(8, 8, 3, padding=1),
    lambda: nn.Dropout(0.1),
    lambda: nn.GELU("tanh"),
    lambda: nn.GroupNorm(2, 8),
    lambda: nn.Hardsigmoid(),
    lambda: nn.Hardswish(inplace=True),
    lambda: nn.Identity(),
    lambda: nn.LayerNorm(6),
    lambda: nn.LayerNorm((6, 6)) if older("2.1") else nn.LayerNorm((6, 6), bias=False),
    lambda: nn.Linear(6, 6),
    lambda: nn.ReLU(inplace=True),
    lambda: nn.ReLU6(),
    lambda: nn.SiLU(),
    lambda: nn.Sigmoid(),
    lambda: nn.Softmax(-1),
    lambda: nn.Tanh(),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", MAKERS)
def test_a_layer_like_one_before_is_not_run(
    make: Callable[[], nn.Module], training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nn.Sequential(*(make() for _ in range(4))).train(training)
    x = {"1d": X[..., 0], "3d": X[..., None]}.get(type(model[0]).__name__[-2:], X)
    # The first is run; the second too, where its operator is taken apart.
    assert repeated(monkeypatch, model, x) >= 2


def test_every_class_was_tried() -> None:
    assert {type(make()) for make in MAKERS} == layer_cache.LAYERS.keys()


class Reads(set[str]):
    """The names that are read of a layer while its forward runs."""

    def of(self, layer: nn.Module) -> Any:
        """The layer itself, as one of a class that notes what is read of it here."""
        cls = type(layer)

        def noted(this: Any, name: str) -> Any:
            self.add(name)
            return cls.__getattribute__(this, name)

        def owned(this: Any, name: str) -> Any:
            """A parameter or buffer, which torch looks up in dictionaries of the layer: those reads are torch's own."""
            for tensors in ("_parameters", "_buffers"):
                found = object.__getattribute__(this, tensors)
                if name in found:
                    return found[name]
            raise AttributeError(name)

        layer.__class__ = type(cls.__name__, (cls,), {"__getattribute__": noted, "__getattr__": owned})
        return layer


def names_in_table(layer: nn.Module) -> set[str]:
    """What a row of the table reads, of weights and attributes."""

    class Tensors(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            names.add(name)
            return Tensors() if name in ("_parameters", "_buffers") else None

    names = Reads()
    weights, attributes = layer_cache.LAYERS[type(layer)]
    weights(Tensors())
    attributes(names.of(layer))
    return names - {"_parameters", "_buffers"}


class Functions:
    """``torch.nn.functional``, noting what is taken from it."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken

    def __getattr__(self, name: str) -> Any:
        self.taken.add(name)
        return getattr(nn.functional, name)


@pytest.mark.parametrize("make", MAKERS)
def test_the_table_names_all_that_a_forward_reads(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A layer is repeated if it is like one before in what the table names. A release of torch whose forward reads one
    # thing more must fail here: else layers that differ in it would be taken for alike.
    layer = make().eval()  # layers in training are run
    cls, reads, taken = type(layer), Reads(), set[str]()
    x = {"1d": X[..., 0], "3d": X[..., None]}.get(cls.__name__[-2:], X)
    expected = layer(x)
    for method in layer_cache.METHODS:
        if found := getattr(cls, method, None):
            monkeypatch.setitem(found.__globals__, "F", Functions(taken))
    assert torch.equal(cls.forward(reads.of(layer), x), expected)
    assert reads <= names_in_table(make()) | {*layer_cache.METHODS}
    assert taken <= {*layer_cache.FUNCTIONS}


def test_a_forward_that_reads_more_is_found() -> None:
    class More(nn.ReLU):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * self.slope * len(self._buffers)

    reads, layer = Reads(), More()
    layer.slope = 1.0
    type(layer).forward(reads.of(layer), X)
    assert {"slope", "_buffers"} <= reads


def test_layers_in_training_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Trains(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = layer.train()(x)
            return x

    model = Trains()
    assert repeated(monkeypatch, model, X) == 0
    assert [call.target for call, _ in capture(model, (X,), {}).steps].count("aten.add_") == 3


def test_what_was_set_is_taken_off() -> None:
    model = nn.Sequential(nn.ReLU(), nn.ReLU())
    before = [list(vars(module)) for module in model]
    specs = Specs()
    weights = Weights(specs)
    weights.add(model)
    scopes = ModuleScopes(weights.indices, specs)
    run = AbstractRun(specs=specs, weights=weights, scopes=scopes, device=torch.device("cpu"))
    with layer_cache.LayerCache(run, scopes, weights):
        assert all("_compiled_call_impl" in vars(module) for module in model)
    assert [list(vars(module)) for module in model] == before


def test_profile_can_run_every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[nn.Module] = []

    def forward(layer: nn.ReLU, x: torch.Tensor) -> torch.Tensor:
        ran.append(layer)
        return nn.functional.relu(x)

    monkeypatch.setattr(nn.ReLU, "forward", forward)
    monkeypatch.setitem(layer_cache._METHODS, nn.ReLU, layer_cache._methods(nn.ReLU))  # taken for torch's own
    model = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU())
    found = {reuse: thoplw.profile(model, X, reuse_layers=reuse)[0] for reuse in (True, False)}
    assert found[True] == found[False]
    assert ran == [model[0], *model]


#: What was called; what a model holds itself is put back, and would forget.
called: list[Any] = []


class Counting(TorchFunctionMode):
    """A mode of the user's, which sees every function."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        called.append(func)
        return func(*args, **(kwargs or {}))


class Case(nn.Module):
    """Two equal layers; what happens before the second call is up to ``change``."""

    def __init__(self, make: Callable[[], nn.Module], change: Callable[[nn.Module], Any]) -> None:
        super().__init__()
        self.first, self.second, self.change = make(), make(), change

    def forward(self, x: torch.Tensor) -> Any:
        self.first(x)
        done = self.change(self.second)
        return done(x) if callable(done) else self.second(x)


def convolution() -> nn.Module:
    return nn.Conv2d(8, 8, 3, padding=1)


def _nothing(layer: nn.Module) -> None:
    """Change nothing: the layer is unusual as it is made."""


def _set(name: str, value: Any) -> Callable[[nn.Module], None]:
    return lambda layer: setattr(layer, name, value)


def _within(context: Callable[[], Any]) -> Callable[[nn.Module], Callable[..., Any]]:
    def change(layer: nn.Module) -> Callable[..., Any]:
        def call(x: torch.Tensor) -> Any:
            with context():
                return layer(x)

        return call

    return change


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (convolution, _set("stride", (2, 2))),
        (convolution, _set("groups", 8)),  # the weight does not fit: torch refuses
        (convolution, _set("weight", nn.Parameter(torch.ones(8, 8, 1, 1)))),
        (convolution, _set("bias", None)),
        (convolution, _set("forward", lambda x: x.relu())),
        (convolution, _set("_conv_forward", lambda x, weight, bias: x.relu())),
        (convolution, lambda layer: layer.register_forward_hook(lambda *_: torch.ones(3).exp())),
        (convolution, lambda layer: layer.register_forward_pre_hook(lambda module, args: (args[0].relu(),))),
        (convolution, lambda layer: lambda x: layer(input=x)),
        (convolution, _within(lambda: torch.autocast("cpu", torch.bfloat16))),
        (convolution, _within(lambda: torch.inference_mode(False))),
        (
            convolution,
            lambda layer: lambda x: torch.func.functional_call(layer, {"weight": torch.ones(8, 8, 1, 1)}, (x,)),
        ),
        (lambda: nn.BatchNorm2d(8), lambda layer: layer.train()),
        (lambda: nn.BatchNorm2d(8), _set("running_mean", None)),
        (lambda: nn.ReLU(), _set("inplace", True)),
        (lambda: nn.LayerNorm(6), _set("normalized_shape", [6])),
        (lambda: nn.LayerNorm(6), lambda layer: delattr(layer, "weight")),
        (lambda: nn.utils.weight_norm(nn.Linear(6, 6)), _nothing),
        pytest.param(*(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)), _nothing), marks=since("2.1")),
        (lambda: nn.utils.spectral_norm(nn.Linear(6, 6)), _nothing),
        (lambda: nn.utils.parametrize.register_parametrization(nn.Linear(6, 6), "weight", nn.Tanh()), _nothing),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of older ways to norm weights, which are still in use
@pytest.mark.filterwarnings("ignore:torch.nn.utils.weight_norm is deprecated")  # no FutureWarning up to 2.4
def test_what_is_not_like_before_is_run(
    make: Callable[[], nn.Module], change: Callable[[nn.Module], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repeated(monkeypatch, Case(make, change), X) == 0


class Sizes(nn.Module):
    """A layer that is called with an input, and then with another one."""

    def __init__(self, layer: nn.Module, other: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.other = layer, other

    def forward(self, x: torch.Tensor) -> Any:
        self.layer(x)
        return self.layer(self.other(x))


#: Other inputs: of other sizes, layouts and dtypes, some of which torch refuses.
OTHERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "smaller": lambda x: x[:1],
    "permuted": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "unbatched": lambda x: x[0],
    "one value a channel": lambda x: x.new_ones(1, 8, *[1] * (x.dim() - 2)),
    "of one group": lambda x: x.new_ones(1, 2, *[1] * (x.dim() - 2)),
    "empty": lambda x: x[:0],
    "without channels": lambda x: x[:, :0],
    "integer": lambda x: x.int(),
}

#: What runs no operator, or two, or refuses some sizes.
ALWAYS_RUN = {"Identity", "circular", "padding=same", "GroupNorm", "track_running_stats=False"}


@pytest.mark.parametrize("make", MAKERS)
def test_a_layer_that_differs_in_sizes_is_not_run(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = make()
    x = {"1d": X[..., 0], "3d": X[..., None]}.get(type(layer).__name__[-2:], X)
    passed = {name: repeated(monkeypatch, Sizes(layer, other), x) for name, other in OTHERS.items()}
    assert passed["smaller"] == (not any(name in repr(layer) for name in ALWAYS_RUN))


def test_weights_of_other_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Conv2d(8, 4, 3), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 3, 1, bias=False))
    assert repeated(monkeypatch, model, X) == 1
    assert repeated(monkeypatch, nn.Sequential(nn.Linear(6, 5), nn.Linear(4, 3)), X) == 0  # torch refuses


@pytest.mark.filterwarnings("ignore:Sparse")  # torch says that they are a prototype
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_a_sparse_weight_is_no_other_size(layout: torch.layout, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 5))
    model[1].weight = nn.Parameter(torch.eye(5).to_sparse(layout=layout))
    assert repeated(monkeypatch, model, X[:1, 0, 0]) == 0
    assert thoplw.profile(model, X[:1, 0, 0], convention="macs", verbose=False)[0] == 6 * 5 + 5


def test_modes_of_the_user_see_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    mode = Counting()
    called.clear()
    assert repeated(monkeypatch, Case(nn.ReLU, _within(lambda: mode)), X) == 0
    assert len(called) == 2  # with and without the shortcut


def test_global_hooks_of_the_user_see_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[nn.Module] = []
    handle = nn.modules.module.register_module_forward_pre_hook(lambda module, args: called.append(module))
    try:
        model = nn.Sequential(nn.ReLU(), nn.ReLU())
        assert repeated(monkeypatch, model, X) == 0
    finally:
        handle.remove()
    assert called == [model, *model] * 2


def test_a_class_that_is_based_on_a_layer_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    called.clear()

    class Calls(nn.ReLU):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            called.append(self)
            return super().forward(x)

    assert repeated(monkeypatch, nn.Sequential(Calls(), Calls()), X) == 0
    assert len(called) == 4  # with and without the shortcut


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_class_that_was_given_another_forward_is_run(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = nn.Linear.forward

    def forward(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:  # as adapters of low rank are put in
        y = usual(layer, x)
        return y + (x @ layer.down) @ layer.up if hasattr(layer, "down") else y

    def change(layer: nn.Module) -> None:
        monkeypatch.setattr(nn.Linear, "forward", forward)
        layer.down, layer.up = torch.ones(6, 2), torch.ones(2, 6)

    if moment == "before":
        monkeypatch.setattr(nn.Linear, "forward", forward)
    assert repeated(monkeypatch, Case(lambda: nn.Linear(6, 6), change), X) == 0


def test_a_weight_of_a_class_of_its_own_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(nn.Parameter):
        pass

    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight = Own(model[1].weight.data)
    assert repeated(monkeypatch, model, X) == 0


def test_a_module_made_of_the_attributes_of_a_layer_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(layer: nn.Module) -> Callable[..., Any]:
        twin = nn.Linear.__new__(nn.Linear)
        twin.__dict__ = {**vars(layer), "_parameters": {"weight": torch.ones(3, 6), "bias": None}}
        return twin

    model = Case(lambda: nn.Linear(6, 6), change)
    assert repeated(monkeypatch, model, X) == 0
    assert capture(model, (X,), {}).steps[-1][0].outputs[0].shape[-1] == 3


def test_a_layer_that_was_compiled_is_one_too_and_stays_so() -> None:
    model, compiled = nn.Sequential(nn.ReLU(), nn.ReLU()), object()
    model[1]._compiled_call_impl = compiled  # what module.compile() sets, to something that cannot be called
    assert len(capture(model, (X,), {}).steps) == 2
    assert model[1]._compiled_call_impl is compiled
