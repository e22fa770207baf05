"""Architectures of transformers: the class that a configuration builds, and inputs made for its modality."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from thoplw.capture import capture
from thoplw.errors import InputError, MissingExtraError, UnknownNameError

#: Tokens of text where nobody says how many, seconds of sound, and edge of a picture where the configuration has none.
TOKENS, SECONDS, EDGE = 128, 1, 224


def architecture(name: str) -> tuple[type[nn.Module], Any]:
    """The class of a model without a head, and its configuration.

    It is what ``AutoModel`` gives, as a model type says nothing of the task and most of what a model costs is below its
    head. A configuration that has a model only with a head (``superpoint``) gives that; one of a part of a larger
    model (``siglip_text_model``) gives the class that is built from it.

    Args:
        name: a model type, such as ``llama``, in its default configuration; or a directory with a ``config.json``. Code
            next to that is never run.

    Raises:
        MissingExtraError: transformers is not installed.
        UnknownNameError: there is no such model type or directory.
        InputError: the configuration cannot be read, or no class of transformers is built from it.
    """
    try:
        from transformers import AutoConfig
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    except ModuleNotFoundError as error:
        raise MissingExtraError("transformers", "zoo", f"model 'hf:{name}'") from error
    if Path(name, "config.json").is_file():
        try:
            config = AutoConfig.from_pretrained(name, trust_remote_code=False, local_files_only=True)
        except (ValueError, KeyError, OSError) as error:
            raise InputError(f"cannot use the configuration in {name}: {error}") from error
    elif name in CONFIG_MAPPING:
        config = CONFIG_MAPPING[name](**COMPLETE.get(name, {}))
    else:
        raise UnknownNameError("directory with a config.json, or model type of transformers,", name, CONFIG_MAPPING)
    return _class_for(type(config)), config


def inputs(model: nn.Module, *, seq: int | None = None, batch: int = 1) -> dict[str, Any] | None:
    """Keyword inputs made for what a model takes: text, pictures, video, sound, or several of them.

    Floating-point tensors are on the meta device. Integers are real, as their values steer the model: ids of plain
    tokens, and as many placeholders among them as there are features of a picture or of a sound.

    Args:
        model: from the class and the configuration of :func:`architecture`.
        seq: number of text tokens, placeholders not counted; 128, or what the model can take if that is less.
        batch: number of samples.

    Returns:
        The inputs by name; None when the model needs one that there is no telling how to make.
    """
    sample = Sample(model=model, seq=seq, batch=batch)
    forms = {**FORMS, **SPECIAL.get(sample.config.model_type, {})}
    made: dict[str, Any] = {}
    for name, needed in sample.takes.items():
        form = forms.get(name) or (ONLY_IF_NEEDED.get(name) if needed else None)
        value = form(sample) if form else None
        if value is not None:
            made[name] = value
        elif needed:
            return None
    return _with_placeholders(sample, made)


# -- which class ---------------------------------------------------------------------------------------------------


def _class_for(config_class: type) -> type[nn.Module]:
    from transformers import PreTrainedModel
    from transformers.models.auto import modeling_auto

    heads = (name for name in sorted(vars(modeling_auto)) if name.startswith("MODEL_FOR") and name.endswith("MAPPING"))
    for mapping in ("MODEL_MAPPING", "MODEL_FOR_CAUSAL_LM_MAPPING", *heads):
        with suppress(KeyError, ValueError, TypeError, AttributeError):
            found: Any = getattr(modeling_auto, mapping)[config_class]
            return found[0] if isinstance(found, (tuple, list)) else found  # type: ignore[no-any-return]
    module = config_class.__module__.replace(".configuration_", ".modeling_")
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"transformers has no model that is built from {config_class.__name__}") from error
    built = [
        cls
        for cls in vars(sys.modules[module]).values()
        if isinstance(cls, type) and issubclass(cls, PreTrainedModel) and cls.config_class is config_class
        if cls.forward is not nn.Module.forward
    ]
    if not built:
        raise InputError(f"transformers has no model that is built from {config_class.__name__} alone")
    return next((cls for cls in built if cls.__name__.endswith("Model")), built[0])


# -- what a model takes --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What there is to know when inputs are made.

    Attributes:
        model: whose forward takes them.
        seq: number of text tokens asked for.
        batch: number of samples.
    """

    model: nn.Module
    seq: int | None
    batch: int

    @property
    def config(self) -> Any:
        """The configuration of the model."""
        return self.model.config

    @cached_property
    def takes(self) -> Mapping[str, bool]:
        """Name of each argument of the forward, and whether it has no default."""
        methods = (getattr(self.model, method, None) for method, _ in PLACEHOLDERS.values())
        needed = {getattr(self.model, "main_input_name", "")}
        needed |= {name for method in methods if method for name, must in _arguments(method).items() if must}
        return {name: must or name in needed for name, must in _arguments(self.model.forward).items()}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Such as ``("image", "text")``."""
        stated = getattr(self.model, "input_modalities", ())
        return (stated,) if isinstance(stated, str) else tuple(stated)

    def find(self, *names: str, default: Any = None, among: str = "") -> Any:
        """The first of these attributes that the configuration or one below it has.

        Args:
            names: the best first; only that matters in one configuration.
            default: for when there is none.
            among: configurations below with this in their name are looked at before all others.
        """
        for config in _configs(self.config, among):
            for name in names:
                value = getattr(config, name, None)
                if value is not None:
                    return value
        return default

    @property
    def length(self) -> int:
        """Number of text tokens."""
        limit = self.find(
            "max_position_embeddings", "n_positions", "max_target_positions", default=TOKENS, among="text"
        )
        return self.seq or min(TOKENS, limit if isinstance(limit, int) and limit > 0 else TOKENS)

    @cached_property
    def plain(self) -> int:
        """The id of a token that has no special meaning."""
        special = {
            value
            for config in _configs(self.config)
            for name, value in vars(config).items()
            if isinstance(value, int) and name.endswith(("_id", "_index", "_idx"))
        }
        return next(token for token in range(1, len(special) + 2) if token not in special)

    def floats(self, *shape: int) -> torch.Tensor:
        """A tensor without values."""
        return torch.empty(shape, device="meta")

    def filled(self, value: int, *shape: int) -> torch.Tensor:
        """A real tensor of integers."""
        return torch.full(shape, value)


def _arguments(function: Callable[..., Any]) -> dict[str, bool]:
    """Name of each argument, and whether it has no default."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default is each.empty for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD}


