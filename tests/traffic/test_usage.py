"""Bytes and active parameters of whole models, by algebra from their configurations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from checks.releases import working_transformers
from torch import nn

import thoplw
from thoplw.report.layer_info import LayerInfo

transformers = working_transformers()

#: Bytes of a number in bfloat16 and float32.
HALF, FULL = 2, 4

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(before)


def built(kind: str, **config: Any) -> nn.Module:
    made = transformers.CONFIG_MAPPING[kind](**config)
    with torch.device("meta"):
        model: nn.Module = transformers.AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16).eval()
    return model


def profiled(model: nn.Module, **inputs: Any) -> LayerInfo:
    return thoplw.profile(model, inputs, verbose=False)[2]


# -- a step of Llama-3-8B ----------------------------------------------------------------------------------------------

HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, HEAD, VOCABULARY = 4096, 14336, 32, 32, 8, 128, 128256
LLAMA = {
    "hidden_size": HIDDEN,
    "intermediate_size": FFN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 8192,
}

_ATTENTION = HIDDEN * HEAD * (2 * HEADS + 2 * KV_HEADS)
MATRICES = LAYERS * (_ATTENTION + 3 * HIDDEN * FFN) + VOCABULARY * HIDDEN
NORMS = (2 * LAYERS + 1) * HIDDEN
POSITION = 4096


@pytest.fixture(scope="module")
def llama() -> nn.Module:
    return built("llama", **LLAMA)


def step(model: nn.Module, batch: int) -> LayerInfo:
    """One token for each of some sequences, with a cache of what came before."""
    cache = transformers.DynamicCache()
    for layer in range(LAYERS):
        keys = torch.empty(batch, KV_HEADS, POSITION, HEAD, dtype=torch.bfloat16, device="meta")
        cache.update(keys, keys.clone(), layer)
    ids = torch.empty(batch, 1, dtype=torch.int64, device="meta")
    return profiled(model, input_ids=ids, past_key_values=cache)


def held(batch: int, positions: int) -> int:
    """Bytes of the cache."""
    return batch * LAYERS * 2 * KV_HEADS * HEAD * positions * HALF


def test_what_a_step_of_llama_must_move(llama: nn.Module) -> None:
    for batch, gigabytes in ((1, 15.55), (32, 32.2)):
        layers = step(llama, batch)
        # Weights, a row of embeddings, the cache and the token in; frequencies of positions; logits out.
        read = (MATRICES + NORMS + batch * HIDDEN) * HALF + held(batch, POSITION) + batch * 8 + HEAD // 2 * FULL
        assert layers.compulsory == read + batch * VOCABULARY * HALF
        assert layers.compulsory / 1e9 == pytest.approx(gigabytes, abs=0.005)


def _norm(tokens: int) -> int:
    """Bytes that an RMS norm of a row moves: to float, square, mean, plus, root, product, back, product."""
    x, half, one = tokens * HIDDEN * FULL, tokens * HIDDEN * HALF, tokens * FULL
    return (half + x) + 2 * x + (x + one) + 2 * one + 2 * one + (2 * x + one) + (x + half) + (2 * half + HIDDEN * HALF)


def _rotation(tokens: int, heads: int) -> int:
    """Bytes that turning a query or key moves: products with cos and sin, a half negated, joined, and a sum."""
    x = tokens * heads * HEAD * HALF
    angles = HEAD * HALF
    return (2 * x + angles) + x + 2 * x + (2 * x + angles) + 3 * x


def _linear(tokens: int, inputs: int, outputs: int) -> int:
    return (tokens * (inputs + outputs) + inputs * outputs) * HALF


def test_what_the_operators_of_a_step_of_llama_move(llama: nn.Module) -> None:
    for batch, gigabytes in ((1, 16.65), (32, 67.36)):
        layers = step(llama, batch)
        x, hidden = batch * HIDDEN * HALF, batch * FFN * HALF
        attention = (
            _linear(batch, HIDDEN, HEADS * HEAD)
            + 2 * _linear(batch, HIDDEN, KV_HEADS * HEAD)
            + _rotation(batch, HEADS)
            + _rotation(batch, KV_HEADS)
            # The cache is copied, with a position more, and that is read.
            + (held(batch, POSITION) + 2 * held(batch, POSITION + 1) + held(batch, 1)) // LAYERS
            + 2 * batch * HEADS * HEAD * HALF
            + _linear(batch, HEADS * HEAD, HIDDEN)
        )
        mlp = 2 * _linear(batch, HIDDEN, FFN) + 2 * hidden + 3 * hidden + _linear(batch, FFN, HIDDEN)
        block = 2 * _norm(batch) + attention + mlp + 2 * 3 * x
        ends = batch * 8 + 2 * x + _norm(batch) + _linear(batch, HIDDEN, VOCABULARY)
        # Of positions: a number is made, counted on, and times frequencies; an angle, its cos and sin, in bfloat16.
        angles = HEAD * FULL
        positions = (
            8 + (8 + 8) + (8 + FULL) + (FULL + angles) + (angles + angles) + 4 * 2 * angles + 2 * (angles + HEAD * HALF)
        )
        assert layers.total_moved - LAYERS * block - ends == positions
        assert layers.total_moved / 1e9 == pytest.approx(gigabytes, abs=0.005)


def test_a_step_is_read_by_layer(llama: nn.Module) -> None:
    layers = step(llama, 1)
    row = next(each for each in layers.modules if each.name == "model.layers.3.self_attn")
    # Weights, cache, one token in and out; of two angles, cos and sin; with all inside.
    inside = _ATTENTION * HALF + held(1, POSITION) // LAYERS + 2 * HIDDEN * HALF + 2 * HEAD * HALF
    assert row.compulsory == inside
    assert sum(each.moved for each in layers.modules) == layers.total_moved


# -- active parameters -------------------------------------------------------------------------------------------------

MIXTRAL = {"num_local_experts": 8, "num_experts_per_tok": 2}
QWEN3_30B = {
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "vocab_size": 151936,
}
QWEN3_235B = QWEN3_30B | {
    "hidden_size": 4096,
    "num_hidden_layers": 94,
    "num_attention_heads": 64,
    "moe_intermediate_size": 1536,
}

#: By kind and configuration: billions of parameters that a token's work touches, with embeddings and without.
ACTIVE = {
    "Mixtral-8x7B": ("mixtral", MIXTRAL, 12.88, 12.75),
    "Qwen3-30B-A3B": ("qwen3_moe", QWEN3_30B, 3.35, 3.04),
    "Qwen3-235B-A22B": ("qwen3_moe", QWEN3_235B, 22.19, 21.57),
    "DeepSeek-V3": ("deepseek_v3", {}, 37.55, 36.63),
    "gpt-oss-120b": ("gpt_oss", {}, 5.71, 5.13),
}


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 7])
@pytest.mark.parametrize("name", ACTIVE)
def test_active_parameters(name: str, length: int) -> None:
    kind, config, with_embeddings, without = ACTIVE[name]
    layers = profiled(built(kind, **config), input_ids=torch.zeros(1, length, dtype=torch.int64), use_cache=False)
    assert layers.active_params / 1e9 == pytest.approx(with_embeddings, abs=0.005)
    assert layers.active_params_without_embeddings / 1e9 == pytest.approx(without, abs=0.005)


@pytest.mark.parametrize("way", ["eager", "batched_mm", "grouped_mm"])
@pytest.mark.parametrize("length", [1, 2, 5, 64])
def test_experts_count_alike_however_they_run(way: str, length: int) -> None:
    hidden, ffn, experts, each, vocabulary = 32, 48, 8, 2, 50
    model = built(
        "mixtral",
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=experts,
        num_experts_per_tok=each,
        vocab_size=vocabulary,
    )
    model.set_experts_implementation(way)
    layers = profiled(model, input_ids=torch.zeros(1, length, dtype=torch.int64), use_cache=False)
    expert = 3 * hidden * ffn
    rest = hidden * (2 * hidden + hidden) + hidden * experts + 3 * hidden + hidden * vocabulary
    assert layers.active_params_without_embeddings == rest + each * expert
    assert layers.active_params == rest + each * expert + vocabulary * hidden
    # As many experts are read as there are, or as rows are sent to them, if these are fewer.
    used = next(row for row in layers.modules if row.name.endswith("experts"))
    given = length * (hidden * HALF + each * (FULL + 8))
    assert used.compulsory == min(experts, length * each) * expert * HALF + given + length * hidden * HALF


class Experts(nn.Module):
    """Experts in modules of their own, each called with the rows that chose it, and one that all rows meet."""

    def __init__(self, experts: int, each: int) -> None:
        super().__init__()
        self.router = nn.Linear(8, experts, bias=False)
        self.experts = nn.ModuleList(nn.Linear(8, 8, bias=False) for _ in range(experts))
        self.shared = nn.Linear(8, 8, bias=False)
        self.each = each

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, chosen = self.router(x).topk(self.each)
        mask = nn.functional.one_hot(chosen, len(self.experts)).sum(1)
        out = self.shared(x)
        for index, expert in enumerate(self.experts):
            rows = mask[:, index].nonzero().squeeze(1)
            out[rows] += expert(x[rows])
        return out


def test_experts_in_modules_of_their_own() -> None:
    layers = thoplw.profile(Experts(4, 2), (16, 8), verbose=False)[2]
    assert "routing is spread evenly" in layers.assumptions
    assert layers.active_params == 8 * 4 + 2 * 64 + 64
    assert layers.total_params == 8 * 4 + 4 * 64 + 64


def test_all_parameters_of_a_dense_model_are_active() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 4))
    layers = thoplw.profile(model, (2, 3, 8, 8), verbose=False)[2]
    assert layers.active_params == layers.active_params_without_embeddings == layers.total_params


# -- compulsory --------------------------------------------------------------------------------------------------------


class Tied(nn.Module):
    """A table of embeddings that is the last layer's matrix as well."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 8)
        self.head = nn.Linear(8, 100, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(ids))


