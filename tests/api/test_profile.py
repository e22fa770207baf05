"""The main job: totals, the table, bad input, every kind of model."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from checks.releases import since
from torch import nn

import thoplw
from thoplw.report.document import from_document

# Figures given with the convention, not taken from the code.
RESNET18_LINES = """\
| Name                  | Class             | Input shape    | Output shape   | MACs       | Params   |
+-----------------------+-------------------+----------------+----------------+------------+----------+
| conv1                 | Conv2d            | 3 x 224 x 224  | 64 x 112 x 112 | 118013952  | 9408     |
| bn1                   | BatchNorm2d       | 64 x 112 x 112 | 64 x 112 x 112 | 3211264    | 256      |
| relu                  | ReLU              | 64 x 112 x 112 | 64 x 112 x 112 | 0          | 0        |
| maxpool               | MaxPool2d         | 64 x 112 x 112 | 64 x 56 x 56   | 0          | 0        |
...
| layer4.1.conv2        | Conv2d            | 512 x 7 x 7    | 512 x 7 x 7    | 115605504  | 2359296  |
| layer4.1.bn2          | BatchNorm2d       | 512 x 7 x 7    | 512 x 7 x 7    | 100352     | 2048     |
| avgpool               | AdaptiveAvgPool2d | 512 x 7 x 7    | 512 x 1 x 1    | 1024       | 0        |
| fc                    | Linear            | 512            | 1000           | 513000     | 513000   |
+-----------------------+-------------------+----------------+----------------+------------+----------+
| Total                 | ResNet            | 3 x 224 x 224  | 1000           | 1824010216 | 11699112 |"""


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))


IMAGE = (2, 3, 8, 8)
# Two samples: convolution 8 * 36 outputs of 27 MACs and 8 biases; norm 4 per element; linear 288 * 4 and 4 biases.
SMALL_MACS = 2 * (8 * 36 * 27 + 8 + 4 * 8 * 36 + 288 * 4 + 4)
SMALL_PARAMS = 8 * 27 + 8 + 4 * 8 + 288 * 4 + 4


def test_resnet18() -> None:
    macs, params, info = thoplw.profile(torchvision.models.resnet18(), tensor=torch.randn(1, 3, 224, 224))
    assert (macs, params) == (1824010216, 11699112)
    assert (type(macs), type(params)) == (int, int)
    head, tail = RESNET18_LINES.split("\n...\n")
    assert info.summary().startswith(head)
    assert info.summary().endswith(tail)
    assert str(info) == info.summary() == info.summary(kind="text", fmt="raw")


def wrapped_in_data_parallel() -> nn.Module:
    return nn.DataParallel(small_net())


def compiled() -> nn.Module:
    return torch.compile(small_net())  # type: ignore[return-value] # torch types it as a function


def compiled_inside() -> nn.Module:
    return nn.Sequential(torch.compile(small_net()))  # type: ignore[arg-type] # as above


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def scripted() -> nn.Module:
    return torch.jit.script(small_net())


def traced() -> nn.Module:
    return torch.jit.trace(small_net().eval(), torch.randn(IMAGE))


TRACED = pytest.param(traced, marks=since("2.1", "older ones crash, and are refused"))


def on_meta() -> nn.Module:
    return small_net().to("meta")


def in_double() -> nn.Module:
    return small_net().double()


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize(
    "build", [small_net, wrapped_in_data_parallel, compiled, compiled_inside, scripted, TRACED, on_meta]
)
def test_any_kind_of_model_counts_the_same(build: Any) -> None:
    macs, params, info = thoplw.profile(build(), torch.randn(IMAGE))
    assert (macs, params) == (SMALL_MACS, SMALL_PARAMS)
    assert (sum(row.macs for row in info), sum(row.params for row in info)) == (macs, params)
    assert info.not_executed == {}


def test_dtype_does_not_matter() -> None:
    assert thoplw.profile(in_double(), torch.randn(IMAGE, dtype=torch.float64))[0] == SMALL_MACS


@pytest.mark.parametrize("execute", [False, True])
def test_forms_of_input(execute: bool) -> None:
    @dataclasses.dataclass(frozen=True)
    class Pair:
        first: torch.Tensor
        second: torch.Tensor

    class Net(nn.Module):
        def forward(self, a: Any, b: Any = None, *, scale: float = 1.0) -> torch.Tensor:
            if isinstance(a, Pair):
                a, b = a.first, a.second
            elif isinstance(a, dict):
                a, b = a["x"], a["y"][0]
            return a @ b * scale

    x, y = torch.randn(2, 3), torch.randn(3, 4)
    forms = [(x, y), [x, y], {"a": x, "b": y, "scale": 2.0}, (Pair(x, y),), ({"x": x, "y": [y]},)]
    assert [thoplw.profile(Net(), form, execute=execute)[0] for form in forms] == [2 * 3 * 4] * len(forms)


@pytest.mark.parametrize("execute", [False, True])
def test_positional_and_keyword_inputs_together(execute: bool) -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor, *, weight: torch.Tensor) -> torch.Tensor:
            return x @ weight

    given = thoplw.Inputs(torch.randn(2, 3), weight=torch.randn(3, 4))
    assert thoplw.profile(Net(), given, execute=execute)[0] == 2 * 3 * 4
    assert thoplw.compare(Net(), given, ["macs"], execute=execute)["macs"].total_macs == 2 * 3 * 4
    assert repr(thoplw.Inputs(1, a=2)) == "Inputs(args=(1,), kwargs={'a': 2})"


@pytest.mark.parametrize("execute", [False, True])
def test_numpy_integers_are_sizes(execute: bool) -> None:
    shape = tuple(np.array(IMAGE))
    assert thoplw.profile(small_net(), shape, execute=execute)[0] == SMALL_MACS


@pytest.mark.parametrize("shape", [(2**63,), (2**40, 2**40), (10**30, 3), (1, -3), (np.int64(-1), 3)])
def test_a_shape_that_no_tensor_has(shape: tuple[int, ...]) -> None:
    with pytest.raises(thoplw.InputError, match=r"^(torch makes no float32 tensor|a shape has no negative sizes)"):
        thoplw.profile(nn.Identity(), shape)


@pytest.mark.parametrize("name", ["inputs", "input_size", "input_res", "example_inputs", "input_constructor", "input"])
def test_what_other_tools_call_the_input_is_refused_with_a_sentence(name: str) -> None:
    arguments: Any = {name: (torch.zeros(IMAGE),)}
    with pytest.raises(thoplw.InputError, match=rf"^profile has no {name}=; the input is its second argument, tensor="):
        thoplw.profile(small_net(), **arguments)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("custom_op", "Did you mean 'custom_ops'"),
        ("col_names", r"Tables are made of what it returns: layers\.summary"),
        ("device", "It runs on no device"),
        ("ret_layer_info", "It always returns the layers: macs, params, layers = "),
        ("zzz", "Known: convention, custom_ops, .*, verbose"),
    ],
)
def test_other_arguments_of_other_tools_are_told_what_to_type(name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=rf"unexpected keyword argument '{name}'\. {hint}"):
        thoplw.profile(small_net(), IMAGE, **{name: 1})


def test_an_input_of_the_forward_by_its_name_is_told_how() -> None:
    class Net(nn.Module):
        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            return picture

    with pytest.raises(thoplw.InputError, match=r"^profile has no picture=; the input is its second argument"):
        thoplw.profile(Net(), picture=torch.zeros(1))  # type: ignore[arg-type] # that is what is tried


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        (torch.zeros(2, 3), "the model comes first, and its input second"),
        ((1, 3, 6, 6), "the model comes first"),
        (nn.Linear, r"call it first: Linear\(\.\.\.\)"),
        (nn.Linear(3, 3).forward, "give the model itself, not a method of it"),
        (nn.Linear(3, 3).state_dict(), "weights alone do not say how they are used"),
        (torch.relu, r"what a function runs is counted by"),
        ("resnet18", "only the command line takes names"),
    ],
)
def test_what_is_no_module_is_told_what_to_give(model: Any, hint: str) -> None:
    for verb in (thoplw.profile, thoplw.measure):
        with pytest.raises(thoplw.InputError, match=rf"^thoplw takes a torch\.nn\.Module, not [^\n]*; {hint}"):
            verb(model, IMAGE)


def test_token_ids_need_a_type() -> None:
    with pytest.raises(RuntimeError, match="'indices'") as caught:
        thoplw.profile(nn.Embedding(10, 4), (2, 3))
    assert any(
        "torch.zeros((2, 3), dtype=torch.int64), or type --input 2,3:int64" in each for each in caught.value.__notes__
    )


def test_arrays_among_the_inputs_are_told_how() -> None:
    with pytest.raises(TypeError) as caught:
        thoplw.profile(nn.Linear(3, 3), [np.zeros((2, 3), "float32")])
    assert any("torch.from_numpy(array)" in each for each in caught.value.__notes__)


def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'stric'"):
        thoplw.profile(small_net(), IMAGE, stric=True)  # type: ignore[arg-type] # that is what is tried


def test_a_dict_as_the_one_positional_input_is_told_how() -> None:
    class Net(nn.Module):
        def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return batch["image"] * 2

    message = (
        r"^a dict gives keyword inputs, but the forward of Net takes \(batch\), not 'image'.* a tuple: \(inputs,\)"
    )
    with pytest.raises(thoplw.InputError, match=message):
        thoplw.profile(Net(), {"image": torch.zeros(1, 3)})
    thoplw.profile(Net(), ({"image": torch.zeros(1, 3)},))


def test_other_type_errors_of_a_forward_come_through() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor, **options: Any) -> torch.Tensor:
            raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        thoplw.profile(Net(), {"x": torch.zeros(1), "y": 1})


def test_without_an_input_there_are_parameters_alone(capsys: pytest.CaptureFixture[str]) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(10, 4)
            self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
            self.head = nn.Linear(4, 10, bias=False)
            self.head.weight = self.embed.weight
            self.body.requires_grad_(False)

    macs, params, layers = thoplw.profile(Tied())
    note = "Nothing ran, as no input was given: only parameters are known."
    assert (macs, params, layers.total_trainable) == (0, 40 + 20, 40)
    assert {row.name: row.params for row in layers.modules} == {
        "": 0, "embed": 40, "body": 0, "body.0": 20, "body.1": 0, "head": 0,
    }  # fmt: skip
    assert layers.profile.total.bytes == {"float32": 240}
    assert (layers.notes(), capsys.readouterr().err) == ((note,), f"thoplw: {note}\n")
    assert layers.summary().endswith(note)
    assert from_document(layers.to_dict()) == layers.profile
    for arguments in ({"execute": True}, {"custom_ops": {nn.Linear: lambda *_: 1}}):
        with pytest.raises(thoplw.InputError, match="need an input to run the model on; give a tensor"):
            thoplw.profile(Tied(), **arguments)  # type: ignore[arg-type] # either


@pytest.mark.parametrize("execute", [False, True])
def test_a_shape_is_a_float_tensor(execute: bool) -> None:
    macs, _, info = thoplw.profile(small_net(), IMAGE, execute=execute)
    assert macs == SMALL_MACS
    assert info.rows[0].input_shapes == (IMAGE,)


def test_zero_batch_costs_nothing() -> None:
    macs, params, _ = thoplw.profile(small_net(), torch.empty(0, 3, 8, 8))
    assert (macs, params) == (0, SMALL_PARAMS)


def test_empty_model() -> None:
    macs, params, info = thoplw.profile(nn.Sequential(), torch.randn(IMAGE))
    assert (macs, params, [row.name for row in info]) == (0, 0, [""])


@pytest.mark.parametrize("execute", [False, True])
def test_wrong_shape_is_the_models_own_error(execute: bool) -> None:
    with pytest.raises(RuntimeError) as real:
        small_net()(torch.randn(2, 4, 8, 8))
    with pytest.raises(RuntimeError) as ours:
        thoplw.profile(small_net(), torch.randn(2, 4, 8, 8), execute=execute)
    assert str(ours.value) == str(real.value)


BAD_CALLS = {
    "not a module": (lambda: thoplw.profile(3, IMAGE), thoplw.InputError, "takes a torch.nn.Module, not int: 3"),  # type: ignore[arg-type] # on purpose
    "a program of torch.export": (
        lambda: thoplw.profile(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), (1, 2)),  # type: ignore[arg-type] # on purpose
        thoplw.InputError,
        "give what its module\\(\\) returns",
    ),
    "a class": (lambda: thoplw.profile(nn.ReLU, IMAGE), thoplw.InputError, r"^thoplw takes .*; call it first: ReLU\("),  # type: ignore[arg-type] # on purpose
    "no input": (lambda: thoplw.profile(nn.ReLU(), None), thoplw.InputError, "no input .* got None"),
    "a string": (lambda: thoplw.profile(nn.ReLU(), "1,3"), thoplw.InputError, "got '1,3'"),
    "negative shape": (lambda: thoplw.profile(nn.ReLU(), (1, -3)), thoplw.InputError, r"negative sizes: \(1, -3\)"),
    "nameless keyword": (lambda: thoplw.profile(nn.ReLU(), {0: 1}), thoplw.InputError, r"pass a tuple: \(inputs,\)"),
    "unknown convention": (
        lambda: thoplw.profile(nn.ReLU(), (1, 3), convention="mac"),
        thoplw.UnknownNameError,
        "unknown convention 'mac'. Did you mean 'macs'",
    ),
    "unknown kind": (
        lambda: thoplw.profile(nn.ReLU(), (1, 3))[2].summary("txt"),
        thoplw.UnknownNameError,
        "unknown kind 'txt'. Did you mean 'text'",
    ),
    "unknown fmt": (
        lambda: thoplw.profile(nn.ReLU(), (1, 3))[2].summary(fmt="percent"),
        thoplw.UnknownNameError,
        "unknown fmt 'percent'. Known: clever, grouped, ratio, raw",
    ),
    "lazy": (lambda: thoplw.profile(nn.LazyLinear(3), (1, 3)), thoplw.InputError, "'weight' .* is lazy"),
    "execute on meta": (
        lambda: thoplw.profile(nn.Linear(3, 3, device="meta"), (1, 3), execute=True),
        thoplw.InputError,
        "real weights, and 'weight' is on the meta device",
    ),
}


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input(case: str) -> None:
    call, error, message = BAD_CALLS[case]
    with pytest.raises(error, match=message):
        call()


_LIBRARY = torch.library.Library("profile_test", "DEF")
_LIBRARY.define("odd(Tensor x) -> Tensor")
_LIBRARY.impl("odd", torch.empty_like, "Meta")


class Unknown(nn.Module):
    """Runs an operator that no convention knows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.profile_test.odd(F.relu(x))  # type: ignore[no-any-return] # operators have no types


