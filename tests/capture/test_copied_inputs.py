"""Inputs are laid out as given, and one tensor stays one."""

from __future__ import annotations

import inspect

import pytest
import torch
from checks.calling import Calling
from checks.oracle import oracle_macs
from checks.releases import working_transformers
from torch import nn
from torch.nn import functional as F

import thoplw
from thoplw.capture.inputs import copied

BASE = torch.arange(48).reshape(4, 12)


@pytest.mark.parametrize(
    "tensor",
    [
        BASE,
        BASE.t(),
        BASE[:, ::2],
        BASE[1:3, 2:5],
        BASE[:1].expand(3, 12),
        BASE[0, 0].expand(2, 2),
        BASE[:, :0],
        BASE[:, 1:1].t(),
        BASE.as_strided((3, 4), (2, 1)),
        (BASE > 7).t(),
        BASE.float().to_sparse(),
    ],
    ids=str,
)
def test_a_copy_lies_in_memory_as_the_tensor_does(tensor: torch.Tensor) -> None:
    copy = copied(tensor)
    assert torch.equal(copy.to_dense(), tensor.to_dense())
    if tensor.layout is torch.strided:
        assert copy.stride() == tensor.stride()
        assert copy.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr()


class Asking(nn.Module):
    """Goes another way where an input has gaps."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(4, 8), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        return (self.wide if asked.is_contiguous() else self.narrow)(x)


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
@pytest.mark.parametrize(("transposed", "macs"), [(False, 64), (True, 32)])
def test_a_forward_that_asks_for_the_layout_goes_the_same_way(
    execute: bool, dtype: torch.dtype, transposed: bool, macs: int
) -> None:
    asked = torch.ones(2, 4, dtype=dtype)
    inputs = torch.ones(2, 4), asked.t() if transposed else asked
    assert oracle_macs(Asking(), *inputs) == macs
    assert thoplw.profile(Asking(), inputs, verbose=False, convention="macs", execute=execute)[0] == macs


@pytest.mark.parametrize("execute", [False, True])
def test_what_a_tensor_has_besides_data_is_entered(execute: bool) -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x.lengths.append(9)  # type: ignore[attr-defined]
            x.more = self.layer(x.more)  # type: ignore[attr-defined]
            return self.layer(x)[: x.lengths[0]]  # type: ignore[attr-defined, no-any-return]

    x, more = torch.ones(2, 4), torch.ones(3, 4)
    x.lengths, x.more = [1], more  # type: ignore[attr-defined]
    assert thoplw.profile(Reads(), (x,), verbose=False, convention="macs", execute=execute)[0] == (2 + 3) * 4 * 4
    assert x.lengths == [1]  # type: ignore[attr-defined]
    assert x.more is more  # type: ignore[attr-defined]


@pytest.mark.parametrize("execute", [False, True])
def test_two_inputs_that_are_one_tensor_stay_one(execute: bool) -> None:
    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.layer(x) if x is y else self.layer(x) + self.layer(y)

    x = torch.ones(2, 4)
    for inputs, macs in (((x, x), 32), ((x, x.clone()), 64)):
        assert thoplw.profile(Same(), inputs, verbose=False, convention="macs", execute=execute)[0] == macs


def test_attention_that_is_written_out_is_contiguous() -> None:
    query = torch.randn(2, 3, 4, 5, 6).transpose(1, 2)
    model = Calling(lambda q: F.scaled_dot_product_attention(q, q, q).view(2, -1))
    assert model(query).shape == (2, 360)
    assert thoplw.profile(model, query, verbose=False, convention="macs")[0] == oracle_macs(model, query)


class Cache:
    """Tensors in attributes, lists, a dict and slots."""

    __slots__ = ("counts", "layers", "length", "named")

    def __init__(self) -> None:
        self.layers = [torch.zeros(2, 3, 4) for _ in range(2)]
        self.named = {"mask": torch.ones(2, 3, dtype=torch.bool)}
        self.length = torch.tensor(3)
        self.counts = 0

    def tensors(self) -> list[torch.Tensor]:
        return [*self.layers, *self.named.values(), self.length]


class Step(nn.Module):
    """Writes to a cache in each way that caches are written to."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, cache: Cache) -> torch.Tensor:
        cache.layers[0] = torch.cat([cache.layers[0], x], 1)
        cache.layers[1].index_copy_(1, torch.tensor([2]), x)
        cache.layers.append(x)
        cache.named["mask"].logical_not_()
        cache.named["new"] = self.layer(cache.layers[0])
        cache.length.add_(1)
        cache.counts += int(cache.length)
        return cache.named["new"]


@pytest.mark.parametrize("execute", [False, True])
def test_a_cache_is_as_it_was_and_its_values_count(execute: bool) -> None:
    cache = Cache()
    before = [each.clone() for each in cache.tensors()]
    same = cache.tensors()
    for _ in range(2):
        inputs = thoplw.Inputs(torch.ones(2, 1, 4), cache=cache)
        macs = thoplw.profile(Step(), inputs, verbose=False, convention="macs", execute=execute)[0]
        assert macs == 2 * (3 + 1) * 4 * 4
    after = cache.tensors()
    assert all(one is other for one, other in zip(same, after, strict=True))
    assert all(type(each) is torch.Tensor for each in after)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert cache.counts == 0
    assert [*cache.named] == ["mask"]


@pytest.mark.parametrize("kind", ["dynamic", "static"])
@pytest.mark.parametrize("execute", [False, True])
def test_a_cache_of_transformers_is_as_it_was(kind: str, execute: bool) -> None:
    transformers = working_transformers()
    if not hasattr(transformers.DynamicCache, "layers") and not hasattr(transformers.cache_utils, "DynamicLayer"):
        pytest.skip("an older transformers has other caches")
    config = transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=50,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    name = next(each for each in ("cache", "past_key_values") if each in inspect.signature(model.forward).parameters)
    static = kind == "static"
    empty = transformers.StaticCache(config, max_cache_len=9) if static else transformers.DynamicCache(config=config)
    ids = torch.ones(3, 7, dtype=torch.long)
    with torch.no_grad():
        cache = model(ids, **{name: empty}, use_cache=True)[name]
    before = [(each, each.clone()) for layer in cache.layers for each in (layer.keys, layer.values)]
    inputs = {"input_ids": ids[:, :1], name: cache}
    macs = thoplw.profile(model, inputs, verbose=False, convention="macs", execute=execute)[0]
    after = [each for layer in cache.layers for each in (layer.keys, layer.values)]
    assert all(now is one and torch.equal(one, copy) for now, (one, copy) in zip(after, before, strict=True))
    # q and o, k and v, the three of the perceptron, the head; scores and their sums over 8 positions, or over all 9.
    linear = 2 * (2 * 16 * 16 + 2 * 16 * 8 + 3 * 16 * 32) + 16 * 50
    attention = 2 * 2 * 16 * (9 if static else 8)
    assert macs == 3 * (linear + attention)
