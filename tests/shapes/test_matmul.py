"""Attention is laid out as kernels of the CPU do it: as the query, or contiguous where it is written out."""

from __future__ import annotations

from typing import Any

import torch
from checks.laid_out import frozen, observable
from checks.releases import since
from hypothesis import given, settings
from hypothesis import strategies as st

from thoplw.shapes import RULES

SIZES = st.sampled_from([0, 1, 2, 3, 4, 4, 5])


@st.composite
def laid_out(draw: Any, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor in one of the layouts that heads come in."""
    kind = draw(st.sampled_from(["plain", "heads last", "any order", "a part", "every other", "expanded"]))
    rank = len(shape)
    if kind in ("heads last", "any order"):
        order = list(draw(st.permutations(range(rank - 1 if kind == "heads last" else rank))))
        order += [rank - 1] if kind == "heads last" else []
        return torch.randn([shape[dim] for dim in order]).permute(sorted(range(rank), key=order.__getitem__))
    if kind == "a part":
        return torch.randn(*shape[:-1], 3 * shape[-1])[..., : shape[-1]]
    if kind == "every other":
        return torch.randn(*shape[:-1], 2 * shape[-1])[..., ::2]
    if kind == "expanded":
        dim = draw(st.integers(0, rank - 2))
        return torch.randn([1 if each == dim else size for each, size in enumerate(shape)]).expand(shape)
    return torch.randn(shape)


@st.composite
def calls(draw: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    rank = draw(st.sampled_from([3, 4, 4, 4, 5]))
    batch = [draw(SIZES) for _ in range(rank - 2)]
    queries, keys, width = draw(SIZES), draw(SIZES), draw(st.sampled_from([1, 4, 8]))
    shares = rank == 4 and batch[-1] > 0 and draw(st.booleans())
    heads = [*batch[:-1], 1] if shares else batch
    values = draw(st.sampled_from([width, width, 5]))
    masks = [(queries, keys), (1, keys), (queries, 1), (*batch, queries, keys), (batch[-1], queries, keys)]
    mask = draw(st.none() | st.sampled_from(masks))
    tensors = [
        draw(laid_out(shape))
        for shape in ((*batch, queries, width), (*heads, keys, width), (*heads, keys, values), mask)
        if shape is not None
    ]
    if mask is None:
        tensors.append(None)
    dropout, causal = draw(st.sampled_from([0.0, 0.0, 0.5])), mask is None and draw(st.booleans())
    return (*tensors, dropout, causal), {"enable_gqa": True} if shares else {}


@since("2.14", "other releases choose other kernels")
@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(call=calls())
def test_attention_is_laid_out_as_on_the_cpu(call: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    args, options = call
    answer = RULES["aten.scaled_dot_product_attention"](*frozen(args), **options)
    if answer is not None:
        with torch.inference_mode():
            real = torch.nn.functional.scaled_dot_product_attention(*args, **options)
        assert observable(answer) == observable(real)
