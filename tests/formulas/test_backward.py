"""Work of gradients: for a contraction of m multiply-accumulates m for each gradient that is asked for."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the imports below name
from checks.releases import file_since, since

file_since("2.5")

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
import torchvision
from checks.calling import Calling
from checks.calls import Case, c64, call, check, f32
from checks.recorded import recorded, work
from checks.training_oracle import training_macs
from torch import nn
from torch.nn import functional as F  # as everybody has it
from torch.nn.attention import SDPBackend, sdpa_kernel

with suppress(ImportError):  # since 2.10
    import torch.nn.attention.varlen  # registers its operators

import thoplw
from thoplw.capture.operators import is_composite
from thoplw.formulas import FORMULAS
from thoplw.formulas.backward import REPEATED, repeated
from thoplw.pricing import find
from thoplw.record import ZERO, Call, TensorSpec, Work

# -- convolutions: batch 2, 4 channels in and 6 out, 8 x 9 in and 6 x 7 out, kernel 3 x 3 ------------------------------

N, C, O = 2, 4, 6  # noqa: E741
X, W, G = f32(N, C, 8, 9), f32(O, C, 3, 3), f32(N, O, 6, 7)
MACS = N * O * 6 * 7 * C * 9
BIAS = N * O * 6 * 7
WIDE = f32(N, O, 10, 11)
SPREAD = N * C * 8 * 9 * O * 9  # every input met every filter


def convolution(gradient: TensorSpec, x: TensorSpec, weight: TensorSpec, *mask: bool, **given: Any) -> Call:
    """Its backward; ``transposed`` and ``groups`` are as in ``convolution``."""
    transposed, groups = given.get("transposed", False), given.get("groups", 1)
    geometry = (O,), (1, 1), (0, 0), (1, 1), transposed, (0, 0), groups
    made = tuple(like if wanted else None for like, wanted in zip((x, weight, f32(O)), mask, strict=True))
    return call("convolution_backward", gradient, x, weight, *geometry, mask, out=made)


CONVOLUTIONS: dict[str, Case] = {
    "all three": (convolution(G, X, W, True, True, True), 2 * MACS, 4 * MACS + BIAS),
    "input and weight": (convolution(G, X, W, True, True, False), 2 * MACS, 4 * MACS),
    "input": (convolution(G, X, W, True, False, False), MACS, 2 * MACS),
    "weight, as of a first layer": (convolution(G, X, W, False, True, False), MACS, 2 * MACS),
    "bias": (convolution(G, X, W, False, False, True), 0, BIAS),
    "grouped": (convolution(G, X, f32(O, C // 2, 3, 3), True, True, False, groups=2), MACS, 2 * MACS),
    "depthwise": (
        convolution(f32(N, C, 6, 7), X, f32(C, 1, 3, 3), True, True, False, groups=C),
        2 * N * C * 6 * 7 * 9,
        4 * N * C * 6 * 7 * 9,
    ),
    "transposed": (convolution(WIDE, X, f32(C, O, 3, 3), True, True, False, transposed=True), 2 * SPREAD, 4 * SPREAD),
    "transposed, weight": (
        convolution(WIDE, X, f32(C, O, 3, 3), False, True, False, transposed=True),
        SPREAD,
        2 * SPREAD,
    ),
    "transposed, grouped": (
        convolution(WIDE, X, f32(C, O // 2, 3, 3), True, True, False, transposed=True, groups=2),
        SPREAD,
        2 * SPREAD,
    ),
    "1d": (
        convolution(f32(N, O, 7), f32(N, C, 9), f32(O, C, 3), True, True, False),
        *(2 * N * O * 7 * C * 3 * n for n in (1, 2)),
    ),
    "complex": (
        convolution(c64(N, O, 6, 7), c64(N, C, 8, 9), c64(O, C, 3, 3), True, True, True),
        8 * MACS,
        16 * MACS + 2 * BIAS,
    ),
    "no samples": (convolution(f32(0, O, 6, 7), f32(0, C, 8, 9), W, True, True, True), 0, 0),
    "slow": (
        call("_slow_conv2d_backward", G, X, W, (3, 3), (1, 1), (0, 0), (True, False, False), out=(X,)),
        MACS,
        2 * MACS,
    ),
    "time first": (
        call("conv_tbc_backward", f32(7, N, O), f32(9, N, C), f32(3, C, O), f32(O), 0, out=()),
        2 * 7 * N * O * 3 * C,
        4 * 7 * N * O * 3 * C + 7 * N * O,
    ),
}

# -- products ----------------------------------------------------------------------------------------------------------

L, K, M = 5, 7, 3
LKM = L * K * M

PRODUCTS: dict[str, Case] = {
    **{
        f"matmul {mask}": (
            call("matmul_backward", f32(N, L, M), f32(N, L, K), f32(K, M), mask, out=()),
            sum(mask) * N * LKM,
            2 * sum(mask) * N * LKM,
        )
        for mask in ((True, True), (True, False), (False, False))
    },
    "a vector times a vector": (
        call("matmul_backward", f32(), f32(K), f32(K), (True, True), out=()),
        2 * K,
        4 * K,
    ),
    "linear": (
        call("linear_backward", f32(L, K), f32(L, M), f32(M, K), (True, True, True), out=()),
        2 * LKM,
        4 * LKM + L * M,
    ),
    "linear, input": (
        call("linear_backward", f32(L, K), f32(L, M), f32(M, K), (True, False, False), out=()),
        LKM,
        2 * LKM,
    ),
    "linear of oneDNN, input": (
        call("mkldnn_linear_backward_input", (L, K), f32(L, M), f32(M, K), out=f32(L, K)),
        LKM,
        2 * LKM,
    ),
    "linear of oneDNN, weight and bias": (
        call("mkldnn_linear_backward_weights", f32(L, M), f32(L, K), f32(M, K), True, out=()),
        LKM,
        2 * LKM + L * M,
    ),
    # a difference and a multiply-accumulate for each feature of each pair, and a division for each pair
    "distances, one side": (
        call("_cdist_backward", f32(L, M), f32(L, K), f32(M, K), 2.0, f32(L, M), out=f32(L, K)),
        LKM,
        3 * LKM + L * M,
    ),
    # [N, I] [O, I, J] [N, J] -> [N, O]: over I, then over J
    "bilinear": (
        call("_trilinear", f32(N, 3), f32(5, 3, 4), f32(N, 4), (1, 3), (0,), (1, 2), (2, 3), out=f32(N, 5)),
        N * 5 * 3 * 4 + N * 5 * 4,
        2 * (N * 5 * 3 * 4 + N * 5 * 4),
    ),
    # [N, I] [N, O] [N, J] -> [O, I, J]: a product for each of N, O and I, and then the sum over N
    "bilinear, its weight": (
        call("_trilinear", f32(N, 3), f32(N, 5), f32(N, 4), (1, 3), (2, 3), (1, 2), (0,), out=f32(5, 3, 4)),
        N * 5 * 3 * 4,
        2 * N * 5 * 3 * 4 + N * 5 * 3,
    ),
}

# -- attention: scores anew (E), gradients of values and weights (V each), of queries and keys (E each) ----------------

H, Q, S, E, V = 4, 5, 6, 8, 3
QUERY, KEY, VALUE, OUT = f32(N, H, Q, E), f32(N, H, S, E), f32(N, H, S, V), f32(N, H, Q, V)
SCORES = N * H * Q * S
FUSED = SCORES * (3 * E + 2 * V)
ROWS = 2 * N * H * Q * V  # the gradient times the output, added up
SUMS = f32(N, H, Q)


def packed(pairs: int) -> tuple[int, int]:
    macs = pairs * H * (3 * E + 2 * V)
    return macs, 2 * macs + 6 * pairs * H + 2 * 5 * H * V


def i32(*values: int) -> TensorSpec:
    return TensorSpec(shape=(len(values),), dtype="int32", strides=(1,), values=values)


PACKED = f32(5, H, V), f32(5, H, E), f32(5, H, E), f32(5, H, V), f32(5, H, V), f32(H, 5)
NONE = (None, None, Q, S, 0.0, False)

ATTENTION: dict[str, Case] = {
    **{
        name: (
            call(f"_scaled_dot_product_{name}_backward", OUT, QUERY, KEY, VALUE, *more, out=(QUERY, KEY, VALUE)),
            FUSED,
            2 * FUSED + 6 * SCORES + ROWS,
        )
        for name, more in {
            "flash_attention": (OUT, SUMS, *NONE),
            "flash_attention_for_cpu": (OUT, SUMS, 0.0, False),
            "efficient_attention": (None, OUT, SUMS, f32(), f32(), 0.0, (True, True, True, False)),
            "cudnn_attention": (OUT, SUMS, f32(), f32(), None, *NONE),
            "fused_attention_overrideable": (None, (True, True, True, False), OUT, SUMS, *NONE, f32(), f32()),
        }.items()
    },
    "masked": (
        call("_scaled_dot_product_efficient_attention_backward", OUT, QUERY, KEY, VALUE, f32(Q, S), OUT, SUMS, out=()),
        FUSED,
        2 * FUSED + 7 * SCORES + ROWS,
    ),
    "grouped query": (
        call(
            "_scaled_dot_product_flash_attention_backward",
            *(OUT, QUERY, f32(N, 2, S, E), f32(N, 2, S, V), OUT, SUMS, *NONE),
            out=(),
        ),
        FUSED,
        2 * FUSED + 6 * SCORES + ROWS,
    ),
    # Lengths 3 and 2: 9 and 4 pairs in each head.
    "packed": (
        call("_flash_attention_backward", *PACKED, i32(0, 3, 5), i32(0, 3, 5), 3, 3, 0.0, False, out=()),
        *packed(9 + 4),
    ),
    "packed, of variable length": (
        call("torch_attn._varlen_attn_backward", *PACKED, i32(0, 3, 5), i32(0, 3, 5), 3, 3, False, out=()),
        *packed(9 + 4),
    ),
}

# -- recurrent layers --------------------------------------------------------------------------------------------------

T, I = 3, 4  # noqa: E741
INPUT, STATE = f32(T, N, I), f32(N, H)
LSTM = f32(4 * H, I), f32(4 * H, H), f32(4 * H), f32(4 * H)
STEPS = T * N
MATRICES = STEPS * (4 * H * I + 4 * H * H)


def rnn(*mask: bool) -> Call:
    kind = 2, H, 0, 1, False, 0.0, True, False, ()  # LSTM
    return call(
        "_cudnn_rnn_backward", INPUT, LSTM, 4, f32(1), STATE, STATE, *(INPUT,) * 4, *kind, None, f32(1), mask, out=()
    )


RECURRENT: dict[str, Case] = {
    "layer": (
        call(
            "mkldnn_rnn_layer_backward",
            INPUT,
            *LSTM,
            *(STATE,) * 8,
            False,
            2,
            H,
            1,
            True,
            True,
            False,
            (),
            False,
            out=(),
        ),
        2 * MATRICES,
        4 * MATRICES + STEPS * H * (23 + 2 * 4),
    ),
    "all layers": (rnn(True, True, True, True), 2 * MATRICES, 4 * MATRICES + STEPS * H * (23 + 2 * 4)),
    "all layers, frozen": (rnn(True, True, True, False), MATRICES, 2 * MATRICES + STEPS * H * 23),
    "cell of an LSTM": (
        call("_thnn_fused_lstm_cell_backward_impl", *(STATE,) * 4, f32(N, 4 * H), True, out=()),
        0,
        N * H * 27,
    ),
    "cell of a GRU": (call("_thnn_fused_gru_cell_backward", STATE, f32(N, 5 * H), False, out=()), 0, N * H * 16),
}

# -- others, in floating-point operations ------------------------------------------------------------------------------

SIZE = N * C * 8 * 9
ROW = f32(N, C, 8)


def norm(name: str, *more: Any) -> Call:
    return call(f"native_{name}_norm_backward", X, X, *more, out=(X,))


OTHERS: dict[str, Case] = {
    # x^ (2), sums of g and of g x^ (3), g - mean - x^ mean, scaled (4); these sums are the others' gradients
    "batch norm": (norm("batch", *(f32(C),) * 5, True, 1e-5, (True, True, True)), 0, 9 * SIZE),
    "batch norm, first layer": (norm("batch", *(f32(C),) * 5, True, 1e-5, (False, True, True)), 0, 5 * SIZE),
    "batch norm, known statistics": (norm("batch", *(f32(C),) * 5, False, 1e-5, (True, True, True)), 0, 6 * SIZE),
    "batch norm, known statistics, frozen": (
        norm("batch", *(f32(C),) * 5, False, 1e-5, (True, False, False)),
        0,
        SIZE,
    ),
    # a weight for each element: a product more, and sums of g x^ and of g
    "layer norm": (norm("layer", (9,), ROW, ROW, f32(9), f32(9), (True, True, True)), 0, (9 + 1 + 2 + 1) * SIZE),
    "layer norm, not affine": (norm("layer", (9,), ROW, ROW, None, None, (True, False, False)), 0, 9 * SIZE),
    "group norm": (norm("group", f32(N, 2), f32(N, 2), f32(C), N, C, 72, 2, (True, True, True)), 0, 13 * SIZE),
    "rms norm": (
        call("_fused_rms_norm_backward", X, X, (9,), ROW, f32(9), (True, True), out=(X,)),
        0,
        (6 + 1 + 2) * SIZE,
    ),
    "relu": (call("threshold_backward", X, X, 0, out=X), 0, SIZE),
    "softmax": (call("_softmax_backward_data", X, X, 1, None, out=X), 0, 4 * SIZE),
    "glu": (call("glu_backward", f32(N, C), f32(N, 2 * C), 1, out=f32(N, 2 * C)), 0, 4 * 2 * N * C),
    "squares": (call("mse_loss_backward", f32(), X, X, 1, out=X), 0, 2 * SIZE),
    "likelihood": (call("nll_loss_backward", f32(), f32(N, C), f32(N), None, 1, -100, f32(), out=f32(N, C)), 0, N),
    "embedding": (
        call("embedding_dense_backward", f32(N, L, E), f32(N, L), 100, -1, False, out=f32(100, E)),
        0,
        N * L * E,
    ),
    "maximum of windows": (call("max_pool2d_with_indices_backward", G, X, (3, 3), out=X), 0, BIAS),
    "average of windows": (call("avg_pool2d_backward", f32(N, C, 4, 4), X, (2, 2), out=X), 0, N * C * 16 * 5),
    "average of all": (call("_adaptive_avg_pool2d_backward", f32(N, C, 1, 1), X, out=X), 0, SIZE + N * C),
    "bilinear": (
        call("upsample_bilinear2d_backward", X, (8, 9), (N, C, 4, 4), False, out=f32(N, C, 4, 4)),
        0,
        12 * SIZE,
    ),
    "samples of a grid, its input alone": (
        call("grid_sampler_2d_backward", X, X, f32(N, 8, 9, 2), 0, 0, False, (True, False), out=(X,)),
        0,
        12 * SIZE,
    ),
    "regions": (
        call("torchvision._roi_align_backward", f32(3, C, 7, 7), f32(3, 5), 1.0, 7, 7, N, C, 8, 9, 2, False, out=X),
        0,
        3 * C * 49 * 4 * 13,
    ),
}

CASES = {
    f"{group}: {name}": case
    for group, cases in {
        "convolution": CONVOLUTIONS,
        "product": PRODUCTS,
        "attention": ATTENTION,
        "recurrent": RECURRENT,
        "other": OTHERS,
    }.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", ATTENTION.values(), ids=ATTENTION)
def test_scores_are_computed_anew(case: Case) -> None:
    record, macs, _ = case
    anew = REPEATED[record.target](record)
    assert anew.macs * (3 * E + 2 * V) == macs * E
    assert repeated(record, FORMULAS[record.target](record)) == anew
    assert repeated(record, Work(macs=2 * macs)).macs == 2 * anew.macs  # of another convention


def test_most_operators_repeat_nothing() -> None:
    assert repeated(CONVOLUTIONS["all three"][0], Work(macs=1, flops=2)) == ZERO


@pytest.mark.parametrize("name", [name for name in ATTENTION if "packed" not in name])
def test_causal_attention_has_half_of_the_gradients(name: str) -> None:
    """5 queries of 6 keys: 15 of 30 scores are at or below the diagonal."""
    record = ATTENTION[name][0]
    schema = getattr(torch.ops.aten, record.target.removeprefix("aten.")).default._schema
    position = [argument.name for argument in schema.arguments].index("is_causal")
    args = (*record.args, *(None,) * 20)[:position]
    price = find("macs-causal").operators[record.target]
    causal = Call(target=record.target, args=(*args, True), output=())
    assert price(causal).macs == FUSED // 2
    assert price(record).macs == FUSED


# -- every operator that torch has -------------------------------------------------------------------------------------

UNCOUNTED = {
    "kernels of other devices, whose forward has no price either": (
        "aten.lstm_mps_backward aten.mps_convolution_backward aten.mps_convolution_transpose_backward "
        "aten._cudnn_attention_backward"
    ),
    "batch norm over several processes": "aten.batch_norm_backward_elemt aten.batch_norm_backward_reduce",
    "derivatives forward in time": "aten.glu_backward_jvp",
}


#: Methods that start the engine, and no operators.
STARTS = {"aten.backward", "aten.dist_backward"}


def backward_operators() -> list[str]:
    """Every operator of torch and torchvision whose name says that it makes gradients."""
    names = {schema.name.replace("::", ".") for schema in torch._C._jit_get_all_schemas()}
    libraries = ("aten.", "torchvision.", "torch_attn.", "torch_nn.")
    return [name for name in sorted(names - STARTS) if "backward" in name and name.startswith(libraries)]


def is_taken_apart(name: str) -> bool:
    library, _, plain = name.partition(".")
    packet = getattr(getattr(torch.ops, library), plain)
    return all(is_composite(getattr(packet, each)) for each in packet.overloads() if "out" not in each)


@pytest.mark.parametrize("name", backward_operators())
def test_every_backward_operator_is_known(name: str) -> None:
    on_purpose = {each for names in UNCOUNTED.values() for each in names.split()}
    assert (name in on_purpose) != (name in FORMULAS or is_taken_apart(name))


# -- what a module runs with gradients -------------------------------------------------------------------------------


class First(nn.Module):
    """The first of what a module returns."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any) -> Any:
        return self.module(*args)[0]


