"""From a name to a model without weights, and what to run it on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from thoplw.capture.nesting import map_tensors
from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.models import timm, torchvision
from thoplw.models.built import Built, Inputs, require_room
from thoplw.models.hf import zoo as hf
from thoplw.models.python import from_python


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model by name.

    Attributes:
        name: as it was asked for.
        model: on the meta device, unless it could only be built with weights.
        inputs: positional inputs, or keyword inputs by name; floating-point tensors are on the meta device. None if
            they are unknown, as for a model from a Python module.
    """

    name: str
    model: nn.Module
    inputs: Inputs


def load(name: str, real: bool = False, **options: int) -> Loaded:
    """Build a model without weights, and the zoo's own default input for it.

    Args:
        name: ``resnet18`` (torchvision), ``timm:vit_base_patch16_224``, or ``package.module:callable`` or
            ``path/to/file.py:callable`` for any callable that takes no arguments and returns a module; ``hf:llama`` (a
            model type of transformers), or ``hf:directory`` with a ``config.json`` in it.
        real: allocate random weights, and inputs of zeros, for a run with ``execute=True``.
        options: ``batch``, the number of samples, for models of a zoo; ``seq``, the number of text tokens, for ``hf:``.

    Raises:
        UnknownNameError: there is no such model, zoo or Python module.
        MissingExtraError: the zoo is not installed.
        InputError: the Python module cannot be imported, the callable needs arguments or returned something else than
            a module, the zoo does not take the options, or real weights of a zoo's model do not fit into memory.
    """
    source, rest = _split(name)
    build = SOURCES[source].build if source in SOURCES else partial(from_python, source, zoos=tuple(SOURCES))
    unfit = [option for option in options if option not in inspect.signature(build).parameters]
    if unfit:
        who = "hf: models" if "seq" in unfit else "models of a zoo"
        raise InputError(f"{' and '.join(unfit)}: only for {who}; for {name}, give the shapes of its inputs instead")
    if real and source in SOURCES:
        require_room(build(rest)[0])
    try:
        model, inputs = build(rest, real=real, **options)
    except UnknownNameError as error:
        elsewhere = _spelled(rest) if name == rest and source == "torchvision" else []
        if not elsewhere:
            raise
        raise InputError(f"{name} is not a model of torchvision: write {' or '.join(elsewhere)}") from error
    return Loaded(name=name, model=model, inputs=map_tensors(inputs, _zeros) if real else inputs)


def _spelled(name: str) -> list[str]:
    """How to write the same name in lower case, in every zoo that has it and is installed; torchvision first."""
    found = []
    for zoo in SOURCES:
        prefix = "" if zoo == "torchvision" else f"{zoo}:"
        with suppress(MissingExtraError):
            found += [f"{prefix}{each}" for each in SOURCES[zoo].names() if each == name.lower()]
    return sorted(found, key=len)


def of_zoo(name: str) -> bool:
    """Whether a name is of a model of a zoo, which has inputs of its own, and not of Python; no model is built."""
    return _split(name)[0] in SOURCES


def load_generating(name: str) -> nn.Module:
    """Build a model without weights that generates, of ``hf:`` the one with a head; raises what :func:`load` does."""
    source, rest = _split(name)
    return hf.that_generates(rest) if source == "hf" else load(name).model


