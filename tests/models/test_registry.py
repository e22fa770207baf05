"""Models by name: built without weights, with the inputs they are meant for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision

import thoplw
from thoplw.models.registry import SOURCES, Loaded, load

Write = Callable[[str], str]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is loaded here may ask for weights."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"asked for weights: {args}")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a Python module and get its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> str:
        name = f"written_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(f"import torch\nfrom torch import nn\n{text}\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def devices(loaded: Loaded) -> set[str]:
    return {weight.device.type for weight in loaded.model.parameters()}


def shapes(inputs: Any) -> list[tuple[int, ...]]:
    """Of all tensors, at any depth."""
    if isinstance(inputs, torch.Tensor):
        assert inputs.device.type == "meta"
        return [tuple(inputs.shape)]
    return [shape for each in inputs for shape in shapes(each)]


@pytest.mark.parametrize("name", torchvision.models.list_models())
def test_every_model_of_torchvision_is_built_without_weights(name: str) -> None:
    loaded = load(name)
    assert loaded.name == name
    assert devices(loaded) == {"meta"}
    assert shapes(loaded.inputs)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", [(1, 3, 224, 224)]),
        ("torchvision:resnet18", [(1, 3, 224, 224)]),
        ("googlenet", [(1, 3, 224, 224)]),
        ("inception_v3", [(1, 3, 299, 299)]),
        ("efficientnet_b7", [(1, 3, 600, 600)]),
        ("vit_h_14", [(1, 3, 224, 224)]),  # its default weights are for 518, but the model is built for 224
        ("fcn_resnet50", [(1, 3, 520, 520)]),
        ("r3d_18", [(1, 3, 16, 112, 112)]),
        ("raft_small", [(1, 3, 520, 960)] * 2),
        ("quantized_resnet18", [(1, 3, 224, 224)]),
        ("timm:resnet18", [(1, 3, 224, 224)]),
        ("timm:resnet50.a1_in1k", [(1, 3, 224, 224)]),
        ("timm:inception_v4", [(1, 3, 299, 299)]),
        ("timm:vit_tiny_patch16_384", [(1, 3, 384, 384)]),
    ],
)
def test_the_input_is_the_one_the_model_is_meant_for(name: str, expected: list[tuple[int, ...]]) -> None:
    loaded = load(name)
    assert shapes(loaded.inputs) == expected
    assert devices(loaded) == {"meta"}
    macs, _, _ = thoplw.profile(loaded.model, loaded.inputs, verbose=False)
    assert macs > 0


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("fasterrcnn_resnet50_fpn", 800),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", 320),
        ("ssd300_vgg16", 300),
    ],
)
def test_a_detector_takes_a_list_of_pictures(name: str, size: int) -> None:
    inputs = load(name).inputs
    assert inputs is not None
    (pictures,) = inputs
    assert isinstance(pictures, list)
    assert shapes(pictures) == [(3, size, size)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", r"unknown torchvision model 'resnet19'. Did you mean 'resnet1"),
        ("", r"unknown torchvision model ''. \d+ are known."),
        ("timm:resnet19", r"unknown timm model 'resnet19'. Did you mean 'resnet1"),
        ("timm:resnet18.a1_in2k", r"unknown timm model 'resnet18.a1_in2k'. Did you mean 'resnet18.a1_in1k'"),
        ("tim:resnet18", r"unknown zoo or Python module 'tim'. Did you mean 'timm'"),
        ("thoplw.apl:profile", r"unknown Python module 'thoplw.apl'. Did you mean 'thoplw.api'"),
        ("thoplw.models.registry.x:load", r"unknown Python module 'thoplw.models.registry.x'"),
        ("thoplw.models.registry:lod", r"unknown name in thoplw.models.registry: 'lod'. Did you mean 'load'\?"),
    ],
)
def test_an_unknown_name_suggests_the_near_ones(name: str, message: str) -> None:
    with pytest.raises(thoplw.UnknownNameError, match=message):
        load(name)


@pytest.mark.parametrize(
    ("package", "name"), [("torchvision", "resnet18"), ("timm", "timm:resnet18"), ("timm", "timm:nosuch")]
)
def test_a_missing_zoo_says_what_to_install(package: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(thoplw.MissingExtraError, match=rf"{name}' needs {package}.*pip install 'thoplw\[zoo\]'"):
        load(name)


def test_every_zoo_is_an_optional_package() -> None:
    assert sorted(SOURCES) == list(SOURCES)
    assert timm.__name__ in SOURCES
    assert torchvision.__name__ in SOURCES


# -- Python modules ---------------------------------------------------------------------------------------------------


def test_a_callable_is_called_without_allocating_weights(module: Write) -> None:
    name = module("def build(): return nn.Linear(3, 4)")
    loaded = load(f"{name}:build")
    assert devices(loaded) == {"meta"}
    assert loaded.inputs is None


def test_a_class_is_a_callable_too(module: Write) -> None:
    name = module("class Net(nn.Linear):\n    def __init__(self): super().__init__(3, 4)")
    assert type(load(f"{name}:Net").model).__name__ == "Net"


def test_a_module_is_taken_as_it_is(module: Write) -> None:
    name = module("net = nn.Linear(3, 4)")
    loaded = load(f"{name}:net")
    assert loaded.model is sys.modules[name].net
    assert devices(loaded) == {"cpu"}


def test_a_builder_that_computes_sizes_still_allocates_no_weights(module: Write) -> None:
    name = module("def build(): return nn.Linear(int(torch.arange(4)[-1].item()), 10)")
    loaded = load(f"{name}:build")
    assert loaded.model.in_features == 3
    assert devices(loaded) == {"meta"}


def test_a_builder_that_computes_sizes_with_numpy_still_allocates_no_weights(module: Write) -> None:
    name = module("def build(): return nn.Linear(int(torch.linspace(1, 3, 5).numpy()[-1]), 10)")
    loaded = load(f"{name}:build")
    assert loaded.model.in_features == 3
    assert devices(loaded) == {"meta"}


def test_a_builder_that_reads_weights_gets_them(module: Write) -> None:
    name = module("def build():\n    net = nn.Linear(3, 4)\n    net.scale = net.weight.max().item()\n    return net")
    assert devices(load(f"{name}:build")) == {"cpu"}


def test_the_default_device_is_as_before(module: Write) -> None:
    load(f"{module('def build(): return nn.Linear(3, 4)')}:build")
    assert torch.empty(1).device.type == "cpu"


def test_a_builder_that_warns(module: Write) -> None:
    name = module("import warnings\ndef build():\n    warnings.warn('no weights')\n    return nn.Linear(3, 4)")
    load(f"{name}:build")


def test_errors_of_the_builder_come_through(module: Write) -> None:
    name = module("def build(): raise KeyError('mine')")
    with pytest.raises(KeyError, match="mine"):
        load(f"{name}:build")
    name = module("def build(): raise RuntimeError('mine')")
    with pytest.raises(RuntimeError, match="mine"):
        load(f"{name}:build")


def test_a_module_that_lacks_a_dependency_is_not_an_unknown_module(module: Write) -> None:
    name = module("import no_such_dependency")
    with pytest.raises(thoplw.InputError, match=r"cannot be imported .*'no_such_dependency'") as caught:
        load(f"{name}:build")
    assert not isinstance(caught.value, thoplw.UnknownNameError)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("def build(:", "SyntaxError: invalid syntax"),
        ("weights = open('no-such-file')", "FileNotFoundError: .*no-such-file"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_a_module_that_cannot_be_imported(text: str, seen: str, module: Write) -> None:
    name = module(text)
    with pytest.raises(thoplw.InputError, match=rf"{name} cannot be imported \({seen}.*python -c 'import {name}'"):
        load(f"{name}:build")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build(): return 3", "build gives int, not a torch.nn.Module"),
        ("build = 'resnet'", "build gives str, not a torch.nn.Module"),
        ("def build(size): return nn.Linear(size, size)", "build cannot be called without arguments .*'size'"),
    ],
)
def test_what_gives_no_module(text: str, message: str, module: Write) -> None:
    with pytest.raises(thoplw.InputError, match=message):
        load(f"{module(text)}:build")


@pytest.mark.parametrize("name", ["models/net.py:build", ":build", ".net:build", "my net:build"])
def test_what_names_no_module(name: str) -> None:
    with pytest.raises(thoplw.InputError, match=r"is no name of a Python module; write package\.module:callable"):
        load(name)
