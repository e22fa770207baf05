"""``convention="macs"`` equals an independent count over real execution, to the unit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.calling import Calling
from checks.oracle import oracle_macs
from checks.releases import older, working_transformers
from torch import nn
from torch.nn import functional as F

import thoplw

Case = tuple[Callable[[], nn.Module], tuple[Any, ...] | dict[str, Any]]


def agree(model: nn.Module, inputs: tuple[Any, ...] | dict[str, Any]) -> None:
    """The two counts are equal, and are counts of something."""
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # models and kernels warn of much that is none of our business
        expected = oracle_macs(model, *args, **kwargs)
        counted, _, info = thoplw.profile(model, inputs, verbose=False, convention="macs")
    assert expected > 0
    assert (counted, info.uncounted) == (expected, {})


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(shape)


SEQUENCE = randn(5, 3, 4)  # steps, batch, features; or batch first

RECURRENT: dict[str, Case] = {
    "lstm": (lambda: nn.LSTM(4, 6), (SEQUENCE,)),
    "lstm batch first": (lambda: nn.LSTM(4, 6, batch_first=True), (SEQUENCE,)),
    "lstm stacked": (lambda: nn.LSTM(4, 6, num_layers=3), (SEQUENCE,)),
    "lstm bidirectional": (lambda: nn.LSTM(4, 6, num_layers=2, bidirectional=True), (SEQUENCE,)),
    "lstm without bias": (lambda: nn.LSTM(4, 6, bias=False), (SEQUENCE,)),
    "lstm projected": (lambda: nn.LSTM(4, 6, proj_size=2, num_layers=2, bidirectional=True), (SEQUENCE,)),
    "lstm projected to its own size": (lambda: nn.LSTM(4, 8, proj_size=7), (SEQUENCE,)),
    "lstm unbatched": (lambda: nn.LSTM(4, 6), (SEQUENCE[:, 0],)),
    "lstm with state": (lambda: nn.LSTM(4, 6), (SEQUENCE, (randn(1, 3, 6), randn(1, 3, 6)))),
    "lstm cell": (lambda: nn.LSTMCell(4, 6), (SEQUENCE[0],)),
    "gru": (lambda: nn.GRU(4, 6, num_layers=2, bidirectional=True), (SEQUENCE,)),
    "gru batch first, no bias": (lambda: nn.GRU(4, 6, batch_first=True, bias=False), (SEQUENCE,)),
    "gru unbatched": (lambda: nn.GRU(4, 6), (SEQUENCE[:, 0],)),
    "gru cell": (lambda: nn.GRUCell(4, 6), (SEQUENCE[0],)),
    "rnn tanh": (lambda: nn.RNN(4, 6, num_layers=2), (SEQUENCE,)),
    "rnn relu bidirectional": (lambda: nn.RNN(4, 6, nonlinearity="relu", bidirectional=True), (SEQUENCE,)),
    "rnn cell": (lambda: nn.RNNCell(4, 6), (SEQUENCE[0],)),
    "rnn cell relu": (lambda: nn.RNNCell(4, 6, nonlinearity="relu"), (SEQUENCE[0],)),
    "packed lstm": (
        lambda: Packed(nn.LSTM(4, 6, num_layers=2, bidirectional=True)),
        (SEQUENCE, torch.tensor([5, 3, 1])),
    ),
    "packed gru": (lambda: Packed(nn.GRU(4, 6)), (SEQUENCE, torch.tensor([5, 3, 1]))),
}


class Packed(nn.Module):
    """A recurrent layer on sequences of several lengths."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.layer(nn.utils.rnn.pack_padded_sequence(x, lengths))[0].data


def sdpa(*shape: int, **options: Any) -> Case:
    query = randn(*shape)
    return lambda: Calling(lambda q: F.scaled_dot_product_attention(q, q, q, **options)), (query,)


