"""What a step of decoding must move, to the byte, in families of language models: weights and cache, once.

Nothing is taken from configurations: weights are the tensors of the model, the cache is what a real run of a prompt has
left, by the bytes of its storages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from checks.releases import working_transformers

import thoplw
from thoplw.estimate.devices import device

transformers = working_transformers()

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

_PLAIN = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
_OPT = {"vocab_size": 96, "hidden_size": 64, "ffn_dim": 80, "num_hidden_layers": 2, "num_attention_heads": 4}

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": _PLAIN,
    "mistral": _PLAIN,
    "qwen2": _PLAIN,
    "qwen3": _PLAIN,
    "phi3": _PLAIN | {"pad_token_id": 0},
    "olmo2": _PLAIN,
    "granite": _PLAIN,
    "starcoder2": _PLAIN,
    "stablelm": _PLAIN,
    "glm4": _PLAIN | {"head_dim": 16, "pad_token_id": 0},
    "gemma2": _PLAIN | {"head_dim": 16, "tie_word_embeddings": True},
    "opt": _OPT | {"word_embed_proj_dim": 64},
    "gpt2": {"vocab_size": 96, "n_embd": 64, "n_layer": 2, "n_head": 4},
    "mixtral": _PLAIN | {"num_local_experts": 2},
}

BATCH, PROMPT = 2, 6


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(before)


def size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_reads_weights_and_cache_once(family: str) -> None:
    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING[family](**FAMILIES[family])
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    with torch.no_grad():
        cache = model(torch.ones(BATCH, PROMPT, dtype=torch.int64), use_cache=True).past_key_values
    held = sum(size(layer.keys) + size(layer.values) for layer in cache.layers)
    token = torch.ones(BATCH, 1, dtype=torch.int64)
    layers = thoplw.profile(model, {"input_ids": token, "past_key_values": cache}, verbose=False)[2]

    # A row for each token of tables that are looked up, unless the last layer multiplies the same one.
    last = model.get_output_embeddings().weight
    tables = {id(each.weight): each.weight for each in model.modules() if isinstance(each, torch.nn.Embedding)}
    tables.pop(id(last), None)
    rows = sum(BATCH * size(table[0]) for table in tables.values())
    if family == "gpt2":  # the batch shares its positions
        rows -= size(last[0])
    weights = {id(each): each for each in model.parameters()}
    weights_read = sum(size(each) for key, each in weights.items() if key not in tables)
    used = (".inv_freq", ".embed_scale")  # others are kept for longer texts
    buffers = sum(size(each) for name, each in model.named_buffers() if name.endswith(used))
    logits = BATCH * last.shape[0] * 2
    assert layers.compulsory == weights_read + rows + held + buffers + size(token) + logits

    h100 = device("h100-sxm")
    bare = thoplw.Device(name="bare", matrix=h100.matrix, vector=h100.vector, bandwidth=h100.bandwidth)
    assert layers.on(bare).bound == "memory"
    assert layers.on(bare).floor == layers.compulsory * 10**12 // h100.bandwidth / 1e12
