from __future__ import annotations

from itertools import accumulate

import pytest
import torch
import torch.nn.functional as F
from checks.releases import older, since
from torch import nn

import thoplw
from thoplw.pricing import find
from thoplw.pricing.causal import _BAND, _IS_CAUSAL, Band
from thoplw.record import Call, TensorSpec


class Attention(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)


@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (3, 7), (7, 3), (1, 4)])
@pytest.mark.parametrize("causal", [True, False])
def test_only_what_the_mask_leaves(queries: int, keys: int, causal: bool) -> None:
    batch, heads, size, values = 2, 3, 4, 6
    shapes = (batch, heads, queries, size), (batch, heads, keys, size), (batch, heads, keys, values)
    tensors = tuple(torch.empty(shape) for shape in shapes)
    # The mask that the documentation of torch writes out.
    mask = torch.ones(queries, keys, dtype=torch.bool).tril(diagonal=0) if causal else torch.ones(queries, keys)
    pairs = int(mask.sum())
    macs, _, _ = thoplw.profile(Attention(causal), tensors, convention="macs-causal")
    assert macs == batch * heads * pairs * (size + values)
    full, _, _ = thoplw.profile(Attention(causal), tensors, convention="macs")
    assert full == batch * heads * queries * keys * (size + values)


@pytest.mark.parametrize("target", _IS_CAUSAL)
def test_where_the_argument_stands(target: str) -> None:
    packet = getattr(torch.ops.aten, target.removeprefix("aten."), None)
    if packet is None or (older("2.1") and "efficient" in target) or (older("2.5") and "cudnn" in target):
        pytest.skip("this torch has no such operator, or it takes others")
    names = [argument.name for argument in packet.default._schema.arguments]
    assert names[_IS_CAUSAL[target]] == "is_causal"


# -- packed sequences -------------------------------------------------------------------------------------------------

QUERIES, KEYS, HEADS, WIDTH = (3, 5, 8, 4), (10, 20, 8, 2), 8, 16


def left(row: int, queries: int, keys: int, band: Band) -> int:
    """Keys that one query sees, one by one."""
    own = row + (keys - queries if band.aligned_last else 0)
    first = -keys if band.left is None else own - band.left
    last = keys if band.right is None else own + band.right
    return sum(first <= key <= last for key in range(keys))


def kept(band: Band, queries: tuple[int, ...] = QUERIES, keys: tuple[int, ...] = KEYS) -> int:
    pairs = sum(left(row, q, k, band) for q, k in zip(queries, keys, strict=True) for row in range(q))
    return pairs * HEADS * 2 * WIDTH


class Packed(nn.Module):
    """An operator on packed sequences, which is given all that says what it sees."""

    def __init__(self, operator: str, *last: object, **named: object) -> None:
        super().__init__()
        self.operator, self.last, self.named = operator, last, named

    def forward(self, q: torch.Tensor, k: torch.Tensor, of_q: torch.Tensor, of_k: torch.Tensor) -> torch.Tensor:
        if self.operator == "varlen":
            from torch.nn.attention.varlen import varlen_attn

            return varlen_attn(q, k, k, of_q, of_k, 8, 20, **self.named)
        if self.operator == "efficient":
            given = (q[None], k[None], k[None], None, of_q, of_k, 8, 20, 0.0)
            return torch.ops.aten._efficient_attention_forward(*given, *self.last, **self.named)[0]
        given = (q, k, k, of_q, of_k, 8, 20, 0.0)
        return torch.ops.aten._flash_attention_forward(*given, *self.last, False, **self.named)[0]


PACKED = {  # from torch's documentation: flash attention aligns to the last key, a mask of type 1 to the first one
    "flash": (Packed("flash", False), Band(None, None)),
    "flash, causal": (Packed("flash", True), Band(None, 0)),
    "flash, window": (Packed("flash", False, window_size_left=3, window_size_right=1), Band(3, 1)),
    "flash, window and causal": (Packed("flash", True, window_size_left=3, window_size_right=-1), Band(3, 0)),
    "efficient": (Packed("efficient", 0), Band(None, None)),
    "efficient, from the first": (Packed("efficient", 1), Band(None, 0, aligned_last=False)),
    "efficient, to the last": (Packed("efficient", 2), Band(None, 0)),
    "efficient, window": (Packed("efficient", 2, window_size=3), Band(2, 0)),
    "varlen": (Packed("varlen"), Band(None, None)),
    "varlen, causal": (Packed("varlen", window_size=(-1, 0)), Band(None, 0)),
    "varlen, window": (Packed("varlen", window_size=(2, 0)), Band(2, 0)),
    "varlen, to the right": (Packed("varlen", window_size=(-1, 3)), Band(None, 3)),
}


@since("2.10", "some are new there")
@pytest.mark.parametrize("case", PACKED)
def test_packed_sequences_count_what_the_mask_leaves_of_each(case: str) -> None:
    model, band = PACKED[case]
    q, k = (torch.zeros(sum(lengths), HEADS, WIDTH) for lengths in (QUERIES, KEYS))
    ends = [torch.tensor([0, *accumulate(lengths)], dtype=torch.int32) for lengths in (QUERIES, KEYS)]
    assert thoplw.profile(model, (q, k, *ends), convention="macs-causal")[0] == kept(band)
    assert thoplw.profile(model, (q, k, *ends), convention="macs")[0] == kept(Band(None, None))


@since("2.10", "some are new there")
@pytest.mark.parametrize("case", ["flash, causal", "efficient, from the first", "varlen, causal", "varlen, window"])
def test_gradients_of_packed_sequences_count_what_the_mask_leaves(case: str) -> None:
    class Trained(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(WIDTH))

        def forward(self, q: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
            return model(q * self.scale, q * self.scale, ends, ends)

    model, band = PACKED[case]
    ends = torch.tensor([0, *accumulate(QUERIES)], dtype=torch.int32)
    given = torch.zeros(sum(QUERIES), HEADS, WIDTH), ends
    if "efficient" in case:
        model = Packed("efficient", 1, True)  # keeps what its gradient needs
    trained = thoplw.profile_training(Trained(), given, loss="sum", convention="macs-causal")
    once = kept(band, QUERIES, QUERIES)
    assert trained.by_phase() == {"forward": once, "recomputation": once // 2, "backward": 2 * once, "update": 0}


def test_of_lengths_that_are_not_known_a_half_is_left() -> None:
    ends = TensorSpec(shape=(4,), dtype="int32", strides=(1,))
    q = TensorSpec(shape=(31, HEADS, WIDTH), dtype="float32", strides=(HEADS * WIDTH, WIDTH, 1))
    call = Call(target="aten._flash_attention_forward", args=(q, q, q, ends, ends, 11, 11, 0.0, True, False))
    full, causal = (find(name).operators[call.target](call).macs for name in ("macs", "macs-causal"))
    assert full == 320 * HEADS * 2 * WIDTH
    assert full < 2 * causal < full * 1.2


@since("2.10", "some are new there")
@pytest.mark.parametrize("target", _BAND)
def test_where_the_arguments_of_packed_sequences_stand(target: str) -> None:
    import torch.nn.attention.varlen  # its operators are there from then on

    library, name = target.split(".")
    names = [argument.name for argument in getattr(getattr(torch.ops, library), name).default._schema.arguments]
    told = {"is_causal": True, "custom_mask_type": 1, "window_size": None if "efficient" in target else (2, 5)}
    call = Call(target=target, args=tuple(map(told.get, names)))
    aligned_last = "efficient" not in target
    assert _BAND[target](call) == Band(2 if "varlen" in target else None, 0, aligned_last)