def attention(*args: torch.Tensor, **given: Any) -> torch.Tensor:
    return F.scaled_dot_product_attention(*args, **given)


def written_out(*args: torch.Tensor) -> torch.Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(*args)


class Deformed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.offsets = nn.Conv2d(4, 18, 3, padding=1)
        self.samples = torchvision.ops.DeformConv2d(4, 6, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.samples(x, self.offsets(x))


IMAGE, TOKENS, HEADS = (2, 4, 8, 9), (2, 5, 8), (2, 4, 5, 8)

MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "linear": (lambda: nn.Linear(8, 3), ((5, 8),)),
    "linear, no bias": (lambda: nn.Linear(8, 3, bias=False), (TOKENS,)),
    "linear, of a batch": (lambda: nn.Linear(8, 3), (TOKENS,)),
    "linear, of a vector": (lambda: nn.Linear(8, 3), ((8,),)),
    "convolution": (lambda: nn.Conv2d(4, 6, 3), (IMAGE,)),
    "grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2, stride=2, bias=False), (IMAGE,)),
    "depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4, dilation=2), (IMAGE,)),
    "1d": (lambda: nn.Conv1d(4, 6, 3, padding=2), ((2, 4, 9),)),
    "3d": (lambda: nn.Conv3d(4, 6, 2), ((2, 4, 5, 5, 5),)),
    "no batch": (lambda: nn.Conv2d(4, 6, 3), (IMAGE[1:],)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (IMAGE,)),
    "deformable": (Deformed, (IMAGE,)),
    "bilinear": (lambda: nn.Bilinear(3, 4, 5), ((6, 3), (6, 4))),
    "product": (lambda: Calling(torch.matmul), ((2, 5, 8), (8, 3))),
    "product of vectors": (lambda: Calling(torch.dot), ((8,), (8,))),
    "einsum": (lambda: Calling(lambda a, b: torch.einsum("bik,bjk->bij", a, b)), ((2, 5, 8), (2, 3, 8))),
    "distances": (lambda: Calling(torch.cdist), ((2, 5, 8), (2, 3, 8))),
    "many distances": (lambda: Calling(torch.cdist), ((40, 8), (30, 8))),
    "distances by one": (lambda: Calling(lambda a, b: torch.cdist(a, b, p=1.0)), ((2, 5, 8), (2, 3, 8))),
    "attention": (lambda: Calling(attention), (HEADS, HEADS, HEADS)),
    "attention, causal": (lambda: Calling(lambda *x: attention(*x, is_causal=True)), (HEADS, HEADS, HEADS)),
    "attention, masked": (lambda: Calling(lambda *x: attention(*x[:3], attn_mask=x[3])), (*[HEADS] * 3, (5, 5))),
    "attention, grouped query": (
        lambda: Calling(lambda *x: attention(*x, enable_gqa=True)),
        (HEADS, (2, 2, 5, 8), (2, 2, 5, 8)),
    ),
    "attention, written out": (lambda: Calling(written_out), (HEADS, HEADS, HEADS)),
    "multi-head attention": (lambda: First(nn.MultiheadAttention(8, 2, batch_first=True)), (TOKENS,) * 3),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (TOKENS,)),
    "decoder layer": (lambda: nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), (TOKENS, TOKENS)),
    "LSTM": (lambda: First(nn.LSTM(8, 6, num_layers=2, bidirectional=True)), (TOKENS,)),
    "LSTM, no bias": (lambda: First(nn.LSTM(8, 6, bias=False, batch_first=True)), (TOKENS,)),
    "LSTM, projected": (lambda: First(nn.LSTM(8, 6, proj_size=3)), (TOKENS,)),
    "GRU": (lambda: First(nn.GRU(8, 6, num_layers=2)), (TOKENS,)),
    "RNN": (lambda: First(nn.RNN(8, 6, bidirectional=True)), (TOKENS,)),
    "cell of an LSTM": (lambda: First(nn.LSTMCell(8, 6)), ((5, 8),)),
    "cell of a GRU": (lambda: nn.GRUCell(8, 6), ((5, 8),)),
    "batch norm": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU()), (IMAGE,)),
    "group norm": (lambda: nn.GroupNorm(2, 4), (IMAGE,)),
    "instance norm": (lambda: nn.InstanceNorm2d(4, affine=True), (IMAGE,)),
    "layer norm": (lambda: nn.LayerNorm(8), (TOKENS,)),
    "RMS norm": (lambda: nn.RMSNorm(8), (TOKENS,)),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 3)), (TOKENS,)),
    "spectral norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 3)).eval(), (TOKENS,)),
    "upsampling": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (IMAGE,)),
    "pooling": (lambda: nn.Sequential(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)), (IMAGE,)),
    "average pooling": (lambda: nn.AvgPool2d(2), (IMAGE,)),
    "grid": (
        lambda: Calling(lambda x, m: F.grid_sample(x, F.affine_grid(m, [2, 4, 5, 6], False), align_corners=False)),
        (IMAGE, (2, 2, 3)),
    ),
}


