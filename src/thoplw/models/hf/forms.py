"""How to make each argument of a forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any

import torch

from thoplw.models.hf.sample import TOKENS, Sample

#: Frames of a spectrogram (a hundredth of a second each), and the edge of a picture, where the configuration has none.
FRAMES, EDGE = 200, 224

# -- text ----------------------------------------------------------------------------------------------------------


def _tokens(sample: Sample) -> torch.Tensor:
    return sample.filled(sample.plain, sample.batch, sample.length)


def ones(sample: Sample) -> torch.Tensor:
    """A one for each token."""
    return sample.filled(1, sample.batch, sample.length)


def _boxes(sample: Sample) -> torch.Tensor:
    return torch.tensor([1, 1, 2, 2]).expand(sample.batch, sample.length, 4).clone()


def hidden(sample: Sample) -> torch.Tensor:
    """``[batch, tokens, width]``."""
    width = sample.find("hidden_size", "d_model", "embed_dim", "hidden_dim")
    return sample.floats(sample.batch, sample.length, width)


# -- pictures ------------------------------------------------------------------------------------------------------


def size(sample: Sample) -> tuple[int, int]:
    """Height and width of a picture."""
    sides = sample.find("image_size", "input_size", "img_size", "max_img_size", default=EDGE, among="vision")
    if isinstance(sides, (tuple, list)) and not isinstance(sides[0], int):
        sides = sides[0]
    if isinstance(sides, Mapping):
        return sides["height"], sides["width"]
    if hasattr(sides, "height"):
        return sides.height, sides.width
    return (sides[0], sides[-1]) if isinstance(sides, (tuple, list)) else (sides, sides)


def channels(sample: Sample) -> int:
    """Channels of a picture."""
    channels: int = sample.find("num_channels", "in_channels", "in_chans", default=3, among="vision")
    return channels


def picture(sample: Sample, *several: int) -> torch.Tensor:
    """``[batch, *several, channels, height, width]``."""
    return sample.floats(sample.batch, *several, channels(sample), *size(sample))


def _frames(sample: Sample) -> int | None:
    """How many pictures a video has, for models of video."""
    frames: int | None = sample.find("num_frames", "frames_per_clip", among="vision")
    return None if "image" in sample.modalities else frames


def _video(sample: Sample) -> torch.Tensor | None:
    return None if sample.is_second("pixel_values_videos") else picture(sample, _frames(sample) or 8)


def patch(sample: Sample) -> int:
    """Edge of a patch."""
    patch = sample.find("patch_size", "spatial_patch_size", "vision_patch_size", default=16, among="vision")
    return int(patch if isinstance(patch, int) else patch[0])


def grid(sample: Sample) -> tuple[int, int]:
    """Rows and columns of patches, where a picture may have any size: no odd ones when they are merged."""
    merge = sample.find("spatial_merge_size", "merge_size", "pooling_kernel_size", default=2, among="vision")
    merge = merge if isinstance(merge, int) else merge[0]
    edge = EDGE // patch(sample) // merge * merge
    return edge, edge


def patch_row(sample: Sample) -> int:
    """Number of values in a patch."""
    return int(
        channels(sample)
        * sample.find("temporal_patch_size", "patch_temporal", default=1, among="vision")
        * patch(sample) ** 2
    )


def _patches(sample: Sample) -> torch.Tensor:
    """Pictures cut into patches, one after the other: ``[batch * patches, values]``."""
    return sample.floats(sample.batch * prod(grid(sample)), patch_row(sample))


def patches_each(sample: Sample) -> torch.Tensor:
    """Pictures cut into patches, side by side: ``[batch, patches, values]``."""
    return sample.floats(sample.batch, prod(grid(sample)), patch_row(sample))


def patches_square(sample: Sample) -> torch.Tensor:
    """Patches that are still small pictures: ``[batch * patches, channels, height, width]``."""
    edge = patch(sample)
    return sample.floats(sample.batch * prod(grid(sample)), channels(sample), edge, edge)


def _tiles(sample: Sample) -> torch.Tensor:
    """A picture that was cut at one of the sizes in the configuration: itself, made small, and its tiles."""
    return picture(sample, 1 + prod(side // size(sample)[0] for side in _pinpoint(sample)))


def _pinpoint(sample: Sample) -> tuple[int, int]:
    height, width = min(sample.find("image_grid_pinpoints"), key=prod)
    return height, width


def _grid_thw(sample: Sample) -> torch.Tensor:
    return torch.tensor([[1, *grid(sample)]] * sample.batch)


def grid_hw(sample: Sample) -> torch.Tensor:
    """Rows and columns of patches: ``[batch, 2]``."""
    return torch.tensor([grid(sample)] * sample.batch)


def _patch_positions(sample: Sample) -> torch.Tensor:
    """Column and row of each patch."""
    height, width = grid(sample)
    places = torch.cartesian_prod(torch.arange(height), torch.arange(width)).flip(1)
    return places.expand(sample.batch, -1, -1).clone()


def _patch_mask(sample: Sample) -> torch.Tensor:
    return sample.filled(1, sample.batch, prod(grid(sample)))


def _image_sizes(sample: Sample) -> torch.Tensor:
    sides = _pinpoint(sample) if sample.find("image_grid_pinpoints") else size(sample)
    return torch.tensor([sides] * sample.batch)


#: An argument that the forward takes as well -> how its pictures are laid out; the last holds for all others.
_PICTURES: tuple[tuple[str, Callable[[Sample], torch.Tensor]], ...] = (
    ("image_grid_thw", _patches),
    ("grid_thw", _patches),
    ("image_grid_hw", _patches),
    ("spatial_shapes", patches_each),
    ("image_position_ids", patches_each),
    ("pixel_position_ids", patches_each),
    ("aspect_ratio_ids", lambda sample: picture(sample, 1, sample.find("max_num_tiles", among="vision"))),
    ("pixel_attention_mask", lambda sample: picture(sample, 1)),
    ("", picture),
)


def _pictures(sample: Sample) -> torch.Tensor:
    frames = _frames(sample)
    if frames:
        return picture(sample, frames)
    if sample.find("image_grid_pinpoints") and "image_sizes" in sample.takes:
        return _tiles(sample)
    return next(form for also, form in _PICTURES if not also or also in sample.takes)(sample)


# -- sound ---------------------------------------------------------------------------------------------------------


def _mel(sample: Sample) -> torch.Tensor:
    """A spectrogram: where the length is fixed channels come first, as a convolution takes it."""
    positions = sample.find("max_source_positions", among="audio")
    if positions and sample.find("num_mel_bins", among="audio"):
        return mel_first(sample, 2 * positions)
    return sample.floats(sample.batch, FRAMES, bins(sample))


def mel_first(sample: Sample, frames: int) -> torch.Tensor:
    """A spectrogram with channels first."""
    return sample.floats(sample.batch, bins(sample), frames)


def bins(sample: Sample) -> int:
    """Channels of a spectrogram."""
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


def mel_mask(sample: Sample) -> torch.Tensor:
    """No frame of the spectrogram is padding."""
    return torch.ones(sample.batch, _mel(sample).numel() // sample.batch // bins(sample), dtype=torch.bool)


def wave(sample: Sample) -> torch.Tensor:
    """A second of sound, with channels where there may be several."""
    channels = sample.find("audio_channels")
    return sample.floats(sample.batch, *([channels] if channels else []), _samples(sample))


def mono(sample: Sample) -> torch.Tensor:
    """A second of sound, in one channel."""
    return sample.floats(sample.batch, 1, _samples(sample))


def _samples(sample: Sample) -> int:
    samples: int = sample.find("sampling_rate", "sample_rate", default=16_000)
    return samples


# -- series --------------------------------------------------------------------------------------------------------


def _past(sample: Sample, *features: int) -> torch.Tensor:
    length = sample.find("context_length", "prediction_length", default=TOKENS)
    return sample.floats(sample.batch, length + max(sample.find("lags_sequence", default=[0])), *features)


# -- the tables ----------------------------------------------------------------------------------------------------

Form = Callable[[Sample], Any]

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
        "image_grid_hw": grid_hw,
        "image_grid_thw": _grid_thw,
        "image_position_ids": _patch_positions,
        "input_features": _mel,
        "input_ids": _tokens,
        "input_values": wave,
        "pixel_position_ids": _patch_positions,
        "pixel_values": _pictures,
        "pixel_values_videos": _video,
        "spatial_shapes": grid_hw,
    }
)

#: The same for arguments that most models can do without.
ONLY_IF_NEEDED: Mapping[str, Form] = MappingProxyType(
    {
        "attention_mask": ones,
        "flattened_patches": lambda sample: sample.floats(
            sample.batch, sample.find("seq_len", default=2048), sample.find("patch_embed_hidden_size") + 2
        ),
        "hidden_states": lambda sample: _patches(sample) if "grid_thw" in sample.takes else hidden(sample),
        "image": picture,
        "image_merge_sizes": lambda sample: sample.filled(2, sample.batch),
        "image_sizes": _image_sizes,
        "input_features_mask": mel_mask,
        "inputs": hidden,
        "inputs_embeds": hidden,
        "merge_sizes": lambda sample: sample.filled(2, sample.batch),
        "padding_mask": mel_mask,
        "past_observed_mask": lambda sample: torch.empty_like(_past(sample)),
        "past_time_features": lambda sample: _past(sample, sample.find("num_time_features")),
        "past_values": lambda sample: _past(
            sample, *[sample.find("num_input_channels")] * bool(sample.find("num_input_channels"))
        ),
        "pixel_attention_mask": _patch_mask,
        "qformer_input_ids": _tokens,
        "query_embeds": hidden,
        "spectrogram": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("model_in_dim", default=80)),
        "target_sizes": grid_hw,
        "task_inputs": lambda sample: sample.filled(1, sample.batch, sample.find("task_seq_len")),
    }
)