ATTENTION: dict[str, Case] = {
    "multi-head": (lambda: nn.MultiheadAttention(8, 2), (randn(5, 3, 8),) * 3),
    "multi-head batch first": (lambda: nn.MultiheadAttention(8, 2, batch_first=True), (randn(3, 5, 8),) * 3),
    "multi-head unbatched": (lambda: nn.MultiheadAttention(8, 2), (randn(5, 8),) * 3),
    "multi-head of other widths": (
        lambda: nn.MultiheadAttention(8, 2, kdim=6, vdim=4),
        (randn(5, 3, 8), randn(7, 3, 6), randn(7, 3, 4)),
    ),
    "multi-head with bias and zero attention": (
        lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True),
        (randn(5, 3, 8),) * 3,
    ),
    "multi-head without weights": (
        lambda: nn.MultiheadAttention(8, 2),
        dict(zip(("query", "key", "value"), (randn(5, 3, 8),) * 3, strict=True)) | {"need_weights": False},
    ),
    "encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        (randn(3, 5, 8),),
    ),
    "encoder, norm first": (lambda: nn.TransformerEncoderLayer(8, 2, 16, norm_first=True), (randn(5, 3, 8),)),
    "decoder": (lambda: nn.TransformerDecoderLayer(8, 2, 16), (randn(5, 3, 8), randn(7, 3, 8))),
    "transformer": (lambda: nn.Transformer(8, 2, 1, 2, 16, batch_first=True), (randn(3, 5, 8), randn(3, 7, 8))),
    "sdpa": sdpa(2, 4, 5, 8),
    "sdpa 3d": sdpa(2, 5, 8),
    "sdpa causal": sdpa(2, 4, 5, 8, is_causal=True),
    "sdpa masked": sdpa(2, 4, 5, 8, attn_mask=torch.zeros(5, 5)),
    "sdpa, other value width": (
        lambda: Calling(F.scaled_dot_product_attention),
        (randn(2, 4, 5, 8), randn(2, 4, 7, 8), randn(2, 4, 7, 3)),
    ),
    **{
        f"sdpa, shared {what}": (lambda: Calling(F.scaled_dot_product_attention), tuple(map(randn, *sizes)))
        for what, sizes in {
            "query": ((1, 7, 7), (2, 2, 2), (3, 5, 5), (4, 4, 4)),
            "key and value": ((7, 1, 1), (2, 2, 2), (3, 5, 5), (4, 4, 4)),
            "query and key": ((1, 1, 7), (2, 2, 2), (3, 5, 5), (4, 4, 4)),
        }.items()
    },
    "sdpa, query of fewer dimensions": (
        lambda: Calling(F.scaled_dot_product_attention),
        (randn(2, 3, 4), randn(7, 2, 5, 4), randn(7, 2, 5, 6)),
    ),
}
if not older("2.5"):
    ATTENTION["sdpa, grouped query"] = (
        lambda: Calling(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)),
        (randn(2, 4, 5, 8), randn(2, 2, 7, 8), randn(2, 2, 7, 8)),
    )


def convolution(rank: int, transposed: bool = False, batch: tuple[int, ...] = (2,), **options: Any) -> Case:
    kind = getattr(nn, f"Conv{'Transpose' if transposed else ''}{rank}d")
    return lambda: kind(4, 6, 3, **options), (randn(*batch, 4, *(7, 6, 5)[:rank]),)


CONVOLUTION: dict[str, Case] = {
    f"{'transposed ' if transposed else ''}{rank}d {' '.join(map(str, options))}": convolution(
        rank, transposed, **options
    )
    for rank in (1, 2, 3)
    for transposed in (False, True)
    for options in (
        {},
        {"stride": 2, "padding": 1, "groups": 2},
        {"dilation": 2, "bias": False},
        {"batch": ()},
        *([{"stride": 2, "output_padding": 1}] if transposed else [{"padding": "same"}, {"padding_mode": "circular"}]),
    )
}