def _split(name: str) -> tuple[str, str]:
    """``timm:resnet18`` as zoo and name, ``resnet18`` as torchvision's, ``./net.py:Net`` as file and callable.

    Raises:
        InputError: it is a file or a dotted name without a colon; the message has what to type instead.
    """
    source, colon, rest = name.partition(":")
    if source in SOURCES:
        return source, rest
    if colon:
        before, _, after = name.rpartition(":")
        return before, after
    path = Path(name)
    if path.suffix.lower() == ".py":
        raise InputError(
            f"{name} is a file: add a colon and the function or class in it that builds the model, as in {name}:build"
        )
    if path.suffix in _WEIGHTS:
        raise InputError(
            f"{name} is a file of weights, which thoplw does not need: name the function or class that builds "
            "the model, as in mypackage.models:build or path/to/file.py:build. If the file holds the whole model, "
            f"path/to/file.py:model names it where file.py says {_WHOLE.get(path.suffix, _LOADED).format(name)}"
        )
    if path.name == "config.json":
        raise InputError(f"{name} is a configuration: name its folder, hf:{path.parent}")
    if path.suffix == ".json":
        raise InputError(f"{name} is not a model; thoplw diff and thoplw check --baseline read saved profiles")
    if (path / "config.json").is_file():
        raise InputError(f"{name} is a folder with a config.json: write hf:{name}")
    if (package := name.rstrip("/")) and (path / "__init__.py").is_file():
        raise InputError(
            f"{name} is a Python package: add a colon and the function or class in it that builds the model, as in "
            f"{package.removeprefix('./').replace('/', '.')}:build"
        )
    if name and path.is_dir():
        raise InputError(
            f"{name} is a folder without a config.json, which is what thoplw reads: name the function or class that "
            "builds the model, as in path/to/file.py:build"
        )
    if name and path.with_name(f"{path.name}.py").is_file():
        raise InputError(
            f"{name} is not a model of torchvision; for the function or class that builds the model in {name}.py "
            f"write {name}.py:build"
        )
    zoo, slash, inner = name.partition("/")
    if slash and zoo in SOURCES:
        raise InputError(f"{name} is not the name of a model: write {zoo}:{inner}")
    if "/" in name:
        raise InputError(
            f"{name} is not the name of a model, and thoplw downloads nothing: write hf: and a model type, as in "
            "hf:llama, or hf: and a folder with a config.json"
        )
    package, dot, inner = name.rpartition(".")
    if dot and inner and name.replace(".", "").isidentifier():
        raise InputError(
            f"{name} is not a model of torchvision; for {inner} in the Python module {package} write {package}:{inner}"
        )
    return "torchvision", name


#: How a file is loaded that holds more than weights, in Python: by the ending, and by default.
_WHOLE = MappingProxyType({".pt2": "model = torch.export.load({!r}).module()"})
_LOADED = "model = torch.load({0!r}, weights_only=False), or torch.jit.load({0!r}) if TorchScript wrote it"

#: Endings of files that hold weights, or exported programs, which thoplw does not read.
_WEIGHTS = frozenset({".bin", ".ckpt", ".gguf", ".h5", ".onnx", ".pkl", ".pt", ".pt2", ".pth", ".safetensors"})


def names(zoo: str, *words: str) -> list[str]:
    """The models of a zoo that have all of some words in their names, as :func:`load` takes them.

    Args:
        zoo: a name in :data:`SOURCES`, which may be one of the words as well.
        words: in upper or lower case.

    Raises:
        MissingExtraError: the zoo is not installed.
    """
    prefix = "" if zoo == "torchvision" else f"{zoo}:"
    wanted = [word.lower() for word in words]
    return [
        f"{prefix}{name}" for name in SOURCES[zoo].names() if all(word in f"{zoo}:{name}".lower() for word in wanted)
    ]


def available(*words: str) -> tuple[list[str], list[MissingExtraError]]:
    """The matching models of all installed zoos, and an error for each zoo that is not installed.

    Raises:
        MissingExtraError: no zoo is installed.
    """
    found: list[str] = []
    missing = []
    for zoo in reversed(SOURCES):
        try:
            found += names(zoo, *words)
        except MissingExtraError as error:
            missing.append(error)
    if len(missing) == len(SOURCES):
        raise missing[0]
    return found, missing


def _zeros(tensor: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoo:
    """A library that has models by name.

    Attributes:
        build: from a name, without the prefix, to a model and its inputs.
        names: all names, in the order of the alphabet.
    """

    build: Callable[..., Built]
    names: Callable[[], list[str]]


#: Prefix -> zoo. A name without a prefix is torchvision's; any other prefix is a Python module.
SOURCES: MappingProxyType[str, Zoo] = MappingProxyType(
    {
        "hf": Zoo(build=hf.from_hf, names=hf.names),
        "timm": Zoo(build=timm.from_timm, names=timm.names),
        "torchvision": Zoo(build=torchvision.from_torchvision, names=torchvision.names),
    }
)