def _configs(config: Any, among: str = "") -> Iterator[Any]:
    """A configuration and all below it, the nearest first."""
    level = [config]
    while level:
        yield from level
        below = [
            (name, value) for each in level for name, value in vars(each).items() if hasattr(value, "to_diff_dict")
        ]
        level = [value for _, value in sorted(below, key=lambda pair: among not in pair[0])]


# -- text ----------------------------------------------------------------------------------------------------------


def _tokens(sample: Sample) -> torch.Tensor:
    return sample.filled(sample.plain, sample.batch, sample.length)


def _ones(sample: Sample) -> torch.Tensor:
    return sample.filled(1, sample.batch, sample.length)


def _boxes(sample: Sample) -> torch.Tensor:
    return torch.tensor([1, 1, 2, 2]).expand(sample.batch, sample.length, 4).clone()


def _hidden(sample: Sample) -> torch.Tensor:
    width = sample.find("hidden_size", "d_model", "embed_dim", "hidden_dim")
    return sample.floats(sample.batch, sample.length, width)


# -- pictures ------------------------------------------------------------------------------------------------------


def _size(sample: Sample) -> tuple[int, int]:
    size = sample.find("image_size", "input_size", "img_size", default=EDGE, among="vision")
    if isinstance(size, Mapping):
        return size["height"], size["width"]
    if hasattr(size, "height"):
        return size.height, size.width
    return (size[0], size[-1]) if isinstance(size, (tuple, list)) else (size, size)


def _channels(sample: Sample) -> int:
    return sample.find("num_channels", "in_channels", "in_chans", "num_image_channels", default=3, among="vision")  # type: ignore[no-any-return]


def _picture(sample: Sample) -> torch.Tensor:
    return sample.floats(sample.batch, _channels(sample), *_size(sample))


def _clip(sample: Sample) -> torch.Tensor:
    frames = sample.find("num_frames", "frames_per_clip", default=8, among="vision")
    return sample.floats(sample.batch, frames, _channels(sample), *_size(sample))


def _grid(sample: Sample) -> tuple[int, int]:
    """Rows and columns of patches in a picture that may have any size: as many as can be merged."""
    patch, merge = _patch(sample), sample.find("spatial_merge_size", default=2, among="vision")
    edge = EDGE // patch // merge * merge
    return edge, edge


def _patch(sample: Sample) -> int:
    patch = sample.find("patch_size", "spatial_patch_size", default=16, among="vision")
    return patch if isinstance(patch, int) else patch[0]


def _patches(sample: Sample) -> torch.Tensor:
    """Pictures cut into patches, those of all samples one after the other."""
    frames = sample.find("temporal_patch_size", default=1, among="vision")
    return sample.floats(sample.batch * prod(_grid(sample)), _channels(sample) * frames * _patch(sample) ** 2)


def _grid_thw(sample: Sample) -> torch.Tensor:
    return torch.tensor([[1, *_grid(sample)]] * sample.batch)


#: An argument that the forward takes as well -> how its pictures are laid out; the last holds for all others.
_PICTURES: tuple[tuple[str, Callable[[Sample], torch.Tensor]], ...] = (
    ("image_grid_thw", _patches),
    ("grid_thw", _patches),
    ("", _picture),
)


