"""Models of torchvision, each with an input of the size that its default weights were made for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from torch import nn

from thoplw.errors import UnknownNameError
from thoplw.models.built import Built, build, empty, zoo


def from_torchvision(name: str, *, batch: int = 1, real: bool = False) -> Built:
    """A model of torchvision; its input has the size that its default weights were made for."""
    models = zoo("torchvision.models", f"model {name!r}")
    if name not in models.list_models():
        raise UnknownNameError("torchvision model", name, models.list_models())
    builder = models.get_model_builder(name)
    # Backbones are downloaded by default, even when the model itself is asked for without weights.
    takes = inspect.signature(builder).parameters
    model = build(lambda: builder(**{key: None for key in ("weights", "weights_backbone") if key in takes}), real)
    # torchvision.models.detection.faster_rcnn -> detection
    task = builder.__module__.split(".")[2]
    return model, _TASK_INPUTS.get(task, _picture)(model, models.get_model_weights(name), batch)


def _picture(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    # Some default weights are for another size than the model is built with by default (vit_h_14).
    size = getattr(model, "image_size", None) or weights.DEFAULT.transforms().crop_size[0]
    return (empty(batch, 3, size, size),)


def _scene(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    (size,) = weights.DEFAULT.transforms().resize_size
    return (empty(batch, 3, size, size),)


def _clip(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    return (empty(batch, 3, 16, *weights.DEFAULT.transforms().crop_size),)


def _pictures(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    # A detector takes a list of pictures and resizes each; this one has the size already.
    resize: Any = model.transform
    height, width = resize.fixed_size or (resize.min_size[-1],) * 2
    return ([empty(3, height, width) for _ in range(batch)],)


def _two_frames(model: nn.Module, weights: Any, batch: int) -> tuple[Any, ...]:
    return empty(batch, 3, 520, 960), empty(batch, 3, 520, 960)


#: Package of torchvision.models -> the default inputs of its models; all others take a picture.
_TASK_INPUTS: MappingProxyType[str, Callable[[nn.Module, Any, int], tuple[Any, ...]]] = MappingProxyType(
    {"detection": _pictures, "optical_flow": _two_frames, "segmentation": _scene, "video": _clip}
)


def names() -> list[str]:
    """Every name, in the order of the alphabet."""
    models: list[str] = zoo("torchvision.models", "the list of torchvision's models").list_models()
    return models
