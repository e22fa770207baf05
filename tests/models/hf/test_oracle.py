"""Small models of transformers: ``convention="macs"`` equals an independent count over real execution, to the unit."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from checks.oracle import oracle_macs
from checks.releases import working_transformers

import thoplw
from thoplw.models import hf

transformers = working_transformers()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


#: Whichever of these a configuration has is made this small.
SMALL = {
    "d_ff": 48,
    "d_model": 32,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 48,
    "decoder_layers": 2,
    "embed_dim": 32,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "encoder_layers": 2,
    "ffn_dim": 48,
    "head_dim": 8,
    "hidden_size": 32,
    "image_size": 64,
    "intermediate_size": 48,
    "moe_intermediate_size": 16,
    "n_embd": 32,
    "n_head": 4,
    "n_heads": 4,
    "n_layer": 2,
    "n_layers": 2,
    "num_attention_heads": 4,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "num_layers": 2,
    "vocab_size": 1000,
}

TYPES = """
    afmoe albert apertus arcee aria_text audio-spectrogram-transformer bart beit bert bert-generation big_bird
    bigbird_pegasus biogpt bitnet blenderbot bloom camembert canine clip_text_model clip_vision_model cohere
    cohere2_moe convbert cpmant ctrl cwm data2vec-text data2vec-vision deberta deberta-v2 decision_transformer deit
    dia_encoder diffllama dinov2 dinov2_with_registers dinov3_vit distilbert doge dpr dpt electra ernie4_5_moe
    exaone4 exaone_moe falcon_mamba flaubert gemma2 gemma3_text gpt-sw3 gpt2 gpt_neox gpt_oss granite layoutlm led
    lfm2 llama longformer m2m_100 mamba mistral mixtral mobilebert mpt nllb-moe nystromformer olmoe opt pegasus
    qwen2 qwen2_moe qwen3_moe roberta rwkv segformer siglip_vision_model switch_transformers t5 videomae vit vivit
    xglm xlnet
"""


def small(model_type: str) -> Any:
    cls = transformers.models.auto.configuration_auto.CONFIG_MAPPING[model_type]
    default = cls()
    known = {name for name in SMALL if isinstance(getattr(default, name, None), int) and name not in cls.attribute_map}
    return cls(**{name: SMALL[name] for name in known})


def real(value: Any) -> Any:
    return torch.rand(value.shape) if value.is_meta else value


@pytest.mark.parametrize("model_type", TYPES.split())
def test_small(model_type: str) -> None:
    config = small(model_type)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # models and kernels warn of much that is none of our business
        model = hf.model_class(config)(config).eval()
        inputs = hf.inputs(model, seq=6, batch=2)
        assert inputs is not None
        expected = oracle_macs(model, **{name: real(value) for name, value in inputs.items()})
        counted, _, info = thoplw.profile(model, inputs, verbose=False, convention="macs")
    assert expected > 0
    assert (counted, info.uncounted) == (expected, {})
