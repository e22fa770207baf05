"""What generation costs: against algebra, and against a real ``generate``, call by call."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from checks.generation_oracle import generated
from checks.releases import working_transformers
from torch import nn

import thoplw
from thoplw.errors import DataDependentError, InputError, MissingExtraError, UnknownNameError

transformers = working_transformers()

PROMPT, NEW, BATCH = 20, 14, 2

TINY: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 200,
    "pad_token_id": 0,
}
LATENT = {"kv_lora_rank": 32, "q_lora_rank": 48, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 12}

#: Model type -> settings that make it small.
MODELS: dict[str, dict[str, Any]] = {
    "llama": TINY,
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 200, "pad_token_id": 0},
    "mixtral": {**TINY, "num_local_experts": 4},
    "qwen3_moe": {**TINY, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16},
    "deepseek_v3": {
        **TINY,
        **LATENT,
        "num_key_value_heads": 4,
        "n_routed_experts": 8,
        "n_group": 2,
        "topk_group": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "first_k_dense_replace": 1,
    },
    "gemma2": {**TINY, "head_dim": 16, "sliding_window": 24},
    "mamba": {
        "hidden_size": 64,
        "state_size": 16,
        "time_step_rank": 4,
        "num_hidden_layers": 2,
        "vocab_size": 200,
        "pad_token_id": 0,
    },
    "mamba2": {
        "hidden_size": 64,
        "num_heads": 8,
        "head_dim": 16,
        "n_groups": 1,
        "state_size": 16,
        "num_hidden_layers": 2,
        "vocab_size": 200,
        "pad_token_id": 0,
    },
}


def small(name: str, **more: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(name, **{**MODELS[name], **more})
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def profiled(model: Any, prompt: int = PROMPT, new: int = NEW, batch: int = BATCH, **more: Any) -> thoplw.Generation:
    return thoplw.profile_generation(model, prompt, new, batch, verbose=False, **more)


def said(report: thoplw.Generation) -> tuple[list[int], list[int]]:
    """The cost of each call, and the bytes that each leaves."""
    steps = [part.at(place) for part in report.parts for place in range(part.first, part.last + 1)]
    costs = [report.prefill.total_macs, *(int(macs) for macs, *_ in steps)]
    return costs, [report.cache_bytes(report.prompt), *(int(held) for _, _, held, _ in steps)]


# -- against a real run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("name", MODELS)
def test_each_call_is_what_generate_really_costs_and_holds(name: str, cache: str) -> None:
    model = small(name)
    options = {} if cache == "dynamic" else {"cache_implementation": cache}
    costs, held = generated(model, torch.ones(BATCH, PROMPT, dtype=torch.long), NEW, **options)
    report = profiled(model, cache=cache)
    own_costs, own_held = said(report)
    assert own_costs == costs
    assert own_held[: len(held)] == held
    assert report.total_macs == sum(costs)
    for call, position in ((1, PROMPT), (4, PROMPT + 3), (NEW - 1, PROMPT + NEW - 2)):
        assert report.decode(position).total_macs == costs[call]
        assert report.cache_bytes(position) == held[call - 1]
    assert sum(report.cache_bytes(by="layer").values()) == report.cache_bytes()
    assert sum(report.cache_bytes(by="class").values()) == report.cache_bytes()


def test_a_cache_that_is_quantised_in_full_is_run_step_by_step() -> None:
    """A step on a cache that was quantised by a prompt of 21 costs something else than the second after one of 20."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4, bias=False)

    def prefill(model: nn.Module, ids: torch.Tensor) -> Any:
        return [model.layer(torch.zeros(*ids.shape, 4)), torch.zeros(len(ids), 0, 4)]  # type: ignore[operator] # a layer

    def step(model: nn.Module, ids: torch.Tensor, state: Any) -> Any:
        kept, rest = state
        return [kept, torch.cat([rest, model.layer(torch.cat([rest, torch.zeros(len(ids), 1, 4)], 1))[:, -1:]], 1)]  # type: ignore[operator] # a layer

    report = profiled(Residual(), 20, 31, 1, prefill=prefill, step=step)
    assert report.total_macs == 16 * 20 + sum(16 * each for each in range(1, 31))
    assert report.decode(25).total_macs == 16 * 6
    assert report.cache_bytes(25) == 4 * 4 * 25
    assert any("each of the 30 steps was run" in note for note in report.notes)


