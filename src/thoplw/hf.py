"""Architectures of transformers: the class that a configuration builds, and inputs made for its modality."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import nn

from thoplw.capture import capture
from thoplw.errors import InputError, MissingExtraError, UnknownNameError

#: Tokens of text where nobody says how many, frames of a spectrogram (a hundredth of a second each), and the edge of a
#: picture where the configuration has none.
TOKENS, FRAMES, EDGE = 128, 200, 224


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
    special = SPECIAL.get(sample.config.model_type, {})
    forms = {**FORMS, **special}
    made: dict[str, Any] = {}
    for name, needed in sample.takes.items():
        form = forms.get(name) or (ONLY_IF_NEEDED.get(name) if needed else None)
        value = form(sample) if form else None
        if value is not None:
            made[name] = value
        elif needed and name not in special:
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
        arguments = _arguments(self.model.forward)
        needed = {getattr(self.model, "main_input_name", "")}
        for name, (method, _) in PLACEHOLDERS.items():
            if name in arguments and hasattr(self.model, method) and not _is_second(name, arguments):
                needed |= {each for each, must in _arguments(getattr(self.model, method)).items() if must}
        return {name: must or name in needed for name, must in arguments.items()}

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


def _is_second(name: str, takes: Iterable[str]) -> bool:
    """A video for a model that sees pictures through the same modules."""
    return name == "pixel_values_videos" and "pixel_values" in takes


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
    size = sample.find("image_size", "input_size", "img_size", "max_img_size", default=EDGE, among="vision")
    if isinstance(size, Mapping):
        return size["height"], size["width"]
    if isinstance(size, (tuple, list)) and not isinstance(size[0], int):
        size = size[0]
    if hasattr(size, "height"):
        return size.height, size.width
    return (size[0], size[-1]) if isinstance(size, (tuple, list)) else (size, size)


def _channels(sample: Sample) -> int:
    channels: int = sample.find("num_channels", "in_channels", "in_chans", default=3, among="vision")
    return channels


def _picture(sample: Sample, *several: int) -> torch.Tensor:
    """``[batch, *several, channels, height, width]``."""
    return sample.floats(sample.batch, *several, _channels(sample), *_size(sample))


def _frames(sample: Sample) -> int | None:
    """How many pictures a video has, for models of video."""
    frames: int | None = sample.find("num_frames", "frames_per_clip", among="vision")
    return None if "image" in sample.modalities else frames


def _video(sample: Sample) -> torch.Tensor | None:
    return None if _is_second("pixel_values_videos", sample.takes) else _picture(sample, _frames(sample) or 8)


def _patch(sample: Sample) -> int:
    patch = sample.find("patch_size", "spatial_patch_size", "vision_patch_size", default=16, among="vision")
    return int(patch if isinstance(patch, int) else patch[0])


def _grid(sample: Sample) -> tuple[int, int]:
    """Rows and columns of patches, where a picture may have any size: no odd ones when they are merged."""
    merge = sample.find("spatial_merge_size", "merge_size", "pooling_kernel_size", default=2, among="vision")
    merge = merge if isinstance(merge, int) else merge[0]
    edge = EDGE // _patch(sample) // merge * merge
    return edge, edge


def _patch_row(sample: Sample) -> int:
    """Number of values in a patch."""
    return int(
        _channels(sample)
        * sample.find("temporal_patch_size", "patch_temporal", default=1, among="vision")
        * _patch(sample) ** 2
    )


def _patches(sample: Sample) -> torch.Tensor:
    """Pictures cut into patches, one after the other: ``[batch * patches, values]``."""
    return sample.floats(sample.batch * prod(_grid(sample)), _patch_row(sample))


def _patches_each(sample: Sample) -> torch.Tensor:
    """Pictures cut into patches, side by side: ``[batch, patches, values]``."""
    return sample.floats(sample.batch, prod(_grid(sample)), _patch_row(sample))


def _patches_square(sample: Sample) -> torch.Tensor:
    """Patches that are still small pictures: ``[batch * patches, channels, height, width]``."""
    patch = _patch(sample)
    return sample.floats(sample.batch * prod(_grid(sample)), _channels(sample), patch, patch)


def _tiles(sample: Sample) -> torch.Tensor:
    """A picture that was cut at one of the sizes in the configuration: itself, made small, and its tiles."""
    return _picture(sample, 1 + prod(side // _size(sample)[0] for side in _pinpoint(sample)))


def _pinpoint(sample: Sample) -> tuple[int, int]:
    height, width = min(sample.find("image_grid_pinpoints"), key=prod)
    return height, width


def _grid_thw(sample: Sample) -> torch.Tensor:
    return torch.tensor([[1, *_grid(sample)]] * sample.batch)


def _grid_hw(sample: Sample) -> torch.Tensor:
    return torch.tensor([_grid(sample)] * sample.batch)


def _patch_positions(sample: Sample) -> torch.Tensor:
    """Column and row of each patch."""
    height, width = _grid(sample)
    places = torch.cartesian_prod(torch.arange(height), torch.arange(width)).flip(1)
    return places.expand(sample.batch, -1, -1).clone()


def _patch_mask(sample: Sample) -> torch.Tensor:
    return sample.filled(1, sample.batch, prod(_grid(sample)))


def _image_sizes(sample: Sample) -> torch.Tensor:
    size = _pinpoint(sample) if sample.find("image_grid_pinpoints") else _size(sample)
    return torch.tensor([size] * sample.batch)


#: An argument that the forward takes as well -> how its pictures are laid out; the last holds for all others.
_PICTURES: tuple[tuple[str, Callable[[Sample], torch.Tensor]], ...] = (
    ("image_grid_thw", _patches),
    ("grid_thw", _patches),
    ("image_grid_hw", _patches),
    ("spatial_shapes", _patches_each),
    ("image_position_ids", _patches_each),
    ("pixel_position_ids", _patches_each),
    ("aspect_ratio_ids", lambda sample: _picture(sample, 1, sample.find("max_num_tiles", among="vision"))),
    ("pixel_attention_mask", lambda sample: _picture(sample, 1)),
    ("", _picture),
)


def _pictures(sample: Sample) -> torch.Tensor:
    frames = _frames(sample)
    if frames:
        return _picture(sample, frames)
    if sample.find("image_grid_pinpoints") and "image_sizes" in sample.takes:
        return _tiles(sample)
    return next(form for also, form in _PICTURES if not also or also in sample.takes)(sample)


# -- sound ---------------------------------------------------------------------------------------------------------


def _mel(sample: Sample) -> torch.Tensor:
    """A spectrogram: where the length is fixed channels come first, as a convolution takes it."""
    positions = sample.find("max_source_positions", among="audio")
    if positions and sample.find("num_mel_bins", among="audio"):
        return _mel_first(sample, 2 * positions)
    return sample.floats(sample.batch, FRAMES, _bins(sample))


def _mel_first(sample: Sample, frames: int) -> torch.Tensor:
    return sample.floats(sample.batch, _bins(sample), frames)


def _bins(sample: Sample) -> int:
    names = (
        "feature_projection_input_dim",
        "input_dim",
        "num_mel_bins",
        "input_feat_per_channel",
        "feature_size",
        "n_mels",
    )
    bins: int = sample.find(*names, "input_feat_size", "n_mel_channels", default=80, among="audio")
    return bins


def _mel_mask(sample: Sample) -> torch.Tensor:
    mel = {**FORMS, **SPECIAL.get(sample.config.model_type, {})}["input_features"](sample)
    frames = next((size for size in mel.shape[1:] if size != _bins(sample)), FRAMES)
    return torch.ones(sample.batch, frames, dtype=torch.bool)


def _wave(sample: Sample) -> torch.Tensor:
    channels = sample.find("audio_channels")
    return sample.floats(sample.batch, *([channels] if channels else []), _samples(sample))


def _mono(sample: Sample) -> torch.Tensor:
    return sample.floats(sample.batch, 1, _samples(sample))


def _samples(sample: Sample) -> int:
    samples: int = sample.find("sampling_rate", "sample_rate", default=16_000)
    return samples


# -- series --------------------------------------------------------------------------------------------------------


def _past(sample: Sample, *features: int) -> torch.Tensor:
    length = sample.find("context_length", "prediction_length", default=TOKENS)
    return sample.floats(sample.batch, length + max(sample.find("lags_sequence", default=[0])), *features)


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
Row = TypeVar("Row")

#: Argument of a forward -> how to make it. These are made whenever there is such an argument.
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "aspect_ratio_ids": lambda sample: sample.filled(1, sample.batch, 1),
        "aspect_ratio_mask": lambda sample: sample.filled(1, sample.batch, 1, sample.find("max_num_tiles")),
        "bbox": _boxes,
        "decoder_input_ids": _tokens,
        "grid_thw": _grid_thw,
        "high_res_pixel_values": lambda sample: sample.floats(
            sample.batch, 3, *[sample.find("image_size", among="high_res")] * 2
        ),
        "image_grid_hw": _grid_hw,
        "image_grid_thw": _grid_thw,
        "image_position_ids": _patch_positions,
        "input_features": _mel,
        "input_ids": _tokens,
        "input_values": _wave,
        "pixel_position_ids": _patch_positions,
        "pixel_values": _pictures,
        "pixel_values_videos": _video,
        "spatial_shapes": _grid_hw,
    }
)

#: The same for arguments that most models can do without.
ONLY_IF_NEEDED: Mapping[str, Form] = MappingProxyType(
    {
        "attention_mask": _ones,
        "flattened_patches": lambda sample: sample.floats(
            sample.batch, sample.find("seq_len", default=2048), sample.find("patch_embed_hidden_size") + 2
        ),
        "hidden_states": lambda sample: _patches(sample) if "grid_thw" in sample.takes else _hidden(sample),
        "image": _picture,
        "image_merge_sizes": lambda sample: sample.filled(2, sample.batch),
        "image_sizes": _image_sizes,
        "input_features_mask": _mel_mask,
        "inputs": _hidden,
        "inputs_embeds": _hidden,
        "merge_sizes": lambda sample: sample.filled(2, sample.batch),
        "padding_mask": _mel_mask,
        "past_observed_mask": lambda sample: torch.empty_like(_past(sample)),
        "past_time_features": lambda sample: _past(sample, sample.find("num_time_features")),
        "past_values": lambda sample: _past(
            sample, *[sample.find("num_input_channels")] * bool(sample.find("num_input_channels"))
        ),
        "pixel_attention_mask": _patch_mask,
        "qformer_input_ids": _tokens,
        "query_embeds": _hidden,
        "spectrogram": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("model_in_dim", default=80)),
        "target_sizes": _grid_hw,
        "task_inputs": lambda sample: sample.filled(1, sample.batch, sample.find("task_seq_len")),
    }
)


def _each(rows: Mapping[str, Row]) -> Mapping[str, Row]:
    """A row for each of the words in its key."""
    return MappingProxyType({word: row for words, row in rows.items() for word in words.split()})


def _two_pictures(sample: Sample) -> torch.Tensor:
    return _picture(sample, 2)


#: Model type -> forms of its own, and the reason.
SPECIAL: Mapping[str, Mapping[str, Form]] = _each(
    {
        # A spectrogram is a picture here, of a fixed length.
        "audio-spectrogram-transformer": {
            "input_values": lambda sample: sample.floats(sample.batch, sample.find("max_length"), _bins(sample))
        },
        "clap clap_audio_model": {"input_features": lambda sample: sample.floats(sample.batch, 1, 1001, _bins(sample))},
        # Convolutions over spectrograms of any length: channels come first.
        "clvp glmasr glmasr_encoder voxtral_realtime voxtral_realtime_encoder": {
            "input_features": lambda sample: _mel_first(sample, FRAMES)
        },
        # Waves have a channel, though the configuration does not say so.
        "dac pe_audio pe_audio_encoder xcodec xcodec2 neucodec": {"input_values": _mono},
        "vibevoice vibevoice_acoustic_tokenizer vibevoice_asr": {"input_values": _mono},
        "audioflamingo3_encoder": {
            "input_features": lambda sample: _mel_first(sample, FRAMES),
            "input_features_mask": _mel_mask,
        },
        # Three scales are seen, and the smallest must hold a patch.
        "depth_pro": {"pixel_values": lambda sample: sample.floats(sample.batch, 3, 1536, 1536)},
        "fun_asr_nano fun_asr_nano_encoder": {
            "input_features": lambda sample: sample.floats(
                sample.batch, FRAMES, sample.find("input_size", among="audio")
            )
        },
        # Patches, in spite of an image size.
        "fuyu molmo2_vision neomme": {
            "pixel_values": lambda sample: sample.floats(
                sample.batch, (_size(sample)[0] // _patch(sample)) ** 2, _patch_row(sample)
            )
        },
        "granite_docling": {"pixel_values": _picture},
        "granite_speech_encoder granite_speech_plus_encoder": {
            "hidden_states": lambda sample: sample.floats(sample.batch, FRAMES, _bins(sample))
        },
        # A row of patches.
        "minicpm_ocr_vision minicpmv4_6_vision minicpmv4_7_vision": {
            "pixel_values": lambda sample: sample.floats(
                sample.batch, 3, _patch(sample), prod(_grid(sample)) * _patch(sample)
            ),
            "target_sizes": _grid_hw,
        },
        "musicgen_decoder musicgen_melody_decoder": {
            "input_ids": lambda sample: sample.filled(1, sample.batch * sample.find("num_codebooks"), sample.length)
        },
        "muse_spark_audio": {"input_values": lambda sample: sample.floats(sample.batch, 1920 * 8)},
        # Its timm model has a size of its own, which only that knows.
        "pe_video pe_video_encoder": {
            "pixel_values_videos": lambda sample: sample.floats(sample.batch, 8, 3, 336, 336)
        },
        "pe_audio_video pe_audio_video_encoder": {
            "input_values": _mono,
            "pixel_values_videos": lambda sample: sample.floats(sample.batch, 8, 3, 336, 336),
        },
        # The windows of its attention divide this.
        "rf_detr": {"pixel_values": lambda sample: sample.floats(sample.batch, 3, 504, 504)},
        # It starts from a spectrogram on both sides; sound in, as text has another entrance.
        "speecht5": {
            "input_values": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("hidden_size")),
            "decoder_input_values": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("hidden_size")),
        },
        "timesfm": {
            "past_values": lambda sample: sample.floats(sample.batch, 512),
            "past_values_padding": lambda sample: sample.filled(0, sample.batch, 512),
            "freq": lambda sample: sample.filled(0, sample.batch, 1),
        },
        "timesfm2_5": {"past_values": lambda sample: sample.floats(sample.batch, 512)},
        "tvp": {"pixel_values": lambda sample: sample.floats(sample.batch, sample.find("num_frames"), 3, 448, 448)},
        "xmod": {"lang_ids": lambda sample: sample.filled(0, sample.batch)},
        # Two pictures are matched.
        "efficientloftr lightglue superglue": {"pixel_values": _two_pictures},
        # Frames go through the tower as so many pictures.
        "instructblipvideo_vision_model": {"pixel_values": _picture},
        "xclip_vision_model": {
            "pixel_values": lambda sample: sample.floats(
                sample.batch * sample.find("num_frames"), _channels(sample), *_size(sample)
            )
        },
        # Several pictures with each text.
        "idefics": {"pixel_values": lambda sample: _picture(sample, 1)},
        # What an object detector found.
        "lxmert": {
            "visual_feats": lambda sample: sample.floats(sample.batch, 36, sample.find("visual_feat_dim")),
            "visual_pos": lambda sample: sample.floats(sample.batch, 36, sample.find("visual_pos_dim")),
        },
        # Where features of the picture go, the text says by a mask, not by a token.
        "kosmos-2": {
            "image_embeds_position_mask": lambda sample: (
                torch.arange(sample.length).lt(sample.find("latent_query_num")).expand(sample.batch, -1).clone()
            )
        },
        # Patches are small pictures.
        "kimi_k25 kimi_k25_vision": {"pixel_values": _patches_square},
        "paddleocr_vl": {"pixel_values": _patches_square},
        "paddleocr_vl_vision": {"pixel_values": lambda sample: _patches_square(sample)[None]},
        # A channel for each codebook, and one for the text.
        "kyutai_speech_to_text": {
            "input_ids": lambda sample: sample.filled(1, sample.batch, sample.length, sample.find("num_codebooks") + 1)
        },
        "dia": {
            "decoder_input_ids": lambda sample: sample.filled(
                1, sample.batch, sample.length, sample.find("num_channels", among="decoder")
            )
        },
        "dia_decoder": {
            "input_ids": lambda sample: sample.filled(1, sample.batch, sample.length, sample.find("num_channels"))
        },
        # Either text or sound; the sound is what it is made for.
        "pop2piano": {"input_ids": lambda sample: None, "input_features": lambda sample: _hidden(sample)},
        # A picture to learn from, and its mask.
        "seggpt": {"prompt_pixel_values": _picture, "prompt_masks": _picture},
        # The encoder is a wave's; both of its ends are.
        "speech-encoder-decoder": {"inputs": _wave},
        "qwen2_audio": {"feature_attention_mask": _mel_mask},
        "decision_transformer": {
            "states": lambda sample: sample.floats(sample.batch, sample.length, sample.find("state_dim")),
            "actions": lambda sample: sample.floats(sample.batch, sample.length, sample.find("act_dim")),
            "rewards": lambda sample: sample.floats(sample.batch, sample.length, 1),
            "returns_to_go": lambda sample: sample.floats(sample.batch, sample.length, 1),
            "timesteps": _ones,
            "attention_mask": _ones,
        },
    }
)

_MROPE = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5, "mrope_section": [8, 12, 12]}

#: Model type -> what makes its default configuration one that can run: values that are left open, or parts that are by
#: default of models of different widths.
COMPLETE: Mapping[str, Mapping[str, Any]] = _each(
    {
        "autoformer informer time_series_transformer": {"prediction_length": 24},
        "cosmos3_omni qwen3_5 qwen3_5_moe": {"vision_config": {"out_hidden_size": 4096}},
        "exaone4_5": {"vision_config": {"out_hidden_size": 4096}},
        "glm46v glm4v glm_image glmga": {"text_config": {"rope_parameters": _MROPE}},
        "gemma3 shieldgemma2": {"vision_config": {"image_size": 896, "patch_size": 14}},
        "hunyuan_v1_dense hunyuan_v1_moe hunyuan_vl_text ministral": {"head_dim": 128},
        "bamba": {"attn_layer_indices": [9, 18, 27]},
        "blip-2 instructblip": {"image_token_index": 50265, "text_config": {"vocab_size": 50304}},
        "deepseek_v2": {"num_experts_per_tok": 6},
        "glm4v_moe": {"text_config": {"head_dim": 128}},
        "glm4v_moe_text": {"head_dim": 128},
        "glm4v_text glm_image_text": {"rope_parameters": _MROPE},
        "glm5_next": {"vision_config": {"out_hidden_size": 4096}},
        "glm_ocr": {"vision_config": {"out_hidden_size": 1024}},
        "idefics3 smolvlm": {"vision_config": {"image_size": 364, "patch_size": 14}},
        "janus": {"vision_config": {"projection_dim": 4096}},
        "llama4": {"vision_config": {"intermediate_size": 3072}},
        "llama4_vision_model": {"intermediate_size": 3072},
        "modernvbert ultravbert": {"vision_config": {"image_size": 512, "patch_size": 16}},
        "nemotron": {"num_key_value_heads": 8},
        "step3p5": {"sliding_window": 512},
        "step3p7": {"text_config": {"sliding_window": 512}},
        "vitmatte": {"fusion_hidden_sizes": [256, 128, 64, 32]},
        "aria": {"vision_config": {"image_size": 490, "patch_size": 14}},
        "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
        "hunyuan_vl": {"text_config": {"head_dim": 128}},
        "qwen2_5_vl": {"vision_config": {"out_hidden_size": 8192}},
        "qwen2_vl": {"vision_config": {"hidden_size": 8192}},
        "qwen3_vl": {"vision_config": {"out_hidden_size": 4096}},
        "qwen3_vl_moe": {"vision_config": {"out_hidden_size": 2048}},
        "timm_backbone": {"backbone": "resnet18"},
    }
)
