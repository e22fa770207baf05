"""The tools that have a mirror, how to run them, and the models on which the two are compared."""

from __future__ import annotations

import copy
import inspect
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache, partial
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from checks.releases import working_transformers
from torch import nn

from thoplw.capture import capture, expand
from thoplw.pricing import find, price
from thoplw.record import Trace
from thoplw.report.layer_info import LayerInfo

GOLDENS = Path(__file__).parent / "goldens"

Inputs = tuple[Any, ...]
Built = tuple[nn.Module, Inputs]


def picture(name: str, size: int = 224, **options: Any) -> Callable[[], Built]:
    def build() -> Built:
        import torchvision

        return torchvision.models.get_model(name, weights=None, **options), (torch.randn(1, 3, size, size),)

    return build


def timm(name: str) -> Callable[[], Built]:
    def build() -> Built:
        import timm

        model = timm.create_model(name, pretrained=False)
        return model, (torch.randn(1, *model.pretrained_cfg["input_size"]),)

    return build


def transformer(family: str, **options: Any) -> Callable[[], Built]:
    def build() -> Built:
        working_transformers()
        from transformers import AutoConfig, AutoModel

        return AutoModel.from_config(AutoConfig.for_model(family, **options)), (torch.randint(0, 100, (1, 32)),)

    return build


def layers(*modules: nn.Module, shape: tuple[int, ...]) -> Callable[[], Built]:
    # A copy each time, as tools leave things behind.
    return lambda: (copy.deepcopy(nn.Sequential(*modules)), (torch.randn(shape),))