# -- against algebra ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(4096, 14336, 32, 32, 8, 128256), (16384, 53248, 126, 128, 8, 128256)])  # 8B, 405B
def test_llama_is_its_algebra(size: tuple[int, ...]) -> None:
    width, inner, layers, heads, groups, words = size
    config = transformers.LlamaConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        vocab_size=words,
    )
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config).to(torch.bfloat16).eval()
    prompt, new, batch = 4096, 1024, 8
    report = profiled(model, prompt, new, batch)
    kept = 2 * groups * width // heads  # keys and values of a position in a layer
    layer = 2 * width * width + width * kept + 3 * width * inner
    prefill = batch * (layers * (prompt * layer + 2 * prompt * prompt * width) + width * words)
    assert report.prefill.total_macs == prefill
    steps = range(prompt, prompt + new - 1)
    for position in (4096, 4500, 5118):
        assert report.decode(position).total_macs == batch * (
            layers * (layer + 2 * (position + 1) * width) + width * words
        )
    assert report.total_macs == prefill + batch * sum(
        layers * (layer + 2 * (position + 1) * width) + width * words for position in steps
    )
    assert len(report.parts) == 1
    for position in (1, 4096, 4097, 5119):
        assert report.cache_bytes(position) == 2 * batch * layers * kept * position
    assert report.cache_bytes(4100, by="layer") == dict.fromkeys(range(layers), 2 * batch * kept * 4100)
    assert [*report.cache_bytes(4100, by="class")] == ["DynamicLayer"]
    assert report.reserved_bytes(4100) == 2 * batch * layers * kept * 4112
    assert report.reserved_bytes(4100, page=1) == report.cache_bytes(4100)
    assert report.notes == ()
    assert profiled(model, 100, 1, batch).total_macs == profiled(model, 100, 1, batch).prefill.total_macs
    assert profiled(model, 100, 3, batch, kv_dtype="fp8").cache_bytes(100) == batch * layers * kept * 100


@pytest.mark.parametrize("batch", [1, 32])
def test_a_step_reads_weights_and_cache_once(batch: int) -> None:
    config = transformers.LlamaConfig(**{**TINY, "num_attention_heads": 4})
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    report = profiled(model, 400, 2, batch)
    weights = 2 * (sum(each.numel() for each in model.parameters()) - 200 * 64 + 64 * batch)  # a row for each token
    positions = 2 * 2 * 2 * 2 * 16 * 400 * batch  # keys and values of two layers
    rest = report.decode().compulsory - weights - positions
    assert 0 <= rest - 2 * 200 * batch < 100 * batch  # logits; ids, and what tells positions
    assert report.active_params == sum(each.numel() for each in model.parameters())
    assert report.active_params_without_embeddings == report.active_params - 200 * 64


def test_experts_that_a_token_is_not_sent_to_are_not_active() -> None:
    model = small("mixtral")
    report = profiled(model)
    experts = 3 * 64 * 96
    every = sum(each.numel() for each in model.parameters())
    assert report.active_params == every - 2 * (4 - 2) * experts


def test_windows_end_a_part_and_hold_no_more() -> None:
    report = profiled(small("gemma2"))
    first, second = report.parts
    assert (first.last, second.first) == (23, 24)  # from 24 on, 23 positions and the new one are all that it sees
    row = 2 * 2 * 16 * 4 * BATCH  # keys and values of 2 heads of 16 numbers, float32
    assert report.cache_bytes(33, by="class") == {"DynamicLayer": row * 33, "DynamicSlidingWindowLayer": row * 24}
    # A page has 16 positions: the window keeps 23.
    assert report.reserved_bytes(33) == row * 48 + row * 32
    assert any("window of" in note for note in profiled(small("gemma2"), prompt=40).notes)


def test_latents_are_held_and_absorbed() -> None:
    model = small("deepseek_v3")
    report = profiled(model)
    assert report.cache_bytes(PROMPT) == BATCH * 2 * PROMPT * (32 + 8) * 4
    heads, rank, plain, rotary, value, layers = 4, 32, 16, 8, 12, 2

    def less(positions: int) -> int:
        expanded = positions * rank * heads * (plain + value) + heads * positions * (plain + rotary + value)
        return expanded - heads * (plain * rank + positions * (2 * rank + rotary) + rank * value)

    saved = BATCH * layers * sum(less(position + 1) for position in range(PROMPT, PROMPT + NEW - 1))
    assert report.total_macs_absorbed == report.total_macs - saved
    assert any("kv_b_proj" in note and "total_macs_absorbed" in note for note in report.notes)
    assert "Absorbed" in report.summary()
    llama = profiled(small("llama"))
    assert llama.total_macs_absorbed == llama.total_macs
    assert "Absorbed" not in llama.summary()


