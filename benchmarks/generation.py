"""Generation by every causal architecture of transformers: what ``profile_generation`` says and what ``generate`` does.

::

    python benchmarks/generation.py run                 # all; results are kept, and what is known is not done again
    python benchmarks/generation.py run llama mamba2
    python benchmarks/generation.py table > benchmarks/generation.md
    python benchmarks/generation.py speed               # of Llama-405B, in bare forwards of resnet18 on the meta device

Each architecture is made small, with random weights. ``checks/generation_oracle.py`` generates with it for real, counts
each call on real tensors, and adds up the storages that the cache holds before each. Equal means the same
multiply-accumulates in each call and the same bytes after each, to the unit; ``profile_generation`` runs some of the
steps alone, and works out the others.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.generation_oracle import generated  # noqa: E402
from checks.sweep import Sweep, in_short  # noqa: E402

import thoplw  # noqa: E402
from thoplw.models.hf.defaults import COMPLETE  # noqa: E402
from thoplw.models.hf.words import each  # noqa: E402

#: Seconds for an architecture, built and run both ways.
SECONDS = 240

#: Of a prompt so long so many tokens are generated, of so many sequences.
PROMPT, NEW, BATCH = 20, 14, 2

#: Parameters that a model has at most.
LARGEST = 4e8

#: Settings, and what they are made at most: how many there are of something, and windows, which then matter.
FEW = {
    3: "num_hidden_layers num_layers n_layer n_layers num_encoder_layers num_decoder_layers encoder_layers "
    "decoder_layers num_blocks num_hidden_layers_text",
    2: "num_experts_per_tok num_experts_per_token moe_top_k top_k moe_topk",
    8: "num_experts n_routed_experts num_local_experts moe_num_experts num_routed_experts",
    1000: "vocab_size text_vocab_size vocab_size_per_layer_input",
    24: "sliding_window attention_chunk_size window_size attention_window_size local_attention",
}

#: Settings of width, and what they become; where that cannot be built or run, they stay.
NARROW = {
    64: "hidden_size n_embd d_model dim embedding_size word_embed_proj_dim hidden_dim",
    96: "intermediate_size ffn_dim n_inner d_ff decoder_ffn_dim encoder_ffn_dim moe_intermediate_size "
    "shared_expert_intermediate_size ffn_hidden_size",
    4: "num_attention_heads n_head n_heads decoder_attention_heads encoder_attention_heads",
    2: "num_key_value_heads num_kv_heads",
    16: "head_dim qk_nope_head_dim v_head_dim attention_head_dim qk_rope_head_dim",
    8: "rotary_dim",
    32: "q_lora_rank kv_lora_rank",
}

_HYBRID = {"num_hidden_layers": 4}  # the last of four attends
_LINEAR = {"linear_head_dim": 16, "linear_num_heads": 4}
_INDEXED = {
    "indexer_n_heads": 2,
    "indexer_head_dim": 16,
    "indexer_budget": 16,
    "indexer_compress_ratio": 4,
    "ngram_vocab_size_base": 1000,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
_INKLING = {
    "num_hidden_layers": 4,
    "layer_types": ["hybrid_sliding", "hybrid"] * 2,
    "unpadded_vocab_size": 900,
    "swa_num_attention_heads": 4,
    "swa_num_key_value_heads": 2,
    "swa_head_dim": 16,
    "sliding_window_size": 24,
}

#: Architectures -> settings that follow from others, so that they can be small.
SPECIAL = each(
    {
        "bailing_hybrid": {
            **_LINEAR,
            "num_hidden_layers": 4,
            "layer_group_size": 2,
            "num_expert_group": 2,
            "topk_group": 1,
        },
        "axk1": {"n_group": 2, "topk_group": 1},
        "bamba": {"attn_layer_indices": [1]},
        "blenderbot": {"decoder_layers": 2},
        "blt": {"encoder_hash_byte_group_vocab": 1000},
        "dory": {"n_input_layers": 1, "n_recurrent_layers": 1, "n_output_layers": 1},
        "gemma3n": {"text_config": {"num_kv_shared_layers": 0}},
        "gemma3n_text": {"num_kv_shared_layers": 0},
        "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
        "granitemoehybrid": {"num_hidden_layers": 3, "layer_types": ["attention"] * 3},
        "inkling2_text": _INKLING,
        "inkling2_loop_text": {
            **_INKLING,
            "loop_layer_index_start": 1,
            "loop_layer_index_end": 3,
            "n_layers_per_attn_res_block": 1,
        },
        "jamba": {**_HYBRID, "attn_layer_period": 2, "attn_layer_offset": 1, "mamba_dt_rank": 8},
        "kimi_linear": {**_LINEAR, "num_hidden_layers": 5},
        "lfm2_moe": {**_HYBRID, "layer_types": ["conv", "full_attention"] * 2},
        "mamba2": {"num_heads": 8, "head_dim": 16, "n_groups": 1},
        "qwen3_next qwen3_5 qwen3_5_text qwen3_5_moe qwen3_5_moe_text": _HYBRID,
        "qwen4_exp qwen4_exp_text": {**_HYBRID, **_INDEXED},
        "xlstm": {"embedding_dim": 64, "qk_dim_factor": 1.0},
        "xmod": {"default_language": "en_XX"},
        "zamba2": {"num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2},
        "zamba": {
            "num_hidden_layers": 4,
            "layers_block_type": ["linear_attention", "hybrid"] * 2,
            "attention_hidden_size": 128,
            "attention_head_dim": 32,
            "num_key_value_heads": 4,
            "mamba_dt_rank": 8,
        },
    }
)

# -- small models ------------------------------------------------------------------------------------------------------


def names() -> list[str]:
    """Every model type that has a causal head."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def smaller(config: Any, narrow: bool, few: bool = True) -> dict[str, Any]:
    """The settings to build a small model with, those of configurations inside of it as well."""
    found: dict[str, Any] = {}
    for key, value in vars(config).items():
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            found[key] = smaller(value, narrow, few)
        for most, keys in FEW.items():
            if few and key in keys.split() and isinstance(value, int) and not isinstance(value, bool) and value > most:
                found[key] = most
        if few and key.endswith("_id") and isinstance(value, int) and value > 1000:
            found[key] = 999
        for size, keys in NARROW.items():
            if narrow and key in keys.split() and isinstance(value, int) and value > size:
                found[key] = size
    if "kv_lora_rank" in vars(config) and "num_key_value_heads" in found:  # latents are of all heads
        found["num_key_value_heads"] = found.get("num_attention_heads", found["num_key_value_heads"])
    return found