def test_unknown_operators_are_never_silent(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Linear(3, 4), Unknown(), Unknown())
    macs, _, info = thoplw.profile(model, (1, 3))
    assert macs == 3 * 4 + 4
    ((operator, where),) = info.uncounted.items()
    assert operator == "profile_test.odd.default"
    assert (where.calls, where.modules, where.shapes) == (2, ["1", "2"], [((1, 4),)])
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "thoplw: Not counted: profile_test.odd.default (2 calls in 1, 2).\n"
    assert info.summary().endswith("\n\nNot counted: profile_test.odd.default (2 calls in 1, 2).")
    lines = r"(?s)profile_test.odd.*\(2 calls in 1, 2\).*custom_ops = .torch.ops.profile_test.odd.default: price"
    with pytest.raises(thoplw.UncountedError, match=lines):
        thoplw.profile(model, (1, 3), strict=True)


def test_quiet_when_there_is_nothing_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    thoplw.profile(small_net(), IMAGE)
    thoplw.profile(Unknown(), IMAGE, verbose=False)
    assert capsys.readouterr() == ("", "")


def test_submodules_that_never_ran(capsys: pytest.CaptureFixture[str]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Linear(3, 3)
            self.idle = nn.Sequential(nn.Linear(3, 5), nn.ReLU())
            self.bare = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    _, params, info = thoplw.profile(Net(), (1, 3))
    assert params == 12
    assert info.not_executed == {"idle": 20, "bare": 0}
    assert capsys.readouterr().err == "thoplw: Never ran: idle (20 parameters), 1 module without parameters.\n"


def test_values_can_steer_the_model() -> None:
    class Steered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(10, 4)
            self.small, self.large = nn.Linear(4, 1), nn.Linear(4, 100)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            mask = torch.ones_like(ids, dtype=torch.bool)
            layer = self.large if ids.max().item() > 5 and mask.all() else self.small
            return layer(self.embed(ids))

    model = Steered()
    assert thoplw.profile(model, torch.tensor([[1, 2]]), convention="macs", verbose=False)[0] == 2 * 4 * 1
    assert thoplw.profile(model, torch.tensor([[1, 7]]), convention="macs", verbose=False)[0] == 2 * 4 * 100
    meta = copy.deepcopy(model).to("meta")
    assert thoplw.profile(meta, torch.tensor([[1, 7]]), convention="macs", verbose=False)[0] == 2 * 4 * 100


def test_deciding_on_a_computed_value_is_an_error_unless_executed() -> None:
    class Decides(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x.T if x.sum() > 0 else x

    model = nn.Sequential(nn.ReLU(), Decides())
    with pytest.raises(thoplw.DataDependentError, match=r"in module '1' \(Decides\).*execute=True"):
        thoplw.profile(model, (3, 4))
    assert thoplw.profile(model, torch.ones(3, 4), execute=True)[0] == 3 * 4 * 3
    assert thoplw.profile(model, -torch.ones(3, 4), execute=True)[0] == 0


def test_boolean_masks_of_known_values() -> None:
    class Masked(nn.Module):
        def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
            return x[keep] @ x.T

    keep = torch.tensor([True, False, True])
    assert thoplw.profile(Masked(), (torch.randn(3, 4), keep))[0] == 2 * 4 * 3
    assert thoplw.profile(Masked(), (torch.randn(3, 4), keep), execute=True)[0] == 2 * 4 * 3


@pytest.mark.parametrize("inputs", [[(1, 4)], {"input": (1, 4)}, thoplw.Inputs((1, 4))])
def test_a_shape_among_inputs_is_explained(inputs: Any) -> None:
    with pytest.raises(TypeError) as caught:
        thoplw.profile(nn.Linear(4, 3), inputs)
    assert any("pass torch.empty(1, 4) instead" in note for note in caught.value.__notes__)


def test_a_list_of_shapes_as_the_one_input_is_explained() -> None:
    class Each(nn.Module):
        def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
            return [nn.functional.relu(x) for x in xs]

    with pytest.raises((TypeError, AttributeError)) as caught:
        thoplw.profile(Each(), [(1, 3), (1, 4)])
    assert any("pass torch.empty(1, 3) instead" in note for note in caught.value.__notes__)


def test_a_name_is_for_the_command_line() -> None:
    with pytest.raises(thoplw.InputError, match=r"not str: 'resnet18'; only the command line takes names"):
        thoplw.profile("resnet18", (1, 3, 224, 224))  # type: ignore[arg-type] # on purpose


def test_train_mode_counts_a_model_as_it_runs_in_training() -> None:
    """As fvcore 0.1.5 and PyTorch's counter do of a model that was just built."""
    resnet18 = torchvision.models.resnet18()
    googlenet = torchvision.models.googlenet(init_weights=False)
    assert thoplw.profile(resnet18, (1, 3, 224, 224), convention="fvcore", mode="train")[0] == 1_826_516_992
    assert thoplw.profile(googlenet, (2, 3, 224, 224), convention="torch", mode="train")[0] == 6_026_993_664
    assert thoplw.profile(googlenet, (2, 3, 224, 224), convention="fvcore", mode="train")[0] == 3_046_307_424
    assert all(module.training for module in googlenet.modules())
    with pytest.raises(thoplw.UnknownNameError, match="train"):
        thoplw.profile(resnet18, (1, 3, 224, 224), mode="trian")  # type: ignore[arg-type] # as users may type


def test_train_mode_leaves_parts_in_evaluation_mode_that_the_user_put_there() -> None:
    class Noted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(4)
            self.seen: list[bool] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(self.norm.training)
            return self.norm(x)

    seen: list[bool] = []
    model = Noted()
    for state in (model.train(), model.eval()):
        thoplw.profile(state, (2, 4), mode="train")
    model.train()
    model.norm.eval()
    thoplw.profile(model, (2, 4), mode="train")
    assert seen == [True, True, False]
    assert (model.training, model.norm.training) == (True, False)


@pytest.mark.parametrize("given", [(2.0, 4), (2, "a"), (2, None)])
def test_what_is_almost_a_shape_is_said(given: Any) -> None:
    with pytest.raises(TypeError) as caught:
        thoplw.profile(nn.Linear(4, 4), given)
    assert "a shape has whole numbers only" in str(caught.value.__notes__)