def test_a_state_space_is_as_large_at_any_position() -> None:
    report = profiled(small("mamba2"), prompt=300)
    row = BATCH * 4 * 2  # two layers
    convolution, state = (128 + 2 * 16) * 4, 8 * 16 * 16
    assert report.cache_bytes(300) == report.cache_bytes(313) == row * (convolution + state)
    assert len(report.parts) == 1
    assert report.reserved_bytes(300) == report.cache_bytes(300)
    assert profiled(small("mamba2"), prompt=300, kv_dtype="fp8").cache_bytes(300) == report.cache_bytes(300)


def test_states_of_one_rank_have_no_positions() -> None:
    """Those of a convolution and those of a recurrence, ``[batch, inner, 4]`` and ``[batch, inner, 16]``."""
    report = profiled(small("mamba"), kv_dtype="fp8")
    assert report.cache_bytes() == report.reserved_bytes() == BATCH * 2 * 128 * (4 + 16) * 4


@pytest.mark.parametrize("batch", [1, 3])
def test_views_of_one_storage_hold_it_once(batch: int) -> None:
    """Two layers, each with keys and values that are cut out of one product with the queries."""

    def run(model: nn.Module, ids: torch.Tensor) -> Any:
        product = model.layer(torch.zeros(*ids.shape, 8))  # type: ignore[operator] # a layer
        return [part.split([16, 8, 8], -1)[1:] for part in product.chunk(2, -1)]

    model = nn.Module()
    model.layer = nn.Linear(8, 64)
    report = profiled(model, 48, 2, batch, prefill=run, step=lambda model, ids, state: run(model, ids) and state)
    whole, shown = batch * 48 * 64 * 4, batch * 48 * 32 * 4
    assert report.cache_bytes(48) == whole
    assert report.cache_bytes(48, by="layer") == {0: whole // 2, 1: whole // 2}
    assert report.reserved_bytes(48) == shown
    half = profiled(model, 48, 2, batch, prefill=run, step=lambda *given: run(*given[:2]) and given[2], kv_dtype="fp16")
    assert half.cache_bytes(48) == whole // 2


def test_a_static_cache_costs_its_whole_length_and_says_so() -> None:
    report = profiled(small("llama"), cache="static")
    costs, held = said(report)
    assert len({*costs[1:]}) == len({*held}) == 1
    assert held[0] == BATCH * 2 * 2 * 2 * 16 * 4 * (PROMPT + NEW - 1)
    assert any(f"{PROMPT + NEW - 1} positions from the beginning" in note for note in report.notes)


def test_states_have_no_positions_that_a_step_could_attend_to() -> None:
    assert not any("static cache" in note for note in profiled(small("mamba"), cache="static").notes)


def test_a_formula_of_training_is_said_to_be_one() -> None:
    (note, *_) = profiled(small("llama"), convention="6n").notes
    assert note.startswith("6n is a formula of a training step")
    assert not any("training step" in each for each in profiled(small("llama")).notes)


def test_types_of_the_cache() -> None:
    model = small("llama")
    held = profiled(model).cache_bytes(PROMPT)
    assert profiled(model, kv_dtype=torch.float16).cache_bytes(PROMPT) == held // 2
    assert profiled(model, kv_dtype="fp8").cache_bytes(PROMPT) == held // 4
    assert profiled(model, kv_dtype="fp8", cache="static").cache_bytes(PROMPT) == (
        profiled(model, cache="static").cache_bytes(PROMPT) // 4
    )
    kept = profiled(model, cache="fp8")
    assert kept.cache_bytes(PROMPT) == held // 4  # the scale of a layer is one number
    assert kept.total_macs >= profiled(model).total_macs


@pytest.mark.parametrize(("cache", "package"), [("fp8", "torch"), ("hqq", "hqq"), ("quanto", "optimum.quanto")])
def test_quantised_caches_hold_what_they_really_hold(cache: str, package: str) -> None:
    pytest.importorskip(package)
    model = small("llama", hidden_size=256)  # as hqq and quanto scale 64 numbers at once
    options = {"cache_implementation": "quantized", "cache_config": {"backend": cache}}
    costs, held = generated(model, torch.ones(BATCH, PROMPT, dtype=torch.long), NEW, **options)
    own_costs, own_held = said(profiled(model, cache=cache))
    assert own_costs == costs
    assert own_held[: len(held)] == held


def test_memory_is_weights_and_cache_and_what_the_call_makes() -> None:
    """At the end of a step there are the old cache and the new one, which it is copied to."""

    def prefill(model: nn.Module, ids: torch.Tensor) -> Any:
        return model.layer(torch.zeros(*ids.shape, 8))  # type: ignore[operator] # a layer

    def step(model: nn.Module, ids: torch.Tensor, state: Any) -> Any:
        return torch.cat([state, prefill(model, ids)], 1)

    model = nn.Module()
    model.layer = nn.Linear(8, 4, bias=False)
    report = profiled(model, prompt=100, new=20, batch=3, prefill=prefill, step=step, memory=True)
    weights, ids, x, row = 8 * 4 * 4, 3 * 8, 3 * 8 * 4, 3 * 4 * 4
    memory = report.prefill.memory
    assert memory.by_kind == {"temporaries": 100 * (ids + x), "cache": 100 * row, "weights": weights}
    for at in (100, 115):
        memory = report.decode(at).memory
        assert memory.peak_at.operator == "aten.cat"
        assert memory.by_kind == {"cache": (2 * at + 1) * row, "weights": weights, "temporaries": ids + row}
    assert report.memory.peak == report.prefill.memory.peak > report.decode(118).memory.peak
    long = profiled(model, prompt=100, new=200, batch=3, prefill=prefill, step=step, memory=True)
    assert long.memory.peak == long.decode(298).memory.peak > long.prefill.memory.peak
    alone = profiled(model, prompt=100, new=1, batch=3, prefill=prefill, step=step, memory=True)
    assert alone.memory.peak == alone.prefill.memory.peak
    unasked = profiled(model, prompt=100, new=20, prefill=prefill, step=step)
    for ask in (lambda: unasked.decode().memory, lambda: unasked.memory):
        with pytest.raises(InputError, match="memory=True"):
            ask()


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_the_cache_is_a_kind_of_memory(cache: str) -> None:
    report = profiled(small("mixtral"), prompt=200, cache=cache, memory=True)
    weights = 4 * sum(each.numel() for each in small("mixtral").parameters())
    for info in (report.prefill, report.decode(), report.decode(205)):
        assert info.memory.by_kind["weights"] == weights
    held = report.cache_bytes(200)
    # While keys of a layer are copied to those with a position more, both are there; a static cache has two lengths.
    more = report.cache_bytes(201) // 2 if cache == "dynamic" else 2 * 8
    assert held < report.decode().memory.by_kind["cache"] <= held + more
    assert report.prefill.total_macs == profiled(small("mixtral"), prompt=200, cache=cache).prefill.total_macs
    (row,) = (row for row in report.decode().rows if row.name == "lm_head")
    assert row.name in report.decode().summary("csv", columns=["name", "peak"])


# -- models of any kind ------------------------------------------------------------------------------------------------


class Recurrent(nn.Module):
    """Takes again what it returns, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.cell = nn.GRU(8, 16, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, ids: torch.Tensor, memory: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        seen, memory = self.cell(self.embedding(ids), memory)
        return {"logits": self.head(seen), "memory": memory}


def test_a_forward_that_takes_again_what_it_returns() -> None:
    report = profiled(Recurrent(), 5, 9, 3)
    token = 3 * 16 * (8 + 16) + 16 * 10
    assert report.total_macs == 3 * (5 + 8) * token
    assert report.cache_bytes(7) == 3 * 16 * 4
    assert report.cache_bytes(7, by="class") == {"memory": 3 * 16 * 4}


def test_functions_call_any_model() -> None:
    model = Recurrent()
    report = profiled(
        model,
        5,
        9,
        3,
        prefill=lambda model, ids: model(ids)["memory"],
        step=lambda model, ids, memory: model(ids, memory)["memory"],
    )
    assert report.total_macs == profiled(model, 5, 9, 3).total_macs
    assert report.cache_bytes(7) == 3 * 16 * 4
    assert any(row.name == "model.cell" and row.macs for row in report.decode().rows)


CACHE = transformers.DynamicCache()


def of_the_file() -> Any:
    return CACHE


@pytest.mark.parametrize("where", ["file", "closure"])
def test_a_cache_of_the_users_is_as_it_was(where: str) -> None:
    """Every prefill goes on from what the user's cache holds, which each run puts back."""
    mine = transformers.DynamicCache()
    model = small("llama")

    def prefill(model: Any, ids: torch.Tensor) -> Any:
        return model(ids, cache=of_the_file() if where == "file" else mine, use_cache=True, logits_to_keep=1).cache

    def step(model: Any, ids: torch.Tensor, cache: Any) -> Any:
        return model(ids, cache=cache, use_cache=True).cache

    report = profiled(model, prefill=prefill, step=step)
    assert report.total_macs == profiled(model).total_macs
    assert CACHE.get_seq_length() == mine.get_seq_length() == 0


class Forgetful(nn.Module):
    """Keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_a_cache_that_no_call_hands_on_is_said() -> None:
    def step(model: nn.Module, ids: torch.Tensor, state: None = None) -> None:
        model(torch.zeros(*ids.shape, 4))

    report = profiled(Forgetful(), 5, 3, prefill=step, step=step)
    assert report.cache_bytes() == 0
    assert any("there is no cache" in note for note in report.notes)


def test_the_model_is_as_it_was() -> None:
    model = small("llama")
    before = {key: value for key, value in vars(model).items() if key != "generation_config"}
    config = model.generation_config.to_dict()
    profiled(model)
    assert {key: value for key, value in vars(model).items() if key != "generation_config"} == before
    assert model.generation_config.to_dict() == config
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prefill_chunk_size", 4), ("guidance_scale", 2.0), ("prompt_lookup_num_tokens", 3), ("stop_strings", ["a"]),
        ("max_time", 1e-9), ("penalty_alpha", 0.6), ("assistant_early_exit", 1),
    ],
)  # fmt: skip
def test_a_configuration_of_other_calls_changes_nothing(name: str, value: Any) -> None:
    model = small("llama")
    total = profiled(model).total_macs
    setattr(model.generation_config, name, value)
    assert profiled(model).total_macs == total
    assert getattr(model.generation_config, name) == value


# -- what it says ------------------------------------------------------------------------------------------------------


def test_logits_of_all_positions_are_said() -> None:
    model = small("llama")

    def prefill(model: Any, ids: torch.Tensor) -> Any:
        return model(ids, use_cache=True).cache

    def step(model: Any, ids: torch.Tensor, cache: Any) -> Any:
        return model(ids, cache=cache, use_cache=True).cache

    report = profiled(model, prefill=prefill, step=step)
    assert report.prefill.total_macs - profiled(model).prefill.total_macs == BATCH * (PROMPT - 1) * 64 * 200
    assert any("logits of all 20 positions" in note for note in report.notes)
    assert not any("logits" in note for note in profiled(model).notes)
    assert report.cache_bytes(25) == profiled(model).cache_bytes(25)


def test_summaries() -> None:
    report = profiled(small("llama"))
    assert report.summary("text").count("\n") >= 7
    assert str(report.total_macs) in report.summary("csv")
    assert f"{report.total_macs:,}" in report.summary("md", "grouped")
    total = report.summary("csv", "ratio").splitlines()[-1]
    assert total.split(",")[-1].strip() == thoplw.clever_format(report.cache_bytes(PROMPT + NEW - 1))
    document = json.loads(report.summary("json"))
    assert document["total_macs"] == report.total_macs
    assert document["cache_bytes"]["end"] == report.cache_bytes(PROMPT + NEW - 1)
    (part,) = document["steps"]
    assert int(part["macs"]["1"]) * PROMPT + int(part["macs"]["0"]) == report.decode().total_macs
    assert "Generation of LlamaForCausalLM" in repr(report)
    with pytest.raises(UnknownNameError):
        report.summary("yaml")
    with pytest.raises(UnknownNameError):
        report.summary("text", "pretty")


@pytest.mark.parametrize("figure", ["cost", "cache"])
def test_plots(figure: Any) -> None:
    pytest.importorskip("matplotlib")
    plot = profiled(small("gemma2")).plot(figure)
    assert plot.axes[0].get_xlabel() == "positions"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prompt": 0}, InputError, "prompt=0"),
        ({"new": True}, InputError, "new=True"),
        ({"cache": "dynamc"}, UnknownNameError, "dynamic"),
        ({"kv_dtype": "fp9"}, UnknownNameError, "fp8"),
        ({"prefill": len}, InputError, "go together"),
        ({"prefill": len, "step": 2}, InputError, "step=2: give a function"),
        ({"prefill": lambda *_: None, "step": lambda *_: None}, InputError, "LlamaForCausalLM ran no operator"),
        ({"prefill": len, "step": len, "cache": "static"}, InputError, "make the cache themselves"),
        ({"convention": "mac"}, UnknownNameError, "macs"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        thoplw.profile_generation(small("llama"), **{"prompt": 4, "new": 2, "verbose": False, **arguments})


def test_a_generation_that_needs_values_sends_to_count() -> None:
    def prefill(model: nn.Module, ids: torch.Tensor) -> Any:
        return model(ids).logits.sum().item()

    with pytest.raises(DataDependentError, match=r"thoplw\.count\(\) around a real generation counts it"):
        thoplw.profile_generation(small("llama"), prompt=4, new=2, prefill=prefill, step=prefill)


def test_models_that_do_not_generate() -> None:
    with pytest.raises(InputError, match="returns nothing that its forward takes again"):
        profiled(nn.Embedding(10, 4))
    with pytest.raises(InputError, match="has an encoder"):
        profiled(transformers.T5ForConditionalGeneration(transformers.T5Config(d_model=8, d_ff=8, num_layers=1)))
    with pytest.raises(InputError, match=r"a torch\.nn\.Module"):
        thoplw.profile_generation("llama")  # type: ignore[arg-type] # that is what is tested


def test_a_cache_whose_package_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thoplw.models.hf.generation.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"cache='quanto' needs optimum-quanto, .* pip install optimum-quanto"):
        profiled(small("llama"), cache="quanto")


def test_positions_that_are_none() -> None:
    report = profiled(small("llama"))
    with pytest.raises(InputError, match="at=0"):
        report.decode(0)
    with pytest.raises(InputError, match="at=-3"):
        report.cache_bytes(-3)
    with pytest.raises(InputError, match="page='16'"):
        report.reserved_bytes(page="16")  # type: ignore[arg-type] # that is what is tested
    with pytest.raises(UnknownNameError, match="layer"):
        report.cache_bytes(by="layers")  # type: ignore[arg-type] # that is what is tested


# -- floors ------------------------------------------------------------------------------------------------------------


class Remembers(nn.Module):
    """Hands on the rows of all tokens, and reads them."""

    WORDS, WIDTH = 50, 16

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(self.WORDS, self.WIDTH)
        self.head = nn.Linear(self.WIDTH, self.WORDS, bias=False)

    def forward(self, ids: torch.Tensor, rows: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        new = self.table(ids)
        rows = new if rows is None else torch.cat([rows, new], 1)
        return self.head(rows.sum(1)), rows


def remembered(new: int, prompt: int = 3, batch: int = 2) -> thoplw.Generation:
    return thoplw.profile_generation(
        Remembers(),
        prompt,
        new,
        batch,
        prefill=lambda model, ids: model(ids)[1],
        step=lambda model, ids, rows: model(ids, rows)[1],
        verbose=False,
    )


@pytest.mark.parametrize("cache", [0, 4500, 6000, 10**9])
def test_the_floor_of_a_generation_is_that_of_its_calls_one_after_the_other(cache: int) -> None:
    """Small caches leave all steps to the memory; larger ones the first to arithmetic, and then reads, and writes."""
    plain = thoplw.Device(name="plain", vector={"float32": 1e12}, bandwidth=1e12, cache=cache)
    prompt, new, batch = 3, 40, 2
    found = remembered(new, prompt, batch).on(plain)
    row, head = 4 * batch * 16, 4 * 16 * 50
    operations = 2 * batch * 16 * 50
    total = 0
    for before in range(prompt, prompt + new - 1):
        read = head + row + 8 * batch + before * row
        written = (before + 1) * row  # logits are not handed on
        total += max(operations, max(0, read - cache) + max(0, written - cache))  # a picosecond each
    assert found.floor_of_steps == pytest.approx(total / 1e12, rel=1e-12)
    assert found.floor == found.prefill.floor + found.floor_of_steps
    assert found.decode(20).floor * 1e12 == pytest.approx(
        max(operations, max(0, head + 21 * row + 16 - cache) + max(0, 21 * row - cache))
    )


def test_floors_stand_in_the_table_and_in_json() -> None:
    found = remembered(12)
    assert "Floor" not in found.summary()
    assert "floor" not in found.to_dict()
    timed = found.on("h100-sxm")
    assert timed.table().columns[-1] == "Floor"
    assert timed.table().notes[0].startswith("On NVIDIA H100 SXM5 80 GB: ")
    document = timed.to_dict()
    assert (document["device"], document["floor"]["total"]) == ("h100-sxm", timed.floor)
    assert remembered(1).on("h100-sxm").floor_of_steps == 0
    with pytest.raises(InputError, match=r"a floor needs a device: report\.on\('h100-sxm'\)\.floor"):
        _ = found.floor_of_steps