def candidates(name: str) -> Iterator[Any]:
    """Small models of an architecture, the smallest first; not all of them may run."""
    from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING

    for narrow, few in ((True, True), (False, True), (False, False)):
        try:
            config, given = CONFIG_MAPPING[name](**COMPLETE.get(name, {})), dict(COMPLETE.get(name, {}))
            cls = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
            inner = [key for key, each in vars(config).items() if type(each) is cls.config_class]
            if cls.config_class is not type(config) and inner:  # the part of a larger model that generates
                config, given = getattr(config, inner[0]), given.get(inner[0], {})
            settings = merged(merged(given, smaller(config, narrow, few)), SPECIAL.get(name, {}) if few else {})
            config = type(config)(**settings)
            if hasattr(config, "is_decoder") and not getattr(config, "is_encoder_decoder", False):
                config.is_decoder = True
            with torch.device("meta"):
                size = sum(each.numel() for each in cls(config).parameters())
            if size > LARGEST:
                raise ValueError(f"{size:,} parameters")
            torch.manual_seed(0)
            model = cls(config).eval()
            if name.startswith("musicgen"):  # what its checkpoints say
                model.generation_config.decoder_start_token_id = model.generation_config.pad_token_id = 999
            yield model
        except Exception as error:
            yield error


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two dictionaries as one, at any depth."""
    found = {**first, **second}
    for key in first.keys() & second.keys():
        if isinstance(first[key], dict) and isinstance(second[key], dict):
            found[key] = merged(first[key], second[key])
    return found


# -- both ways ---------------------------------------------------------------------------------------------------------


def tried(name: str, cache: str = "dynamic") -> dict[str, Any]:
    """What is found of an architecture."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    from transformers import logging

    logging.set_verbosity_error()
    found: dict[str, Any] = {"name": name, "cache": cache}
    options = {} if cache == "dynamic" else {"cache_implementation": cache}
    errors: list[str] = []
    for model in candidates(name):
        if isinstance(model, Exception):
            errors.append(in_short(model, 240))
            continue
        try:
            from thoplw.models.hf.sample import Sample

            token = Sample(model=model, seq=None, batch=1).plain
            ids = torch.full((BATCH * getattr(model.config, "num_codebooks", 1), PROMPT), token)
            found["real"], found["held"] = generated(model, ids, NEW, **options)
            found["class"] = type(model).__name__
        except Exception as error:
            errors.append(in_short(error, 240))
            continue
        try:
            report = thoplw.profile_generation(model, PROMPT, NEW, len(ids), cache=cache, verbose=False)
            steps = {place: part for part in report.parts for place in range(part.first, part.last + 1)}
            figures = [[int(each) for each in steps[place].at(place)] for place in sorted(steps)]
            found["said"] = [report.prefill.total_macs, *(each[0] for each in figures)]
            found["bytes"] = [report.cache_bytes(PROMPT), *(each[2] for each in figures)]
            found["total"] = report.total_macs
            found["parts"] = len(report.parts)
            found["notes"] = list(report.notes)
            found["classes"] = sorted(report.cache_bytes(PROMPT, by="class"))
        except Exception as error:
            found["profile"] = in_short(error, 240)
        return found
    return found | {"run": " // ".join(dict.fromkeys(errors))}


