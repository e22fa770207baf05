"""Models by name at other sizes than their own: batch, number of text tokens, resolution of pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.errors import InputError
from thoplw.models.built import Inputs, build, empty, zoo
from thoplw.models.hf.architecture import architecture
from thoplw.models.hf.inputs import inputs as hf_inputs
from thoplw.models.hf.offline import offline
from thoplw.models.hf.sample import Sample
from thoplw.models.registry import load

#: The last sizes that are tried, unless the model takes less.
MOST_BATCH, MOST_TOKENS = 64, 2048

#: Pictures are halved five times in most networks.
_HALVED = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalable:
    """A model that can be had at several sizes.

    Attributes:
        name: as :func:`~thoplw.models.registry.load` takes it.
        own: variable -> the size that it has by default.
        ranges: variable -> its sizes, the ranges to try in this order: a model may not run at all sizes of the first.
        model: builds it for a resolution; None stands for its own.
        inputs: makes inputs for the model of a resolution, from a size for each variable.
    """

    name: str
    own: Mapping[str, int]
    ranges: Mapping[str, tuple[range, ...]]
    model: Callable[[int | None], nn.Module]
    inputs: Callable[..., Inputs]


def scalable(name: str) -> Scalable:
    """A model of a zoo, with the variables on which its default inputs depend: ``batch``, ``seq``, ``resolution``.

    A picture of another resolution is square. Where a model is built for one resolution, it is built anew for each.

    Raises:
        InputError: the model has no default inputs.
        Exception: what loading raises comes through.
    """
    if name.startswith("hf:"):
        return _of_hf(name)
    loaded = load(name)
    _require_inputs(name, loaded.inputs)
    ranges: dict[str, tuple[range, ...]] = {"batch": (_batch(),)}
    edge = next((each.shape[-1] for each in tensors_in(loaded.inputs) if each.ndim > 3), None)
    own = {"batch": 1}
    if edge is not None:
        own["resolution"] = edge
        ranges["resolution"] = tuple(_resolutions(edge, loaded.model))

    def model(resolution: int | None) -> nn.Module:
        return loaded.model if resolution in (None, edge) else _rebuilt(name, resolution) or loaded.model

    def inputs(batch: int = 1, resolution: int | None = None) -> Inputs:
        return _enlarged(loaded.inputs, batch, resolution)

    return Scalable(name=name, own=own, ranges=ranges, model=_kept(model), inputs=inputs)


def _require_inputs(name: str, inputs: Inputs) -> None:
    if inputs is None:
        raise InputError(
            f"{name} has no default inputs: give the shape of each, with variables in it, and the sizes of these, as "
            "in --input B,3,R,R --vars B=1:64,R=32:512:32"
        )


def _kept(model: Callable[[int | None], nn.Module]) -> Callable[[int | None], nn.Module]:
    """Build a model once for each resolution; one that has weights with values is not kept, as they take memory."""
    known: dict[int | None, nn.Module] = {}

    def kept(resolution: int | None) -> nn.Module:
        if resolution not in known:
            found = model(resolution)
            if all(weight.is_meta for weight in found.parameters()):
                known[resolution] = found
            return found
        return known[resolution]

    return kept


def _rebuilt(name: str, resolution: int | None) -> nn.Module | None:
    """A model of torchvision or timm that is built for a resolution; None where it takes any."""
    try:
        if name.startswith("timm:"):
            timm = zoo("timm", f"model {name!r}")
            options: dict[str, Any] = {"img_size": resolution, "pretrained": False}
            found = build(lambda: timm.create_model(name.removeprefix("timm:"), **options), False)
        else:
            builder = zoo("torchvision.models", f"model {name!r}").get_model_builder(name)
            sized = next((each for start, each in _SIZED.items() if name.startswith(start)), None)
            found = sized and build(lambda: builder(weights=None, **sized(resolution)), False)
    except TypeError:  # it takes no such argument, as it is built for any
        return None
    return found if isinstance(found, nn.Module) else None


#: How names of torchvision's models begin that are built for one resolution -> the argument that says so.
_SIZED: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "vit_": lambda resolution: {"image_size": resolution},
    "maxvit": lambda resolution: {"input_size": (resolution, resolution)},
}


def _enlarged(inputs: Inputs, batch: int, resolution: int | None) -> Inputs:
    """Inputs of one sample as those of several, with pictures of another resolution."""

    def enlarged(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim < 4:
            return tensor
        sides = tensor.shape[-2:] if resolution is None else (resolution, resolution)
        return empty(batch, *tensor.shape[1:-2], *sides)

    found: Inputs = map_tensors(inputs, enlarged)
    if isinstance(found, tuple) and len(found) == 1 and isinstance(found[0], list):  # pictures for a detector
        return (found[0] * batch,)
    return found


def _of_hf(name: str) -> Scalable:
    """A model of transformers; its inputs tell on which sizes they depend."""
    with offline(name.removeprefix("hf:")):
        cls, config = architecture(name.removeprefix("hf:"))

    @_kept
    def model(resolution: int | None) -> nn.Module:
        if resolution is None:
            return load(name).model
        other = copy.deepcopy(config)
        _set_resolution(other, resolution)
        with offline(name):
            found: nn.Module = build(lambda: cls(other), False)
        return found

    def inputs(batch: int = 1, seq: int | None = None, resolution: int | None = None) -> Inputs:
        return hf_inputs(model(resolution), seq=seq, batch=batch)

    first, own = model(None), {"batch": 1}
    _require_inputs(name, inputs())
    ranges: dict[str, tuple[range, ...]] = {"batch": (_batch(),)}
    if _shapes(inputs(seq=16)) != _shapes(inputs(seq=24)):
        most = MOST_TOKENS
        limit = Sample(model=first, seq=None, batch=1).find(
            "max_position_embeddings", "n_positions", "max_target_positions", default=most, among="text"
        )
        if isinstance(limit, int) and limit > 0:
            most = min(most, limit)
        own["seq"] = Sample(model=first, seq=None, batch=1).length
        # A model may need a few positions, or many, besides those of its tokens, or take only whole blocks of these.
        tries = range(1, most + 1), range(1, most - most % 8 + 1), range(1, most // 2 + 1), range(64, most + 1, 64)
        ranges["seq"] = tuple(sizes for sizes in dict.fromkeys(tries) if len(sizes) > 8)
    else:
        edge = _set_resolution(copy.deepcopy(config), 0)
        if edge and any(each.shape[-1] == edge for each in tensors_in(inputs()) if each.ndim > 3):
            own["resolution"] = edge
            ranges["resolution"] = tuple(_resolutions(edge, first))
    return Scalable(name=name, own=own, ranges=ranges, model=model, inputs=inputs)


def _set_resolution(config: Any, resolution: int) -> int | None:
    """Set the size of pictures in a configuration, and those in it; returns the one that it had, if it was square."""
    own = None
    for each in (config, *(value for value in vars(config).values() if hasattr(value, "to_diff_dict"))):
        for key in ("image_size", "input_size", "img_size"):
            if isinstance(getattr(type(each), key, None), property):
                continue  # it follows from something else
            value = getattr(each, key, None)
            if type(value) is int:
                own = value
                setattr(each, key, resolution)
            elif isinstance(value, (list, tuple)) and len(value) == 2 and value[0] == value[1]:
                own = value[0]
                setattr(each, key, [resolution, resolution])
    return own


def _shapes(inputs: Inputs) -> list[tuple[int, ...]]:
    return [tuple(each.shape) for each in tensors_in(inputs)]


def _batch() -> range:
    return range(1, MOST_BATCH + 1)


def _resolutions(own: int, model: nn.Module) -> Iterator[range]:
    """Resolutions to try, from about half of a model's own on, which is always among them.

    They are a large patch apart, or as much as five or seven halvings; of a model with windows, whose number must be
    whole, its own size.
    """
    known = [vars(each) for each in model.modules()]
    patches = [each["patch_size"] for each in known if each.get("patch_size")]
    patch = next((each[0] if isinstance(each, (tuple, list)) else each for each in patches), 1)
    windows = any("window" in name or "partition" in name for each in known for name in each)
    steps = [patch] if isinstance(patch, int) and patch >= 8 else []
    steps += [own, _HALVED, 4 * _HALVED] if windows else [_HALVED, 4 * _HALVED, own]
    for step in dict.fromkeys(steps):
        first = own - (own // 2 // step * step)
        yield range(first, max(3 * own, first + 7 * step), step)