def _pictures(sample: Sample) -> torch.Tensor:
    if "video" in sample.modalities and "image" not in sample.modalities:
        return _clip(sample)
    return next(form for also, form in _PICTURES if not also or also in sample.takes)(sample)


def _video(sample: Sample) -> torch.Tensor | None:
    """Only for models of video alone: others see a picture through the same modules."""
    return None if "pixel_values" in sample.takes else _clip(sample)


def _image_sizes(sample: Sample) -> torch.Tensor:
    return torch.tensor([_size(sample)] * sample.batch)


# -- sound ---------------------------------------------------------------------------------------------------------


def _mel(sample: Sample) -> torch.Tensor:
    """A spectrogram: where the length is fixed channels come first, as a convolution takes it."""
    bins = sample.find("num_mel_bins", "input_feat_per_channel", "feature_size", "n_mels", default=80, among="audio")
    positions = sample.find("max_source_positions", among="audio")
    if positions and sample.find("num_mel_bins", among="audio"):
        return sample.floats(sample.batch, bins, 2 * positions)
    return sample.floats(sample.batch, 100 * SECONDS, bins)


def _wave(sample: Sample) -> torch.Tensor:
    samples = sample.find("sampling_rate", "sample_rate", default=16_000) * SECONDS
    channels = sample.find("audio_channels")
    return sample.floats(sample.batch, *([channels] if channels else []), samples)


# -- several -------------------------------------------------------------------------------------------------------

#: Input that is not text -> the method that makes features of it, and attributes that hold the id of the token whose
#: place each feature takes.
PLACEHOLDERS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "pixel_values": ("get_image_features", ("image_token_id", "image_token_index", "media_placeholder_token_id")),
        "pixel_values_videos": ("get_video_features", ("video_token_id", "video_token_index")),
        "input_features": ("get_audio_features", ("audio_token_id", "audio_token_index")),
        "input_values": ("get_audio_features", ("audio_token_id", "audio_token_index")),
    }
)


def _with_placeholders(sample: Sample, made: dict[str, Any]) -> dict[str, Any]:
    """Put a placeholder for every feature in front of the text, one token later as the first is the sign to begin."""
    if "input_ids" not in made:
        return made
    kinds = [torch.zeros_like(made["input_ids"])]
    for name, (method, tokens) in PLACEHOLDERS.items():
        token = sample.find(*tokens)
        if name not in made or token is None or not hasattr(sample.model, method):
            continue
        count = _features(sample.model, method, made) // sample.batch
        ids = made["input_ids"]
        made["input_ids"] = torch.cat([ids[:, :1], sample.filled(token, sample.batch, count), ids[:, 1:]], 1)
        kinds.insert(0, sample.filled(1, sample.batch, count))
    if "mm_token_type_ids" in sample.takes:
        made["mm_token_type_ids"] = torch.cat([kinds[-1][:, :1], *kinds[:-1], kinds[-1][:, 1:]], 1)
    for name in ("attention_mask", "token_type_ids"):
        if name in made:
            made[name] = sample.filled(int(name == "attention_mask"), *made["input_ids"].shape)
    return made


def _features(model: nn.Module, method: str, made: Mapping[str, Any]) -> int:
    """How many features a model makes: it is asked, on abstract tensors."""
    probe = _Probe(model, method)
    takes = _arguments(getattr(model, method))
    trace = capture(probe, (), {name: value for name, value in made.items() if name in takes})
    return sum(prod(spec.shape[:-1]) for spec in trace.outputs)


class _Probe(nn.Module):
    """A method of a model as a model."""

    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self.model = model
        self.method = method

    def forward(self, **made: Any) -> Any:
        features = getattr(self.model, self.method)(**made)
        return getattr(features, "pooler_output", features)


# -- the tables ----------------------------------------------------------------------------------------------------

Form = Callable[[Sample], Any]

#: Argument of a forward -> how to make it. These are made whenever there is such an argument.
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "input_ids": _tokens,
        "decoder_input_ids": _tokens,
        "bbox": _boxes,
        "pixel_values": _pictures,
        "pixel_values_videos": _video,
        "image_grid_thw": _grid_thw,
        "grid_thw": _grid_thw,
        "image_sizes": _image_sizes,
        "input_features": _mel,
        "input_values": _wave,
    }
)

#: The same for arguments that most models can do without.
ONLY_IF_NEEDED: Mapping[str, Form] = MappingProxyType(
    {
        "attention_mask": _ones,
        "hidden_states": lambda sample: _patches(sample) if "grid_thw" in sample.takes else _hidden(sample),
        "inputs_embeds": _hidden,
    }
)

#: Model type -> forms of its own, and the reason.
SPECIAL: Mapping[str, Mapping[str, Form]] = MappingProxyType({})

#: Model type -> what its default configuration leaves to be filled in.
COMPLETE: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