def verdict(found: dict[str, Any]) -> str:
    """``equal``, or what came in between."""
    if "run" in found:
        return f"does not run for real: {found['run']}"
    if "profile" in found:
        return f"refused: {found['profile']}"
    if len(found["said"]) != len(found["real"]):
        return f"{len(found['said'])} calls for {len(found['real'])}"
    for what, said, real in (("MACs", found["said"], found["real"]), ("bytes", found["bytes"], found["held"])):
        # Before the first call there is no cache, and of that after the last nobody asks.
        for call, (one, other) in enumerate(zip(said, real, strict=False)):
            if one != other:
                return f"call {call + 1}: {one:,} {what} for {other:,}"
    return "equal" if found["total"] == sum(found["real"]) else f"total {found['total']:,}"


SWEEP = Sweep(
    file=ROOT / "benchmarks" / "generation.jsonl",
    keys=("name", "cache"),
    tried=tried,
    verdict=verdict,
    failed="run",
    seconds=SECONDS,
    tasks=20,
)


def run(wanted: list[str]) -> None:
    """Try architectures; without names those that are not known."""
    known = SWEEP.read()
    pairs = [(name, cache) for cache in ("dynamic", "static") for name in wanted or names()]
    SWEEP.run(pair for pair in pairs if wanted or pair not in known)


# -- the page ----------------------------------------------------------------------------------------------------------

#: Why an architecture is not equal, as far as that is known.
REASONS = {
    "blt": "its patches end where entropies are large, which a run without values does not know",
    "gemma4_assistant": "it drafts for another model, whose cache it reads: it does not generate alone",
    "gemma4_unified_assistant": "it drafts for another model, whose cache it reads: it does not generate alone",
    "longcat_flash": "some of its experts do nothing, and how many tokens go to these depends on values",
}

#: Why transformers itself cannot run an architecture with a static cache: each fails without thoplw in the same way.
NOT_STATIC = {
    "blt": "transformers makes layers of the static cache for one of its three models",
    "cpmant": "it puts 32 positions before the prompt, for which the static cache of transformers has no places",
    "deepseek_v4": "transformers has no static layer for its compressed attention",
    "inkling2_loop_text": "it adds scores of the positions in its window to a mask of all places in the static cache",
    "inkling2_text": "it adds scores of the positions in its window to a mask of all places in the static cache",
    "prophetnet": "its mask has the positions of the prompt, and its scores those of all places in the static cache",
    "xlm": "its mask has the positions so far, and its scores those of all places in the static cache",
}


