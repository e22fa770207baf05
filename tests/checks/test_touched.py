"""What operators move, against the memory that they touch when a model really runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from checks.releases import since, working_transformers
from checks.touched import bytes_touched, occupied
from torch import nn
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

from thoplw.api.profile import observe
from thoplw.traffic import traffic


def counted(model: nn.Module, inputs: Any) -> Counter[str]:
    """Operator -> bytes, as thoplw has it."""
    found: Counter[str] = Counter()
    for step, _ in observe(model, inputs).steps:
        for call in step.parts if step.target == "aten.einsum" and step.parts else (step,):
            found[call.target.partition(".")[2]] += traffic(call).total
    return +found


def language_model(kind: str, length: int = 9, **config: Any) -> Callable[[], tuple[nn.Module, dict[str, Any]]]:
    def make() -> tuple[nn.Module, dict[str, Any]]:
        transformers = working_transformers()
        built = transformers.CONFIG_MAPPING[kind](**config, pad_token_id=0, bos_token_id=1, eos_token_id=2)
        model = transformers.AutoModelForCausalLM.from_config(built)
        return model, {"input_ids": torch.arange(2 * length).reshape(2, length)}

    return make


def small_maxvit() -> tuple[nn.Module, dict[str, Any]]:
    sizes = {"stem_channels": 8, "block_channels": [8, 16], "block_layers": [1, 2], "head_dim": 4}
    model = torchvision.models.MaxVit((64, 64), partition_size=4, stochastic_depth_prob=0.0, **sizes)
    return model, {"x": torch.randn(1, 3, 64, 64)}


def small_swin(**version: Any) -> Callable[[], tuple[nn.Module, dict[str, Any]]]:
    sizes = {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": [4, 4]}
    return lambda: (torchvision.models.SwinTransformer([4, 4], **sizes, **version), {"x": torch.randn(1, 3, 64, 64)})


def picture_model(name: str, size: int = 96) -> Callable[[], tuple[nn.Module, dict[str, Any]]]:
    return lambda: (getattr(torchvision.models, name)(), {"x": torch.randn(1, 3, size, size)})


_LLAMA = {
    "vocab_size": 99,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
_GPT2 = {"vocab_size": 99, "n_embd": 64, "n_layer": 2, "n_head": 4}
_OPT = {"vocab_size": 99, "hidden_size": 64, "ffn_dim": 96, "num_hidden_layers": 2, "num_attention_heads": 4}

MODELS = {
    **{
        name: picture_model(name)
        for name in (
            "resnet18 mobilenet_v3_small shufflenet_v2_x0_5 convnext_tiny densenet121 efficientnet_b0 squeezenet1_0 "
            "regnet_y_400mf mnasnet0_5"
        ).split()
    },
    "vit_b_32": picture_model("vit_b_32", 224),
    "swin": small_swin(),
    "swin_v2": small_swin(block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2),
    "maxvit": small_maxvit,
    **{kind: language_model(kind, **_LLAMA) for kind in ("llama", "mistral", "gemma2", "qwen3", "phi3")},
    "gpt2": language_model("gpt2", **_GPT2),
    "bloom": language_model("bloom", vocab_size=99, hidden_size=64, n_layer=2, n_head=4),
    "opt": language_model("opt", word_embed_proj_dim=64, **_OPT),
    "mamba": language_model("mamba", vocab_size=99, hidden_size=64, num_hidden_layers=2),
    # More rows than experts, so that each is sent some.
    "mixtral": language_model("mixtral", length=32, num_local_experts=4, **_LLAMA),
}


#: Before these, attention of the CPU is contiguous: at all, or where queries share heads of the key.
NEWER = {
    "vit_b_32": since("2.1", "kernels lay some results out otherwise before"),
    **{
        kind: since("2.9", "kernels lay shared heads out otherwise before")
        for kind in ("llama", "mistral", "qwen3", "mixtral")
    },
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [pytest.param(name, marks=NEWER.get(name, ())) for name in MODELS])
def test_operators_move_what_they_touch(name: str) -> None:
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    model.eval()
    assert counted(model, inputs) == bytes_touched(model, **inputs)


class Writes(nn.Module):
    """A cache that is written in place, and read as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(10, 4))

    def forward(self, x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        cache = x.new_zeros(6, 4)
        cache[2:4] = x
        cache.index_copy_(0, at, x)
        cache[at] = x
        cache.index_add_(0, at, x)
        rows = self.table[at] + self.table.index_select(0, at) + self.table.gather(0, at[:, None].expand(2, 4))
        return cache.relu_().sum(0) + rows.t().contiguous().sum(1) + self.table.unfold(0, 3, 1).sum((0, 2))


def test_writes_in_place_move_what_they_touch() -> None:
    inputs = {"x": torch.randn(2, 4), "at": torch.tensor([1, 3])}
    assert counted(Writes(), inputs) == bytes_touched(Writes(), **inputs)


@pytest.mark.parametrize(
    ("tensor", "elements"),
    [
        (torch.zeros(3, 4), 12),
        (torch.zeros(4).expand(3, 4), 4),
        (torch.zeros(10).unfold(0, 3, 1), 10),
        (torch.zeros(10)[::3], 4),
        (torch.zeros(0, 4), 0),
        (torch.zeros(()), 1),
    ],
)
def test_addresses_tell_elements_apart(tensor: torch.Tensor, elements: int) -> None:
    assert occupied(tensor) == 4 * elements
