"""A model of transformers by name: no weights, and inputs beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from checks.releases import working_transformers
from torch.utils._python_dispatch import TorchDispatchMode

from thoplw.errors import InputError
from thoplw.models.hf import zoo
from thoplw.models.registry import load

working_transformers()


def test_there_are_no_weights_and_floats_have_no_values() -> None:
    loaded = load("hf:clip")
    assert isinstance(loaded.inputs, dict)
    assert all(weight.is_meta for weight in loaded.model.parameters() if weight.numel() > 1)
    assert loaded.inputs["pixel_values"].is_meta
    assert not loaded.inputs["input_ids"].is_meta


def test_names_can_be_loaded() -> None:
    names = zoo.names()
    assert {"bert", "llama", "vit"} <= set(names)
    assert names == sorted(names)


LARGE_LLAMA = {"model_type": "llama"}  # 7 billion parameters are its default


class Allocated(TorchDispatchMode):
    """The number of elements of real tensors that operators return."""

    most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and not made.is_meta:
            self.most = max(self.most, made.numel())
        return made


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**LARGE_LLAMA, "hidden_act": "sillu"}, "LlamaModel .*: hidden_act is 'sillu', which it does not know"),
        (
            {**LARGE_LLAMA, "rope_parameters": {"rope_type": "linaer", "rope_theta": 1e4}},
            "rope_parameters.rope_type is 'linaer', which it does not know",
        ),
        ({**LARGE_LLAMA, "pad_token_id": 99_999}, "AssertionError: Padding_idx must be within num_embeddings"),
        ({"model_type": "bert", "num_attention_heads": 17}, "not a multiple of the number of attention heads"),
        ({"model_type": "gpt2", "n_head": 11}, "cannot build GPT2Model .*must be divisible by num_heads"),
        ({"model_type": "vit", "hidden_act": "gelo"}, "cannot build ViTModel .*: hidden_act is 'gelo'"),
        ({"model_type": "t5", "feed_forward_proj": "gated-x"}, "cannot build T5Model .* is 'x'"),
        ({"model_type": "mixtral", "hidden_act": "nope"}, "cannot build MixtralModel .*: hidden_act is 'nope'"),
        (
            {"model_type": "llava", "text_config": {**LARGE_LLAMA, "hidden_act": "sillu"}},
            "cannot build LlavaModel .*: text_config.hidden_act is 'sillu'",
        ),
        ({"model_type": "timm_backbone", "backbone": "resnet18a"}, "Unknown model"),
        ({**LARGE_LLAMA, "num_attention_heads": "32"}, "cannot use the configuration in .*expected int, got str"),
        ({**LARGE_LLAMA, "layer_types": ["odd"]}, "cannot use the configuration in "),
    ],
)
def test_a_configuration_that_fails_says_why_and_gets_no_weights(
    config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with Allocated() as allocated, pytest.raises(InputError, match=message) as caught:
        load(f"hf:{tmp_path}")
    assert "\n" not in str(caught.value)
    assert allocated.most < 2**20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is told in kilobytes here")
def test_a_large_configuration_that_fails_takes_no_memory(tmp_path: Path) -> None:
    settings = {**LARGE_LLAMA, "rope_parameters": {"rope_type": "linaer", "rope_theta": 1e4}}
    (tmp_path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    code = (
        "import resource, sys\nfrom thoplw.errors import InputError\nfrom thoplw.models.registry import load\n"
        "load('hf:llama')\n"  # imports, and a model that is built
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    load(f'hf:{sys.argv[1]}')\nexcept InputError:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000  # the weights would be 27,000,000
