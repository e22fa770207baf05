"""From a name to a model without weights, and what to run it on."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType, ModuleType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from thoplw import hf
from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.nesting import map_tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model by name.

    Attributes:
        name: as it was asked for.
        model: on the meta device, unless it could only be built with weights.
        inputs: positional inputs, or keyword inputs by name; floating-point tensors are on the meta device. None when
            there is no telling.
    """

    name: str
    model: nn.Module
    inputs: Inputs


def load(name: str, real: bool = False, **options: int) -> Loaded:
    """Build a model without weights, and the zoo's own default input for it.

    Args:
        name: ``resnet18`` (torchvision), ``timm:vit_base_patch16_224``, or ``package.module:callable`` for any callable
            that takes no arguments and returns a module; ``hf:llama`` (a model type of transformers), or
            ``hf:directory`` with a ``config.json`` in it.
        real: allocate random weights, and inputs of zeros, for a run with ``execute=True``.
        options: ``batch``, the number of samples, for models of a zoo; ``seq``, the number of text tokens, for ``hf:``.

    Raises:
        UnknownNameError: there is no such model, zoo or Python module.
        MissingExtraError: the zoo is not installed.
        InputError: the Python module cannot be imported, the callable needs arguments or returned something else than
            a module, or the zoo does not take the options.
    """
    source, colon, rest = name.partition(":")
    if not colon:
        source, rest = "torchvision", name
    build = SOURCES[source].build if source in SOURCES else partial(from_python, source)
    unfit = [option for option in options if option not in inspect.signature(build).parameters]
    if unfit:
        who = "hf: models" if "seq" in unfit else "models of a zoo"
        raise InputError(f"{' and '.join(unfit)}: only for {who}; give the shapes that {name} takes instead")
    model, inputs = build(rest, real=real, **options)
    return Loaded(name=name, model=model, inputs=map_tensors(inputs, _zeros) if real else inputs)


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
    """The same of all zoos that are installed, and what is wrong with those that are not.

    Raises:
        MissingExtraError: none is installed.
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


Inputs = tuple[Any, ...] | dict[str, Any] | None
Built = tuple[nn.Module, Inputs]


def from_torchvision(name: str, *, batch: int = 1, real: bool = False) -> Built:
    """A model of torchvision; its input has the size that its default weights were made for."""
    models = _zoo("torchvision.models", f"model {name!r}")
    if name not in models.list_models():
        raise UnknownNameError("torchvision model", name, models.list_models())
    builder = models.get_model_builder(name)
    # Backbones are downloaded by default, even when the model itself is asked for without weights.
    takes = inspect.signature(builder).parameters
    model = _build(lambda: builder(**{key: None for key in ("weights", "weights_backbone") if key in takes}), real)
    # torchvision.models.detection.faster_rcnn -> detection
    task = builder.__module__.split(".")[2]
    return model, _TASK_INPUTS.get(task, _picture)(model, models.get_model_weights(name), batch)


def _picture(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    # Some default weights are for another size than the model is built with by default (vit_h_14).
    size = getattr(model, "image_size", None) or weights.DEFAULT.transforms().crop_size[0]
    return (_empty(batch, 3, size, size),)


def _scene(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    (size,) = weights.DEFAULT.transforms().resize_size
    return (_empty(batch, 3, size, size),)


def _clip(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    return (_empty(batch, 3, 16, *weights.DEFAULT.transforms().crop_size),)


def _pictures(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    # A detector takes a list of pictures and resizes each; this one has the size already.
    resize: Any = model.transform
    height, width = resize.fixed_size or (resize.min_size[-1],) * 2
    return ([_empty(3, height, width) for _ in range(batch)],)


def _two_frames(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    return _empty(batch, 3, 520, 960), _empty(batch, 3, 520, 960)


#: Package of torchvision.models -> the default inputs of its models; all others take a picture.
_TASK_INPUTS: MappingProxyType[str, Callable[[nn.Module, Any, int], tuple[Any, ...]]] = MappingProxyType(
    {"detection": _pictures, "optical_flow": _two_frames, "segmentation": _scene, "video": _clip}
)


def from_timm(name: str, *, batch: int = 1, real: bool = False) -> Built:
    """A model of timm; its input has the size in its configuration."""
    timm = _zoo("timm", f"model 'timm:{name}'")
    if not timm.is_model(name):
        raise UnknownNameError("timm model", name, timm.list_models())
    try:
        timm.get_pretrained_cfg(name)  # What follows the point names weights, which is_model does not look at.
    except RuntimeError as error:
        raise UnknownNameError("timm model", name, timm.list_pretrained()) from error
    model = _build(lambda: timm.create_model(name, pretrained=False), real)
    size = getattr(model, "default_cfg", {}).get("input_size")
    return model, size and (_empty(batch, *size),)


def from_hf(name: str, *, seq: int | None = None, batch: int = 1, real: bool = False) -> Built:
    """A model of transformers in a configuration, with inputs made for its modality."""
    cls, config = hf.architecture(name)
    # Best, only weights lose their values: there are models that keep strides and paddings in buffers.
    model = _build(lambda: cls(config), real, _WeightsOnMeta(), torch.device("meta"))
    return model, hf.inputs(model, seq=seq, batch=batch)


def from_python(module: str, name: str, *, real: bool = False) -> Built:
    """What a callable in a Python module returns."""
    if not all(part.isidentifier() for part in module.split(".")):
        raise InputError(f"{module!r} is no name of a Python module; write package.module:callable")
    found = getattr(_import(module), name, None)
    if found is None:
        raise UnknownNameError(f"name in {module}:", name, vars(sys.modules[module]))
    model = found if isinstance(found, nn.Module) or not callable(found) else _call(found, f"{module}:{name}", real)
    if not isinstance(model, nn.Module):
        raise InputError(f"{module}:{name} gives {type(model).__name__}, not a torch.nn.Module")
    return model, None


def _call(builder: Callable[..., Any], name: str, real: bool) -> Any:
    try:
        inspect.signature(builder).bind()
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be called without arguments ({error}); name a function that can") from error
    return _build(builder, real)


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not f"{module}.".startswith(f"{missing}."):
            raise _broken(module, error) from error  # The module is there; what it imports is not.
        parent = missing.rpartition(".")[0]
        searched = getattr(sys.modules[parent], "__path__", ()) if parent else None
        known = [each.name for each in pkgutil.iter_modules(searched, f"{parent}." if parent else "")]
        if parent:
            raise UnknownNameError("Python module", missing, known) from error
        raise UnknownNameError("zoo or Python module", missing, {*known, *SOURCES}) from error
    except (Exception, SystemExit) as error:  # A script without a main guard may end the process.
        raise _broken(module, error) from error


def _broken(module: str, error: BaseException) -> InputError:
    seen = f"{type(error).__name__}: {error}"
    return InputError(f"{module} cannot be imported ({seen}); make `python -c 'import {module}'` work first")


def _build(builder: Callable[[], Any], real: bool, *ways: AbstractContextManager[Any]) -> Any:
    """Call without allocating weights, unless they are asked for, in the thriftiest way that the builder bears."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # They are about weights that nobody asked for.
        for without_weights in () if real else ways or (torch.device("meta"), _WeightsOnMeta()):
            with suppress(Exception), without_weights:
                return builder()
        return builder()