class Tagger(nn.Module):
    """Embedding, LSTM, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 32)
        self.lstm = nn.LSTM(32, 48, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(96, 10)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.words(words))[0])


TINY: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}

#: Name -> how to build it, with real weights, and its inputs.
MODELS: dict[str, Callable[[], Built]] = {
    **{
        name: picture(name)
        for name in (
            "alexnet vgg11_bn resnet18 resnet50 resnext50_32x4d densenet121 squeezenet1_1 regnet_y_400mf "
            "mobilenet_v2 mobilenet_v3_small mobilenet_v3_large shufflenet_v2_x1_0 mnasnet1_0 efficientnet_b0 "
            "vit_b_32 swin_t swin_v2_t convnext_tiny"
        ).split()
    },
    "googlenet": picture("googlenet", init_weights=False),
    "inception_v3": picture("inception_v3", 299, init_weights=False),
    "fcn_resnet50": picture("fcn_resnet50", 128, weights_backbone=None),
    **{name: timm(name) for name in ("mixer_s32_224", "resmlp_12_224", "deit_tiny_patch16_224", "ghostnet_100")},
    "lstm": lambda: (Tagger(), (torch.randint(0, 100, (2, 12)),)),
    "bert": transformer("bert", **TINY),
    "llama": transformer("llama", **TINY, num_key_value_heads=2),
    "encoder": lambda: (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2),
        (torch.randn(2, 7, 32),),
    ),
    "upsampling": layers(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.GroupNorm(2, 8),
        nn.PReLU(),
        nn.ConvTranspose2d(8, 8, 2, stride=2),
        nn.InstanceNorm2d(8, affine=True),
        nn.LeakyReLU(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.AvgPool2d(2),
        nn.Softmax(1),
        shape=(2, 3, 16, 16),
    ),
}


def build(name: str) -> Built:
    """A model in evaluation mode, the same at every call."""
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    return model.eval(), inputs


def torch_(model: nn.Module, inputs: Inputs) -> tuple[int, None]:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model.to("meta")(*(each.to("meta") for each in inputs))
    return counter.get_total_flops(), None


def fvcore(model: nn.Module, inputs: Inputs) -> tuple[Any, int]:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    analysis = FlopCountAnalysis(model, inputs).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return analysis.total(), parameter_count(model)[""]


def thop(model: nn.Module, inputs: Inputs) -> tuple[Any, Any]:
    import thop

    return thop.profile(model, inputs, verbose=False)


def ptflops(model: nn.Module, inputs: Inputs) -> tuple[Any, Any]:
    from ptflops import get_model_complexity_info

    names = list(inspect.signature(model.forward).parameters)
    return get_model_complexity_info(
        model,
        tuple(inputs[0].shape[1:]),
        as_strings=False,
        print_per_layer_stat=False,
        input_constructor=lambda _: dict(zip(names, inputs, strict=False)),
    )


def torchinfo(model: nn.Module, inputs: Inputs) -> tuple[Any, Any]:
    from torchinfo import summary

    found = summary(model, input_data=inputs, verbose=0)
    return found.total_mult_adds, found.total_params


def torchinfo_sizes(model: nn.Module, inputs: Inputs) -> tuple[int, int, int]:
    """Bytes of inputs, passes and parameters; of inputs without the Python objects of storages, which it adds."""
    from torchinfo import summary

    found = summary(model, input_data=inputs, verbose=0)
    storages = [each.untyped_storage() for each in inputs]
    objects = sum(sys.getsizeof(storage) - storage.nbytes() for storage in storages)
    return found.total_input - objects, found.total_output_bytes, found.total_param_bytes


def deepspeed(model: nn.Module, inputs: Inputs) -> tuple[Any, Any]:
    from deepspeed.profiling.flops_profiler import get_model_profile

    _, macs, params = get_model_profile(model, args=list(inputs), print_profile=False, as_string=False)
    return macs, params


#: Convention -> how to run the tool that it mirrors: its figure and its number of parameters (None: it has none).
TOOLS: dict[str, Callable[[nn.Module, Inputs], tuple[Any, Any]]] = {
    "torch": torch_,
    "fvcore": fvcore,
    "thop": thop,
    "ptflops": ptflops,
    "torchinfo": torchinfo,
    "deepspeed": deepspeed,
}


def torchprofile(model: nn.Module, inputs: Inputs) -> tuple[Any, None]:
    from torchprofile import profile_macs

    return profile_macs(model, inputs), None


def calflops(model: nn.Module, inputs: Inputs) -> tuple[Any, Any]:
    from calflops import calculate_flops

    _, macs, params = calculate_flops(model, tuple(inputs[0].shape), print_results=False, output_as_string=False)
    return macs, params


@contextmanager
def functions_kept() -> Iterator[None]:
    """Restore the functions of torch that a tool replaces to count, and leaves replaced where it fails."""
    owners: tuple[Any, ...] = (nn.functional, torch, torch.Tensor)
    kept = [(owner, dict(vars(owner))) for owner in owners]
    try:
        yield
    finally:
        for owner, before in kept:
            for name, value in before.items():
                if vars(owner).get(name) is not value:
                    setattr(owner, name, value)


def macs_of(count: Callable[[nn.Module, Inputs], tuple[Any, Any]], model: nn.Module, x: torch.Tensor) -> float:
    """What a tool says of a model with one input, in multiply-accumulates: floating-point operations are halved."""
    with functions_kept():
        return float(count(model, (x,))[0]) / (2 if count is torch_ else 1)


#: Name of the package -> how it counts multiply-accumulates: the tools with a mirror, and others.
COUNTERS: dict[str, Callable[[nn.Module, torch.Tensor], float]] = {
    name: partial(macs_of, count)
    for name, count in {**TOOLS, "torchprofile": torchprofile, "calflops": calflops}.items()
}


def measure(tool: str, model: nn.Module, inputs: Inputs) -> dict[str, Any]:
    """What a tool says, or how it fails."""
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            figure, params = TOOLS[tool](model, inputs)
    except Exception as error:  # whatever a tool meets is its result
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:120]}
    whole = figure is not None and int(figure) == figure
    return {"figure": int(figure) if whole else figure, "params": None if params is None else int(params)}


@cache
def trace(name: str) -> Trace:
    """A model, captured once for all conventions."""
    model, inputs = build(name)
    return capture(model, inputs, {})


def priced(convention: str, seen: Trace) -> dict[str, int]:
    """What a convention says of a trace."""
    table = find(convention)
    info = LayerInfo(price(seen, table, expand=expand))
    return {"figure": info.total_macs, "params": info.total_params}


def ours(convention: str, name: str) -> dict[str, int]:
    """What the mirror of a tool says of a model."""
    return priced(convention, trace(name))


def golden(tool: str) -> Any:
    """What was recorded of a tool."""
    return json.loads((GOLDENS / f"{tool}.json").read_text(encoding="utf-8"))


def check(tool: str, name: str, exceptions: Mapping[str, str]) -> None:
    """The mirror of a tool says what the tool said; where an exception is documented, something else."""
    said = golden(tool)["models"][name]
    if "error" in said:
        pytest.skip(f"{tool} fails: {said['error']}")
    found = ours(tool, name)
    if said["params"] is None:  # a tool that counts none
        del said["params"], found["params"]
    if name in exceptions:
        assert found != said, f"{name} is no exception any more: {exceptions[name]}"
    else:
        assert found == said


def require(tool: str) -> None:
    """Skip the test unless a tool is installed, in the version that was recorded."""
    pytest.importorskip(tool, reason=f"{tool} is not installed; the extra 'peers' brings it")
    recorded = golden(tool)["version"]
    if version(tool) != recorded:
        pytest.skip(f"{tool} {version(tool)} is installed, and {recorded} was recorded")


def check_side_by_side(tool: str, name: str) -> None:
    """A tool says what was recorded, if it is installed."""
    require(tool)
    assert measure(tool, *build(name)) == golden(tool)["models"][name]
