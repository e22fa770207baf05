"""How a model of transformers is asked to generate: always the same tokens, as many as were asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from checks.releases import working_transformers
from torch import nn

from thoplw.capture.generation import ByForward
from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.models.hf import generation
from thoplw.models.hf.generation import CACHES, ByGenerate, caller, positions

transformers = working_transformers()


def llama() -> Any:
    config = transformers.LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=40, pad_token_id=0
    )
    return transformers.LlamaForCausalLM(config).eval()


class Plain(nn.Module):
    """A model of no library."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return ids


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_it_generates_the_same_token_until_the_end_and_leaves_the_model_alone(cache: str) -> None:
    """For real: one call with the whole prompt, then one for each token."""
    model = llama()
    model.generation_config.update(do_sample=True, num_beams=3, eos_token_id=5, max_length=6)
    calls: list[int] = []

    def watch(module: nn.Module, args: Any, options: dict[str, Any]) -> None:
        calls.append(options["input_ids"].shape[1])

    hook = model.register_forward_pre_hook(watch, with_kwargs=True)
    way = ByGenerate(model, 2, 9, cache)
    done = way.drive(4)
    hook.remove()
    new = 9 - 4 + (0 if cache == "static" else 2)  # a static cache has no place for more
    assert calls == [4, *[1] * (new - 1)]
    assert done.sequences.shape == (2, 4 + new)
    assert done.sequences.eq(way.token).all()
    assert not model._forward_hooks


def test_a_cache_is_one_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    with pytest.raises(UnknownNameError, match=r"unknown cache 'statik'\. Did you mean 'static'"):
        ByGenerate(model, 1, 9, "statik")
    monkeypatch.setattr(generation, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"cache='quanto' needs optimum-quanto, .* pip install optimum-quanto"):
        ByGenerate(model, 1, 9, "quanto")
    assert ByGenerate(model, 1, 9, "fp8").cache == "fp8"  # of torch alone
    assert set(generation._PACKAGES) < set(CACHES)


def test_a_model_is_called_by_what_it_has() -> None:
    assert isinstance(caller(llama(), 1, 9, "static"), ByGenerate)
    assert isinstance(caller(Plain(), 1, 9, "dynamic"), ByForward)
    with pytest.raises(InputError, match=r"cache='static' is for models with a generate\(\) .* and Plain has none"):
        caller(Plain(), 1, 9, "static")
    encoder: Any = Plain()
    encoder.config = SimpleNamespace(is_encoder_decoder=True)
    with pytest.raises(InputError, match="Plain has an encoder, which runs once for all tokens"):
        caller(encoder, 1, 9, "dynamic")


@pytest.mark.parametrize(
    ("config", "most"),
    [
        (None, None),
        (SimpleNamespace(), None),
        (SimpleNamespace(max_position_embeddings=12), 12),
        (SimpleNamespace(max_position_embeddings=None, max_target_positions=7), 7),
        (SimpleNamespace(get_text_config=lambda: SimpleNamespace(max_position_embeddings=5)), 5),
        (SimpleNamespace(max_position_embeddings="many"), None),
    ],
)
def test_positions_are_those_of_the_configuration(config: Any, most: int | None) -> None:
    model: Any = Plain()
    if config is not None:
        model.config = config
    assert positions(model) == most
    assert positions(llama()) == 2048
