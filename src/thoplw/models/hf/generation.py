"""How a model of transformers generates: by its own ``generate``, which makes its cache and prepares its inputs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from thoplw.capture.generation import ByForward, Caller
from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.models.hf.quantised import followed
from thoplw.models.hf.sample import Sample

#: Kind of cache -> how ``generate`` is asked for it.
CACHES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "dynamic": {},
        "static": {"cache_implementation": "static"},
        "fp8": {"cache_implementation": "quantized", "cache_config": {"backend": "fp8"}},
        "hqq": {"cache_implementation": "quantized", "cache_config": {"backend": "hqq"}},
        "quanto": {"cache_implementation": "quantized", "cache_config": {"backend": "quanto"}},
    }
)

#: Kind of cache -> the packages that it needs.
_PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType({"hqq": ("hqq",), "quanto": ("optimum.quanto",)})

#: What a generation is asked to be, whatever the model's own configuration says: one sequence for each prompt, of the
#: likeliest tokens, which ends at its length alone; the whole prompt in one call, and each token in one more.
_ALONE: Mapping[str, Any] = MappingProxyType(
    {
        "do_sample": False,
        "eos_token_id": None,
        "max_length": None,
        "min_length": 0,
        "min_new_tokens": None,
        "num_beams": 1,
        "num_return_sequences": 1,
        "return_dict_in_generate": True,
        "cache_implementation": None,
        "cache_config": None,
        "max_time": None,
        "stop_strings": None,
        "token_healing": None,
        "constraints": None,
        "force_words_ids": None,
        "prefill_chunk_size": None,
        "guidance_scale": None,
        "penalty_alpha": None,
        "prompt_lookup_num_tokens": None,
        "assistant_early_exit": None,
        "dola_layers": None,
        "speculation_type": None,
        "use_mtp": None,
    }
)


class ByGenerate(Caller):
    """A model with a ``generate`` of transformers."""

    def __init__(self, model: nn.Module, batch: int, longest: int, cache: str) -> None:
        """Take the kind of cache, besides what every caller takes.

        Raises:
            UnknownNameError: there is no such kind.
            MissingExtraError: it needs a package that is not installed.
        """
        super().__init__(model, batch, longest, Sample(model=model, seq=None, batch=batch).plain)
        if cache not in CACHES:
            raise UnknownNameError("cache", cache, CACHES)
        for package in _PACKAGES.get(cache, ()):
            if find_spec(package.partition(".")[0]) is None:
                name = package.replace(".", "-")
                raise MissingExtraError(name, f"cache={cache!r}")
        self.cache = cache

    def drive(self, length: int) -> Any:
        """Generate without an end token, and always the same one, as which one it is changes nothing."""
        spare = 0 if self.cache == "static" else 2  # a static cache has a place for each position up to the end
        model: Any = self.model
        config = copy.deepcopy(model.generation_config)
        own = {
            **_ALONE,
            "max_new_tokens": max(self.longest - length, 2) + spare,
            "use_cache": config.use_cache is not False,
            **CACHES[self.cache],
        }
        for name, value in own.items():
            setattr(config, name, value)
        model.generation_config = config  # from which generate takes what is None; it is put back
        hook = model.register_forward_hook(self._choose)
        try:
            with followed(self.cache):
                return model.generate(self.ids(length), generation_config=config, attention_mask=self.mask(length))
        finally:
            hook.remove()

    def _choose(self, model: nn.Module, args: Any, output: Any) -> Any:
        """Have logits with values, after the call: a model may look at the tokens, for padding say."""
        logits = getattr(output, "logits", None)
        if isinstance(logits, torch.Tensor):
            chosen = torch.zeros(logits.shape[-1])
            chosen[self.token] = 1
            output.logits = chosen.expand(len(logits), 1, -1)
        return output

    def mask(self, length: int) -> torch.Tensor:
        """No position is padding."""
        return torch.ones(self.batch, length, dtype=torch.long)


def positions(model: nn.Module) -> int | None:
    """How many positions a model of transformers has, as its configuration says; None if that does not."""
    config: Any = getattr(model, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    known = (getattr(text, name, None) for name in ("max_position_embeddings", "max_target_positions"))
    return next((most for most in known if type(most) is int), None)


def caller(model: nn.Module, batch: int, longest: int, cache: str) -> Caller:
    """The way in which a model generates that is given without functions that call it.

    Raises:
        InputError: it is of an encoder and a decoder, or has no other cache than its own.
        UnknownNameError: there is no such kind of cache.
    """
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        raise InputError(
            f"{type(model).__name__} has an encoder, which runs once for all tokens: give prefill= and step=, "
            "functions that call it"
        )
    if callable(getattr(model, "generate", None)) and hasattr(model, "generation_config"):
        return ByGenerate(model, batch, longest, cache)
    if cache != "dynamic":
        raise InputError(
            f"cache={cache!r} is for models with a generate() of transformers, and {type(model).__name__} has none: "
            "give prefill= and step=, functions that call it"
        )
    return ByForward(model, batch, longest)