CONTRACTION: dict[str, Case] = {
    "linear on a vector": (lambda: nn.Linear(4, 3), (randn(4),)),
    "linear on a cube": (lambda: nn.Linear(4, 3, bias=False), (randn(2, 5, 4),)),
    "bilinear": (lambda: nn.Bilinear(4, 5, 3), (randn(2, 7, 4), randn(2, 7, 5))),
    "bilinear without bias": (lambda: nn.Bilinear(4, 5, 3, bias=False), (randn(2, 4), randn(2, 5))),
    **{
        f"einsum {equation}": (lambda equation=equation: Calling(lambda *a: torch.einsum(equation, *a)), operands)
        for equation, operands in {
            "ij,jk->ik": (randn(2, 3), randn(3, 4)),
            "bij,bjk->bik": (randn(5, 2, 3), randn(5, 3, 4)),
            "bhid,bhjd->bhij": (randn(2, 3, 4, 5), randn(2, 3, 6, 5)),
            "bij,bij->b": (randn(5, 2, 3), randn(5, 2, 3)),
            "ij,jk,kl->il": (randn(2, 3), randn(3, 4), randn(4, 5)),
            "...c,cd->...d": (randn(2, 3, 4), randn(4, 5)),
            "i,i": (randn(7), randn(7)),
        }.items()
    },
    **{
        name: (lambda function=function: Calling(function), operands)
        for name, (function, operands) in {
            "tensordot": (lambda a, b: torch.tensordot(a, b, dims=([1, 2], [0, 2])), (randn(2, 3, 4), randn(3, 5, 4))),
            "inner": (torch.inner, (randn(2, 3, 4), randn(5, 4))),
            "multi_dot": (lambda *a: torch.linalg.multi_dot(a), (randn(2, 3), randn(3, 4), randn(4, 5))),
            "chain_matmul": (lambda a, b: a @ b @ a, (randn(2, 3), randn(3, 2))),
            "matmul broadcast": (torch.matmul, (randn(5, 1, 2, 3), randn(4, 3, 6))),
            "matmul of vectors": (torch.matmul, (randn(3), randn(3))),
            "matrix times vector": (torch.matmul, (randn(2, 3), randn(3))),
            "vector times matrix": (torch.matmul, (randn(3), randn(3, 2))),
            "cube times vector": (torch.matmul, (randn(4, 2, 3), randn(3))),
            "vector times cube": (torch.matmul, (randn(3), randn(4, 3, 2))),
            "matmul transposed": (lambda a, b: a @ b.mT, (randn(4, 2, 3), randn(4, 5, 3))),
            "mv": (torch.mv, (randn(2, 3), randn(3))),
            "dot": (torch.dot, (randn(3), randn(3))),
            "vdot": (torch.vdot, (randn(3), randn(3))),
            "triangular solve": (
                lambda a, b: torch.linalg.solve_triangular(a + 9 * torch.eye(5), b, upper=True),
                (randn(3, 5, 5), randn(3, 5, 4)),
            ),
            "addmm": (torch.addmm, (randn(4), randn(2, 3), randn(3, 4))),
            "addmv": (torch.addmv, (randn(2), randn(2, 3), randn(3))),
            "addbmm": (torch.addbmm, (randn(2, 4), randn(5, 2, 3), randn(5, 3, 4))),
            "baddbmm": (torch.baddbmm, (randn(5, 2, 4), randn(5, 2, 3), randn(5, 3, 4))),
            "in place": (lambda a, b, c: a.clone().addmm_(b, c), (randn(2, 4), randn(2, 3), randn(3, 4))),
            "empty": (lambda a, b: a @ b + (b.mT @ b).sum(), (randn(0, 3), randn(3, 4))),
            "conv1d": (F.conv1d, (randn(2, 4, 9), randn(6, 4, 3))),
            "conv_transpose1d": (F.conv_transpose1d, (randn(2, 4, 9), randn(4, 6, 3))),
            "conv_tbc": (torch.conv_tbc, (randn(9, 2, 4), randn(3, 4, 6), randn(6))),
        }.items()
    },
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name) for name, case in (RECURRENT | ATTENTION | CONVOLUTION | CONTRACTION).items()],
)
def test_pieces(case: Case) -> None:
    build, inputs = case
    agree(build(), inputs)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("alexnet", 64),
        ("squeezenet1_1", 64),
        ("resnet18", 64),
        ("resnext50_32x4d", 32),
        ("googlenet", 32),
        ("densenet121", 32),
        ("mobilenet_v2", 32),
        ("mobilenet_v3_small", 32),
        ("shufflenet_v2_x0_5", 32),
        ("mnasnet0_5", 32),
        ("efficientnet_b0", 32),
        ("convnext_tiny", 32),
        ("regnet_y_400mf", 32),
        ("swin_t", 64),
        ("swin_v2_t", 64),
    ],
)
def test_torchvision(name: str, size: int) -> None:
    models = pytest.importorskip("torchvision").models
    options = {"init_weights": False} if name == "googlenet" else {}
    agree(models.get_model(name, weights=None, **options), (randn(2, 3, size, size),))