@pytest.fixture(params=MODULES.values(), ids=MODULES)
def trained(request: Any) -> tuple[nn.Module, tuple[torch.Tensor, ...], Callable[[], None]]:
    """A module, its inputs, and a step of both: forward and backward."""
    torch.manual_seed(0)
    make, shapes = request.param
    module, inputs = make(), tuple(torch.randn(shape, requires_grad=True) for shape in shapes)
    return module, inputs, lambda: module(*inputs).sum().backward()


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_step_is_what_the_oracle_counts(trained: Any) -> None:
    _, _, step = trained
    assert work(recorded(step)).macs == sum(training_macs(step).values())


#: Modules with a term of the convention ``thoplw`` that their kernels do not show: a bias that is added by ``add``, a
#: norm or an average in pieces.
IN_PIECES = {
    "bilinear",
    "multi-head attention",
    "encoder layer",
    "decoder layer",
    "instance norm",
    "RMS norm",
    "pooling",
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("convention", ["macs", "thoplw"])
def test_kernels_cost_what_their_composite_does(trained: Any, convention: str, request: Any) -> None:
    """With gradients ``linear`` arrives as ``addmm``, ``conv2d`` as ``convolution``, an encoder layer in pieces."""
    module, inputs, _ = trained
    kernels = work(recorded(lambda: module(*inputs)), find(convention).operators).macs
    plain = tuple(tensor.detach() for tensor in inputs)
    composites = thoplw.profile(module, plain, convention=convention, verbose=False)[0]
    name = request.node.callspec.id.removesuffix(f"-{convention}")
    assert (kernels == composites) is (convention == "macs" or name not in IN_PIECES)


pytest.importorskip("expecttest")


def steps() -> Iterator[tuple[str, Callable[[], None]]]:
    """A step of each operator that PyTorch tests with gradients, on two of its samples."""
    from torch.testing._internal.common_methods_invocations import op_db

    for info in op_db:
        if not info.supports_autograd or torch.float32 not in info.supported_dtypes("cpu"):
            continue
        torch.manual_seed(0)
        for sample in itertools.islice(info.sample_inputs("cpu", torch.float32, requires_grad=True), 2):

            def step(info: Any = info, sample: Any = sample) -> None:
                made = torch.utils._pytree.tree_leaves(info(sample.input, *sample.args, **sample.kwargs))
                outputs = [each for each in made if isinstance(each, torch.Tensor) and each.requires_grad]
                if outputs:
                    torch.autograd.backward(outputs, [torch.ones_like(each) for each in outputs])

            yield info.name, step


@since("2.14", "samples of other releases differ")
@pytest.mark.filterwarnings("ignore")
def test_every_operator_that_pytorch_tests_is_priced_with_gradients() -> None:
    checked, different = 0, []
    for name, step in steps():
        try:
            calls = recorded(step)
            expected = sum(training_macs(step).values())
        except NotImplementedError:  # linear algebra that the oracle does not know
            expected = -1
        except (RuntimeError, TypeError):  # torch's own: some samples do not run, or not in a mode
            continue
        found = work(calls).macs  # raises where a kernel has no price
        if expected < 0:
            continue
        checked += 1
        different += [name] if found != expected else []
    assert different == []
    assert checked > 600
