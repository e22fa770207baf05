"""What touches an abstract tensor is answered from shapes; what touches real ones only is executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks import storage_tracker
from checks.releases import since
from torch import nn

import thoplw
from thoplw.capture import capture
from thoplw.capture.abstract import REAL_LIMIT
from thoplw.capture.torch_internals import CAN_EXCHANGE

#: While a run lasts, ``type`` shows the class that an abstract tensor stands for.
CLASS_OF = type


def test_operators_on_real_tensors_are_recorded() -> None:
    class Positions(nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            table = torch.arange(6.0).view(3, 2)
            return table @ table.T

    assert thoplw.profile(Positions(), torch.tensor([1]))[0] == 3 * 3 * 2


def test_a_real_weight_met_by_a_real_table_is_not_executed() -> None:
    # Weights made with a legacy constructor are real even when the model is built on the meta device.
    class Legacy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.FloatTensor(4, 4).fill_(float("nan")))

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            product = torch.ones(2, 4) @ self.weight
            assert CLASS_OF(product).__name__ == "AbstractTensor"
            return product

    assert thoplw.profile(Legacy(), torch.tensor([1]))[:2] == (2 * 16, 16)


def test_weights_on_meta_and_inputs_on_the_cpu() -> None:
    class Devices(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.rnn = nn.Linear(4, 4), nn.LSTM(4, 5, 2, bidirectional=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.device.type == "cpu"
            positions = torch.arange(x.shape[0], device=self.layer.weight.device)
            assert positions.tolist() == [0, 1, 2]
            noise = torch.zeros_like(x, device=self.layer.weight.device)
            return self.rnn(self.layer(x.to(self.layer.weight.device)) + noise)[0]

    real, meta = Devices(), Devices().to("meta")
    x = torch.randn(3, 2, 4)
    assert thoplw.profile(meta, x)[:2] == thoplw.profile(real, x)[:2]


def test_all_outputs_are_abstract_where_one_of_them_is_an_argument() -> None:
    class Drops(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kept, mask = torch.native_dropout(super().forward(x), 0.5, False)  # it returns its input, and a mask
            assert mask.device == kept.device == torch.device("cpu")
            return torch.where(mask, kept, 0)

    assert thoplw.profile(Drops(4, 4), (3, 4), convention="macs", memory=True)[0] == 3 * 4 * 4


def test_a_composite_kernel_that_compares_devices_takes_a_weight_on_meta() -> None:
    class Nearest(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.codes = nn.Parameter(torch.empty(32, 4, device="meta"))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cdist(x, self.codes)  # "must have the same device type", of more than 25 rows

    layers = thoplw.profile(Nearest(), (30, 4), convention="macs")[2]
    assert layers.total_macs == 30 * 32 * 4
    assert layers.total_params == 32 * 4


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_only_the_stored_elements_of_a_sparse_matrix_are_multiplied(execute: bool) -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("edges", torch.tensor([[0.0, 1, 0, 2], [3, 0, 0, 0]]).to_sparse())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sparse.mm(self.edges, x)

    assert thoplw.profile(Graph(), torch.randn(4, 5), execute=execute, strict=True)[0] == 3 * 5


@since("2.14", "older ones compile flex attention, or have none")
@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_flex_attention_counts_as_attention(execute: bool) -> None:
    from torch.nn.attention.flex_attention import flex_attention

    class Flex(nn.Module):
        def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return flex_attention(q, k, v, score_mod=lambda score, *_: score * 2, enable_gqa=True)

    q, k, v = torch.randn(1, 4, 16, 8), torch.randn(1, 2, 32, 8), torch.randn(1, 2, 32, 8)
    assert thoplw.profile(Flex(), (q, k, v), execute=execute, strict=True)[0] == 4 * 16 * 32 * (8 + 8 + 1)
    assert thoplw.profile(Flex(), (q, k, v), execute=execute, convention="macs")[0] == 4 * 16 * 32 * (8 + 8)


def test_what_fills_a_tensor_that_it_is_given_is_the_same_operator() -> None:
    class Fills(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.mm(x, x.T, out=torch.empty(3, 3))

    for execute in (False, True):
        assert thoplw.profile(Fills(), (3, 4), convention="macs", execute=execute)[0] == 3 * 4 * 3


def _filled(x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    torch.add(x, 1, out=out)
    return out


def _filled_again(x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    torch.add(x, 1, out=out).resize_(0)
    torch.add(x[:1], 1, out=out)
    return out


#: What gives a tensor another size. Each returns rows of 4.
RESIZES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a new one": lambda x: _filled(x, torch.empty(0)),
    "one made of another": lambda x: _filled(x, x.new_empty(0)),
    "an abstract one": lambda x: _filled(x, (x * 2)[:0]),
    "twice": lambda x: _filled_again(x, torch.empty(0)),
    "like another": lambda x: torch.empty(0).resize_as_(x).copy_(x),
    "larger": lambda x: (x * 2).resize_(9, 4),
    "smaller": lambda x: (x * 2).resize_(1, 4),
    "a product": lambda x: torch.matmul(x.T, x, out=torch.empty(0)),
    "joined": lambda x: torch.cat([x, x], out=torch.empty(0)),
    "two": lambda x: torch.topk(x, 2, 0, out=(torch.empty(0), torch.empty(0, dtype=torch.int64)))[0],
}


def _rows(resized: str, large: bool) -> tuple[nn.Module, torch.Tensor]:
    class Resizes(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(RESIZES[resized](x))

    return Resizes(4, 5), torch.ones(5000 if large else 3, 4)  # a small input is real in a run under autograd


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("resized", RESIZES)
def test_what_gives_a_tensor_another_size_is_followed(resized: str, large: bool) -> None:
    model, x = _rows(resized, large)
    macs = thoplw.profile(model, x, convention="macs", execute=True, verbose=False)[0]
    assert macs == thoplw.profile(model, x, convention="macs", verbose=False)[0]
    if CAN_EXCHANGE:
        _, _, layers = thoplw.profile(model, x, verbose=False, memory=True)
        assert layers.memory.peaks == tuple(storage_tracker.inference(model, x).peaks)


def test_several_outputs_are_the_tensors_that_were_given() -> None:
    class Sorts(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            values, places = torch.empty(0), torch.empty(0, dtype=torch.int64)
            torch.topk(x, 2, 0, out=(values, places))
            return super().forward(values[places.clamp(0, 1)[:, 0]])

    for execute in (False, True):
        assert thoplw.profile(Sorts(4, 5), (3, 4), convention="macs", execute=execute)[0] == 2 * 4 * 5


def test_a_buffer_that_gets_another_size_is_refused() -> None:
    class Buffers(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.add(x, 1, out=self.kept))

    model = Buffers(4, 5)
    model.register_buffer("kept", torch.empty(0, 4))
    with pytest.raises(thoplw.InputError, match=r"aten.add.out .* a real tensor from \(0, 4\) to \(3, 4\).*execute="):
        thoplw.profile(model, (3, 4))
    assert model.kept.shape == (0, 4)


def test_large_real_tensors_are_not_executed() -> None:
    class Counts(nn.Module):
        def forward(self, n: torch.Tensor) -> tuple[str, str]:
            small, large = torch.arange(REAL_LIMIT), torch.zeros(REAL_LIMIT + 1, dtype=torch.long) + 1
            return self.note(CLASS_OF(small).__name__, CLASS_OF(large).__name__)

        def note(self, *names: str) -> tuple[str, ...]:
            found.extend(names)
            return names

    found: list[str] = []
    capture(Counts(), (torch.ones(1, dtype=torch.long),), {})
    assert found == ["Tensor", "AbstractTensor"]


def _half(x: torch.Tensor) -> torch.Tensor:
    x.data = x.data[:2]
    return x


def _other(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    y.data = x.data.view(2, 2, 4)
    return y


def _plain(x: torch.Tensor) -> torch.Tensor:
    y = torch.zeros(1)
    y.data = x[:3]
    return y * 2


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(("assign", "rows"), [(_half, 2), (_other, 4), (_plain, 3)])
def test_data_that_is_assigned_is_followed(assign: Any, rows: int, execute: bool) -> None:
    class Assigns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(assign(x))

    model, x = Assigns(), torch.ones(4, 4)
    macs, _, info = thoplw.profile(model, x, convention="macs", execute=execute)
    assert macs == rows * 4 * 4
    assert list(info)[-1].input_shapes[0][-1] == 4
    assert x.shape == (4, 4)


def test_values_that_are_assigned_to_what_has_none_are_refused() -> None:
    class Assigns(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x.data = torch.ones(2)
            return x

    with pytest.raises(thoplw.DataDependentError, match=r"real tensor of shape \(2,\) to the .data.*execute=True"):
        thoplw.profile(Assigns(), (4, 4))


def test_executions_that_look_alike_share_a_record() -> None:
    class Places(nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            for several in (2, 2, 3):
                (torch.arange(5) < several).nonzero()
            return ids

    trace = capture(Places(), (torch.tensor([1]),), {})
    found = [call for call, _ in trace.steps if call.target == "aten.nonzero"]
    assert [call.outputs[0].shape for call in found] == [(2, 1), (2, 1), (3, 1)]
    assert found[0] is found[1]
    assert found[1] is not found[2]


def test_a_tensor_that_is_made_from_numbers_is_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """``torch.tensor`` calls ``detach_``, which writes to no memory, whatever its schema says."""

    class Makes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.tensor([1.0, 2.0])

    saved: list[Any] = []
    monkeypatch.setattr("thoplw.capture.restore.memories.copy_of_memory", saved.append)
    thoplw.profile(Makes(), (3, 2))
    assert saved == []