TIMM: dict[str, dict[str, Any]] = {
    "botnet26t_256": {},
    "convnext_atto": {},
    "deit_tiny_distilled_patch16_224": {"img_size": 32, "depth": 2},
    "eva02_tiny_patch14_224": {"img_size": 28, "depth": 2},
    "ghostnet_050": {},
    "lambda_resnet26t": {},
    "mixer_s32_224": {"img_size": 64},
    "mobilevit_xxs": {},
    "poolformer_s12": {},
    "resmlp_12_224": {"img_size": 32},
    "resnet10t": {},
    "test_byobnet": {},
    "test_efficientnet": {},
    "test_vit": {},
    "vit_tiny_patch16_224": {"img_size": 32, "depth": 2},
    "xcit_nano_12_p16_224": {"img_size": 64, "depth": 2},
}


@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model(name, pretrained=False, **TIMM[name])
    size = TIMM[name].get("img_size", model.pretrained_cfg["input_size"][-1])
    agree(model, (randn(1, 3, size, size),))


TEXT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
TOKENS = torch.arange(14).reshape(2, 7)
PIXELS = randn(2, 3, 32, 32)
IMAGE = {**TEXT, "image_size": 32, "patch_size": 8}

TRANSFORMERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "bert": ("BertModel", TEXT, {"input_ids": TOKENS}),
    "bert masked": ("BertModel", TEXT, {"input_ids": TOKENS, "attention_mask": torch.ones(2, 7, dtype=torch.long)}),
    "roberta": ("RobertaModel", {**TEXT, "max_position_embeddings": 40}, {"input_ids": TOKENS}),
    "llama": ("LlamaForCausalLM", {**TEXT, "num_key_value_heads": 2}, {"input_ids": TOKENS}),
    "llama eager": (
        "LlamaForCausalLM",
        {**TEXT, "num_key_value_heads": 2, "attn_implementation": "eager"},
        {"input_ids": TOKENS},
    ),
    "mistral": ("MistralForCausalLM", {**TEXT, "num_key_value_heads": 2, "sliding_window": 3}, {"input_ids": TOKENS}),
    "gpt2": ("GPT2LMHeadModel", {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 4}, {"input_ids": TOKENS}),
    "t5": (
        "T5ForConditionalGeneration",
        {"vocab_size": 50, "d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 2, "num_heads": 4},
        {"input_ids": TOKENS, "decoder_input_ids": TOKENS[:, :5]},
    ),
    "vit": ("ViTModel", IMAGE, {"pixel_values": PIXELS}),
    "deit": ("DeiTModel", IMAGE, {"pixel_values": PIXELS}),
    "whisper": (
        "WhisperModel",
        {
            "vocab_size": 50,
            "d_model": 16,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32,
            "num_mel_bins": 8,
            "max_source_positions": 10,
            "max_target_positions": 20,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
        {"input_features": randn(2, 8, 20), "decoder_input_ids": TOKENS},
    ),
    "mamba": (
        "MambaForCausalLM",
        {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4},
        {"input_ids": TOKENS},
    ),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str) -> None:
    transformers = working_transformers()
    architecture, options, inputs = TRANSFORMERS[name]
    cls = getattr(transformers, architecture)
    attention = options.get("attn_implementation", "sdpa")
    config = cls.config_class(**{k: v for k, v in options.items() if k != "attn_implementation"})
    config._attn_implementation = attention if name != "mamba" else "eager"
    agree(cls(config), inputs)
