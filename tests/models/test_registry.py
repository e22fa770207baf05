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


@pytest.mark.parametrize("name", [":build", ".net:build", "my net:build", "models/net:build"])
def test_what_names_no_module(name: str) -> None:
    with pytest.raises(thoplw.InputError, match=r"is no name of a Python module; write package\.module:callable"):
        load(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.pt", r"^model\.pt holds weights, .* name what builds it, as in mypackage\.models:build"),
        ("out/model.safetensors", "holds weights"),
        ("mynet.Kw", r"^mynet\.Kw is no model of torchvision; for Kw of the Python module mynet write mynet:Kw$"),
        ("mynet.py", r"^mynet\.py is a file: write what builds the model after a colon, as in mynet\.py:build$"),
        ("mynet:", "^mynet: names no model; write what builds it after the colon, as in mynet:build$"),
        ("./mynet.py:Kw", r"^unknown file 'mynet\.py'. There is none\.$"),
        ("facebook/opt-125m", "^facebook/opt-125m is no model of a zoo, .* write hf: and a model type, as in hf:llama"),
        ("torch.nn.functional.x:build", r"^torch\.nn\.functional is no package, .*; write torch\.nn\.functional:x for"),
    ],
)
def test_what_is_typed_in_place_of_a_model(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(thoplw.InputError, match=message):
        load(name)


def test_a_folder_with_a_configuration_is_typed_with_hf(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(thoplw.InputError, match=rf"is a folder with a config\.json: write hf:{tmp_path}$"):
        load(str(tmp_path))


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where commands run, with a path and modules that are forgotten later."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    return tmp_path


NET = "from torch import nn\nclass Kw(nn.Linear):\n    def __init__(self): super().__init__(3, {})\n"


@pytest.mark.parametrize(
    "name", ["mynet.py", "./mynet.py", "sub/my-net.py", "{}/sub/my-net.py", "torch.py", "sub/json.py"]
)
def test_a_file_before_the_colon(name: str, folder: Path) -> None:
    path = Path(name.format(folder))
    path.parent.mkdir(exist_ok=True)
    path.write_text(NET.format(5), encoding="utf-8")
    assert load(f"{name.format(folder)}:Kw").model.out_features == 5
    assert load(f"{name.format(folder)}:Kw").model.out_features == 5  # known by now
    assert sys.modules["torch"] is torch


def test_a_file_finds_the_modules_beside_it(folder: Path) -> None:
    Path("sub").mkdir()
    Path("sub/net_helper.py").write_text("SIZE = 7\n", encoding="utf-8")
    Path("sub/net.py").write_text("from net_helper import SIZE\n" + NET.format("SIZE"), encoding="utf-8")
    assert load("sub/net.py:Kw").model.out_features == 7


def test_two_files_of_one_name(folder: Path) -> None:
    for number in (1, 2, 3):
        Path(f"f{number}").mkdir()
        Path(f"f{number}/net.py").write_text(NET.format(number), encoding="utf-8")
    assert [load(f"f{number}/net.py:Kw").model.out_features for number in (1, 2, 3, 1)] == [1, 2, 3, 1]


@pytest.mark.parametrize(
    ("text", "seen"), [("import no_such", "ModuleNotFoundError"), ("raise SystemExit", "SystemExit")]
)
def test_a_file_that_cannot_be_imported(text: str, seen: str, folder: Path) -> None:
    Path("broken_net.py").write_text(text, encoding="utf-8")
    message = rf"^broken_net\.py cannot be imported \({seen}.*make `python broken_net\.py` work first"
    with pytest.raises(thoplw.InputError, match=message):
        load("broken_net.py:Kw")
    assert "broken_net" not in sys.modules


def test_the_current_folder_comes_last_and_for_python_modules_only(folder: Path) -> None:
    Path("mynet.py").write_text(NET.format(5), encoding="utf-8")
    load("resnet18")
    assert str(folder) not in sys.path
    load("mynet:Kw")
    assert sys.path[-1] == str(folder)