def test_a_shared_weight_is_read_once() -> None:
    layers = profiled(Tied(), ids=torch.zeros(1, 3, dtype=torch.int64))
    assert layers.compulsory == 100 * 8 * FULL + 3 * 8 + 3 * 100 * FULL
    assert layers.active_params == layers.active_params_without_embeddings == 800


class Pooled(nn.Module):
    """Only the first row of what it is given, and half of its weight, are read."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(6, 8))
        self.unused = nn.Parameter(torch.empty(1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0] @ self.weight[:3].t()


def test_of_views_only_what_is_shown_is_read() -> None:
    layers = profiled(Pooled(), x=torch.empty(2, 50, 8))
    assert layers.compulsory == (2 * 8 + 3 * 8 + 2 * 3) * FULL


def test_layers_that_do_nothing_move_nothing() -> None:
    layers = thoplw.profile(nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Identity()), (2, 3, 4), verbose=False)[2]
    assert (layers.total_moved, layers.compulsory) == (0, 0)
    assert layers.intensity == 0


def test_a_layer_that_is_called_again_keeps_its_weights() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.layer(x))

    layers = thoplw.profile(Twice(), (2, 8), verbose=False)[2]
    assert layers.total_moved == 2 * (64 + 2 * 16) * FULL
    assert layers.compulsory == (64 + 2 * 16) * FULL
    assert next(row for row in layers if row.name == "layer").compulsory == (64 + 4 * 16) * FULL


# -- in reports --------------------------------------------------------------------------------------------------------


def test_tables_have_the_columns() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    layers = thoplw.profile(model, (1, 4), verbose=False)[2]
    table = layers.table(columns=["name", "moved", "compulsory", "intensity", "active"])
    assert table.columns == ("Name", "Moved", "Compulsory", "FLOPs/byte", "Active computed")
    moved = [(4 + 40 + 8) * FULL, 2 * 8 * FULL, (8 + 18 + 2) * FULL]
    assert [int(row[1]) for row in table.rows] == moved
    assert table.footer[1:3] == (str(sum(moved)), str((4 + 40 + 18 + 2) * FULL))
    flops = 2 * 32 + 8 + 8 + 2 * 16 + 2
    assert table.footer[3] == f"{flops / sum(moved):.3g}"
    assert layers.intensity == flops / sum(moved)


def test_blocks_that_are_folded_add_up() -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)) for _ in range(3)))
    layers = thoplw.profile(model, (1, 4), verbose=False)[2]
    tree = layers.summary("tree", columns=["moved", "compulsory"])
    assert f"{3 * 2 * (8 + 20) * FULL}" in tree
    assert f"{3 * (8 + 2 * 20) * FULL}" in tree


def test_few_rows_for_many_experts_are_said_to_spread_evenly() -> None:
    model = built(
        "mixtral",
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=50,
    )
    layers = profiled(model, input_ids=torch.zeros(1, 2, dtype=torch.int64), use_cache=False)
    said = "Assumed for bytes: routing is spread evenly"
    assert not any(said in note for note in layers.notes())
    assert said not in layers.summary()
    assert said in layers.summary(columns=["name", "moved"])
    assert layers.to_dict()["assumptions_of_bytes"]["routing is spread evenly"]["calls"] == 2
    many = profiled(model, input_ids=torch.zeros(1, 4, dtype=torch.int64), use_cache=False)
    assert "assumptions_of_bytes" not in many.to_dict()


def test_experts_that_all_tokens_are_sent_to_are_all_active() -> None:
    """Llama 4 multiplies every token by every expert, and those that it was not sent to by a row of zeros."""
    model = built(
        "llama4_text", hidden_size=64, intermediate_size=96, intermediate_size_mlp=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, vocab_size=200, pad_token_id=0, num_local_experts=4,
        interleave_moe_layer_step=1,
    )  # fmt: skip
    layers = profiled(model, input_ids=torch.zeros(1, 16, dtype=torch.int64))
    assert layers.active_params == sum(each.numel() for each in model.parameters())


# -- tensors that stand in several places ------------------------------------------------------------------------------


class Of(nn.Module):
    """A function of its inputs and of a weight."""

    def __init__(self, function: Any, *weight: int) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.zeros(weight))

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs, self.weight)


@pytest.mark.parametrize(
    ("function", "read", "written"),
    [
        (lambda x, w: (x, x[:1] * 2), 20, 20),
        (lambda x, w: (x.transpose(0, 1), x[:1] * 2), 20, 20),
        (lambda x, w: (w, x * 2), 160, 160),
        (lambda x, w: (w[2:], x * 2), 160, 160),
        (lambda x, w: [x * 2] * 2, 160, 160),
        (lambda x, w: (lambda y: (y, y[:, 0]))(x * 2), 160, 160),
        (lambda x, w: (x * 2).split(4), 160, 160),
        (lambda x, w: x.add_(1), 160, 160),
        (lambda x, w: (x.add_(1), x), 160, 160),
        (lambda x, w: (x * 2, x * 3), 160, 320),
        (lambda x, w: (x * 2)[:, 0], 160, 8),
        (lambda x, w: x.detach().view(8, 20)[0] * 2, 20, 20),
        (lambda x, w: (x.t().t()[0], x.mT.mT)[0] * 2, 20, 20),
    ],
)
def test_what_is_returned_counts_once_and_if_it_was_written(function: Any, read: int, written: int) -> None:
    """``x`` is ``(8, 20)``, the weight ``(30, 40)``."""
    layers = thoplw.profile(Of(function, 30, 40), torch.zeros(8, 20), verbose=False)[2]
    assert layers.compulsory == FULL * (read + written)


def test_what_is_given_twice_is_read_once() -> None:
    model = nn.MultiheadAttention(16, 2, batch_first=True).eval()
    x, weights = torch.zeros(2, 10, 16), 4 * (16 * 16 + 16)
    other = torch.zeros(2, 10, 16)
    returned = 2 * 10 * 16 + 2 * 10 * 10
    for inputs, many in (((x, x, x), 1), ((x, other, other), 2), ((x, other, torch.zeros(2, 10, 16)), 3)):
        layers = thoplw.profile(model, inputs, verbose=False)[2]
        assert layers.compulsory == FULL * (weights + many * 2 * 10 * 16 + returned)


def test_a_table_of_embeddings_that_is_a_matrix_without_a_module() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(100, 16)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.table(ids) @ self.table.weight.T

    layers = thoplw.profile(Tied(), torch.zeros(2, 5, dtype=torch.int64), verbose=False)[2]
    assert layers.compulsory == 8 * 10 + FULL * (1600 + 10 * 100)
    assert layers.active_params == layers.active_params_without_embeddings == 1600
    (table,) = (row for row in layers.profile.modules if row.name == "table")
    assert table.compulsory == 8 * 10 + FULL * (10 * 16 + 10 * 16)


def test_a_table_that_a_module_shows_a_part_of() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(5000, 16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.table[: x.shape[1]]

    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.positions = Positions()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.positions(x)

    layers = thoplw.profile(Added(), torch.zeros(2, 10, 16), verbose=False)[2]
    assert layers.compulsory == FULL * (10 * 16 + 2 * 2 * 10 * 16)
    assert layers.active_params == 10 * 16


def test_packed_weights_are_read_and_active() -> None:
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(64, 32)), {nn.Linear}, dtype=torch.qint8)
    layers = thoplw.profile(model, torch.zeros(8, 64), verbose=False)[2]
    assert layers.compulsory == layers.total_moved == 64 * 32 + FULL * (32 + 8 * 64 + 8 * 32)
    assert layers.active_params == layers.total_params == 64 * 32 + 32
