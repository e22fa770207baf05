"""A name leads to its zoo, or to an error that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import timm
import torchvision

import thoplw
from thoplw.errors import InputError
from thoplw.models.registry import SOURCES, load


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", r"unknown torchvision model 'resnet19'. Did you mean 'resnet1"),
        ("", r"unknown torchvision model ''. None of the \d+ known names is similar$"),
        ("timm:resnet19", r"unknown timm model 'resnet19'. Did you mean 'resnet1"),
        ("timm:resnet18.a1_in2k", r"unknown timm model 'resnet18.a1_in2k'. Did you mean 'resnet18.a1_in1k'"),
        ("tim:resnet18", r"unknown zoo or Python module 'tim'. Did you mean 'timm'"),
        ("thoplw.apl:profile", r"unknown Python module 'thoplw.apl'. Did you mean 'thoplw.api'"),
        ("thoplw.models.registry:lod", r"unknown name in thoplw.models.registry: 'lod'. Did you mean 'load'"),
    ],
)
def test_an_unknown_name_suggests_the_near_ones(name: str, message: str) -> None:
    with pytest.raises(thoplw.UnknownNameError, match=message):
        load(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("base.json", r"^base\.json is not a model; thoplw diff and thoplw check --baseline read saved profiles$"),
        ("llama/config.json", r"^llama/config\.json is a configuration: name its folder, hf:llama$"),
    ],
)
def test_a_file_of_json_is_no_module_of_python(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(name)


@pytest.mark.parametrize(
    ("name", "instead"),
    [("bert", "hf:bert"), ("vit_base_patch16_224", "timm:vit_base_patch16_224"), ("timm/resnet18", "timm:resnet18")],
)
def test_a_model_of_another_zoo_is_typed_with_its_name(name: str, instead: str) -> None:
    with pytest.raises(InputError, match=f": write {instead}$"):
        load(name)


def test_a_model_of_the_hub_is_a_folder_with_its_configuration() -> None:
    with pytest.raises(thoplw.UnknownNameError, match=r"Did you mean 'llama'\? thoplw downloads nothing"):
        load("hf:meta-llama/Llama-2-7b")
    with pytest.raises(thoplw.UnknownNameError, match=r"is similar\. thoplw downloads nothing"):
        load("hf:/qqq")
    with pytest.raises(InputError, match=r"^the folder \. has no config\.json"):
        load("hf:.")


@pytest.mark.parametrize(
    ("package", "name"), [("torchvision", "resnet18"), ("timm", "timm:resnet18"), ("timm", "timm:nosuch")]
)
def test_a_missing_zoo_says_what_to_install(package: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(thoplw.MissingExtraError, match=rf"{name}' needs {package}.*pip install {package}"):
        load(name)


def test_every_zoo_is_an_optional_package() -> None:
    assert sorted(SOURCES) == list(SOURCES)
    assert timm.__name__ in SOURCES
    assert torchvision.__name__ in SOURCES


def test_capitals_are_told_to_be_small() -> None:
    with pytest.raises(InputError, match=r"^ResNet18 is not a model of torchvision: write resnet18\b"):
        load("ResNet18")


@pytest.mark.parametrize("name", ["resnet18", "timm:resnet18", "torch.nn:Identity"])
def test_other_zoos_take_shapes(name: str) -> None:
    with pytest.raises(InputError, match="seq: only for hf: models"):
        load(name, seq=3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "model.pt",
            r"^model\.pt is a file of weights, .* class that builds the model, as in mypackage\.models:build",
        ),
        ("out/model.safetensors", "is a file of weights"),
        ("mynet.Kw", r"^mynet\.Kw is not a model of torchvision; for Kw in the Python module mynet write mynet:Kw$"),
        (
            "mynet.py",
            r"^mynet\.py is a file: add a colon and the function or class .* as in mynet\.py:build$",
        ),
        ("mynet:", "^mynet: names no model; add a function or class that builds one, as in mynet:build$"),
        ("./mynet.py:Kw", r"^there is no file mynet\.py, and no other Python file in its folder$"),
        (
            "facebook/opt-125m",
            "^facebook/opt-125m is not the name of a model, .* write hf: and a model type, as in hf:llama",
        ),
        (
            "torch.nn.functional.x:build",
            r"^torch\.nn\.functional is not a package, .*; write torch\.nn\.functional:x for",
        ),
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


def test_weights_that_do_not_fit_are_refused_before_they_are_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = 4 * 11_689_512 + 4 * 9_600 + 8 * 20  # parameters, statistics of norms, and how many batches these saw
    monkeypatch.setattr("thoplw.models.built.free_memory", lambda: weights - 1)
    with pytest.raises(InputError, match=r"weights of ResNet need 46\.80 MB, and 46\.80 MB of memory are free: run"):
        load("resnet18", real=True)
    assert load("resnet18").model.fc.weight.is_meta
    for enough in (weights, None):
        monkeypatch.setattr("thoplw.models.built.free_memory", lambda free=enough: free)
        assert not load("resnet18", real=True).model.fc.weight.is_meta