class _WeightsOnMeta(TorchFunctionMode):
    """Weights alone on the meta device, for builders that compute sizes or rates with tensors (RegNet's widths)."""

    CREATE_WEIGHTS = frozenset({torch.empty, torch.ones, torch.rand, torch.randn, torch.zeros})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.CREATE_WEIGHTS and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def _empty(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def _zeros(tensor: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor


# -- the zoos --------------------------------------------------------------------------------------------------------


def _zoo(module: str, purpose: str) -> Any:
    """A module of an optional package."""
    package = module.partition(".")[0]
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtraError(package, "zoo", purpose) from error
    return importlib.import_module(module)


def _torchvision_names() -> list[str]:
    models: list[str] = _zoo("torchvision.models", "its list of models").list_models()
    return models


def _timm_names() -> list[str]:
    models: list[str] = _zoo("timm", "its list of models").list_models()
    return models


def _hf_names() -> list[str]:
    return sorted(_zoo("transformers.models.auto.configuration_auto", "its list of models").CONFIG_MAPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoo:
    """Where models have names.

    Attributes:
        build: from a name, without the prefix, to a model and its inputs.
        names: all names, in the order of the alphabet.
    """

    build: Callable[..., Built]
    names: Callable[[], list[str]]


#: Prefix -> zoo. A name without a prefix is torchvision's; any other prefix is a Python module.
SOURCES: MappingProxyType[str, Zoo] = MappingProxyType(
    {
        "hf": Zoo(build=from_hf, names=_hf_names),
        "timm": Zoo(build=from_timm, names=_timm_names),
        "torchvision": Zoo(build=from_torchvision, names=_torchvision_names),
    }
)