def reason(name: str, cache: str) -> str:
    """Why an architecture is not equal."""
    return (NOT_STATIC.get(name, "") if cache == "static" else "") or REASONS.get(name, "")


def table() -> str:
    """The page."""
    found = SWEEP.read()
    verdicts = {key: verdict(each) for key, each in found.items()}
    kinds = [kind for kind in ("dynamic", "static") if any(cache == kind for _, cache in found)]
    lines = [
        "# Generation by every causal architecture",
        "",
        f"Small models of the {len(names())} causal architectures of transformers, with random weights, generate",
        f"{NEW} tokens for {BATCH} prompts of {PROMPT} for real. Equal means: each call costs, on real tensors, what",
        "`profile_generation` says, and the storages that the cache holds before each call have the bytes that it",
        "says, all to the unit; so has the total. It runs some of the steps without values, and works out the others.",
        "Windows are 24 positions long here, and end within the generation.",
        "",
        f"{date.today().isoformat()}; torch {torch.__version__}, transformers {version('transformers')}. Written by",
        "`benchmarks/generation.py`, which says how.",
        "",
        "| cache | equal | does not run for real | different, or refused | not tried |",
        "|---|--:|--:|--:|--:|",
    ]
    for kind in kinds:
        counts = Counter(
            "none" if "run" in found[key] else said == "equal" for key, said in verdicts.items() if key[1] == kind
        )
        lines.append(
            f"| {kind} | {counts[True]} | {counts['none']} | {counts[False]} | {len(names()) - counts.total()} |"
        )
    others = [(name, cache, said) for (name, cache), said in sorted(verdicts.items()) if said != "equal"]
    lines += ["", "## Exceptions", "", "| model type | cache | why | what was seen |", "|---|---|---|---|"]
    for name, cache, said in others:
        lines.append(f"| {name} | {cache} | {reason(name, cache)} | {said.replace('|', '/')[:160]} |")
    lines += [
        "",
        "## Equal",
        "",
        "MACs of the prefill, of the first and of the last step; bytes of the cache after the prompt, and before the",
        "last step; in how many parts the costs of steps are polynomials; what holds the cache.",
        "",
        "| model type | cache | prefill | first step | last step | after prompt | before last step | parts | in |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for (name, cache), said in sorted(verdicts.items()):
        if said == "equal":
            each = found[name, cache]
            costs = " | ".join(f"{each['real'][place]:,}" for place in (0, 1, -1))
            held = " | ".join(f"{each['held'][place]:,}" for place in (0, -1))
            lines.append(
                f"| {name} | {cache} | {costs} | {held} | {each['parts']} | {', '.join(each['classes']) or 'none'} |"
            )
    return "\n".join(lines) + "\n"


def speed(runs: int = 9) -> str:
    """How long 1,024 tokens of Llama-405B after a prompt of 4,096 take, in bare forwards of resnet18."""
    import torchvision
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)
    config = LlamaConfig(
        hidden_size=16384,
        intermediate_size=53248,
        num_hidden_layers=126,
        num_attention_heads=128,
        num_key_value_heads=8,
        vocab_size=128256,
        max_position_embeddings=131072,
    )
    with torch.device("meta"):
        resnet, image = torchvision.models.resnet18().eval(), torch.empty(1, 3, 224, 224)
        llama = LlamaForCausalLM(config).to(torch.bfloat16)
    ratios = []
    for _ in range(runs):
        with torch.inference_mode():
            bare = median(_seconds(lambda: resnet(image)) for _ in range(19))
        ratios.append(_seconds(lambda: thoplw.profile_generation(llama, 4096, 1024, 8, verbose=False)) / bare)
    return f"{min(ratios):.0f} to {max(ratios):.0f}, most often {median(ratios):.0f} bare forwards of resnet18\n"


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()  # of this process, as others may use the machine
    run()
    return time.process_time() - start


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:])
    elif sys.argv[1:] == ["table"]:
        sys.stdout.write(table())
    elif sys.argv[1:] == ["speed"]:
        sys.stdout.write(speed())
    else:
        sys.exit(__doc__)
