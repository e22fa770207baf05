"""Runs: the abstract one sees what the real one sees; executed operators are recorded; writes are tracked."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import thoplw
from thoplw.capture import capture, expand
from thoplw.record import Call, Trace


def seen(trace: Trace) -> list[tuple[str, Any]]:
    return [(call.name, [output.shape for output in call.outputs]) for call, _ in trace.steps]


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "googlenet", "swin_t", "densenet121", "regnet_y_400mf"])
def test_abstract_run_equals_real_run(name: str) -> None:
    options = {"init_weights": False} if name == "googlenet" else {}
    model = torchvision.models.get_model(name, **options)
    x = torch.randn(1, 3, 64, 64)
    abstract, real = capture(model, (x,), {}), capture(model, (x,), {}, execute=True)
    assert seen(abstract) == seen(real)
    assert abstract.scopes == real.scopes
    assert abstract.used == real.used


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
            assert type(product).__name__ == "AbstractTensor"
            return product

    assert thoplw.profile(Legacy(), torch.tensor([1]))[:2] == (2 * 16, 16)


def test_a_real_tensor_that_abstract_values_are_written_to_has_no_values_any_more() -> None:
    class Writes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            table = torch.zeros(2, 3)
            view = table[0]
            table[:, 0] = x[:, 0]
            return x if view.sum() > 0 else -x

    with pytest.raises(thoplw.DataDependentError, match=r"aten\.is_nonzero"):
        thoplw.profile(Writes(), (2, 3))


def test_a_counter_of_the_model_is_neither_written_nor_trusted() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros((), dtype=torch.long))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            before = int(self.calls)
            self.calls += 1
            return x * before

    model = Counts()
    thoplw.profile(model, (2, 3))
    assert model.calls == 0

    class Trusts(Counts):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x * int(self.calls)

    with pytest.raises(thoplw.DataDependentError, match="execute=True"):
        thoplw.profile(Trusts(), (2, 3))


def test_shapes_that_change_in_place() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.clone()
            y.unsqueeze_(0)
            y.squeeze_(0)
            y.t_()
            return y @ x

    assert thoplw.profile(InPlace(), (2, 3))[0] == 3 * 2 * 3


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


def test_printing_an_abstract_tensor_is_harmless() -> None:
    class Prints(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert repr(x) == "AbstractTensor(shape=(2, 3), dtype=torch.float32, device=cpu)"
            return x

    thoplw.profile(Prints(), (2, 3))


def test_an_operator_without_a_meta_kernel_says_what_to_do() -> None:
    with torch.library._scoped_library("thoplw_test", "DEF") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x + x, "CPU")

        class Private(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.ops.thoplw_test.twice(x)

        with pytest.raises(thoplw.InputError, match=r"thoplw_test.twice.*no meta kernel.*execute=True"):
            thoplw.profile(Private(), (2, 3))
        _, _, info = thoplw.profile(Private(), (2, 3), execute=True, verbose=False)
        assert list(info.uncounted) == ["thoplw_test.twice.default"]


def test_a_composite_is_taken_apart_when_asked() -> None:
    class Linear(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(x, torch.ones(4, 3), torch.ones(4))

    (call,) = [call for call, _ in capture(Linear(), (torch.ones(2, 3),), {}).steps if call.target == "aten.linear"]
    parts = expand(call)
    assert parts is not None
    assert [part.target for part in parts] == ["aten.t", "aten.addmm"]
    assert expand(parts[-1]) is None
    assert expand(Call(target="no_such_library.operator")) is None


def test_equal_calls_share_a_record() -> None:
    trace = capture(nn.Sequential(*[nn.Linear(3, 3) for _ in range(5)]), (torch.ones(1, 3),), {})
    assert len(trace.steps) == 5
    assert len({id(call) for call, _ in trace.steps}) == 1


def test_arguments_that_are_equal_but_of_other_types_are_told_apart() -> None:
    class Adds(nn.Module):
        def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
            x = ids.expand(2**23)  # too large to be real
            return x + 1, x + 1.0, x + True

    outputs = capture(Adds(), (torch.ones(1, dtype=torch.int32),), {}).outputs
    assert [output.dtype for output in outputs] == ["int32", "float32", "int32"]


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_only_the_stored_elements_of_a_sparse_matrix_are_multiplied(execute: bool) -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("edges", torch.tensor([[0.0, 1, 0, 2], [3, 0, 0, 0]]).to_sparse())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sparse.mm(self.edges, x)

    assert thoplw.profile(Graph(), torch.randn(4, 5), execute=execute, strict=True)[0] == 3 * 5


@pytest.mark.skipif(torch.__version__ < "2.14", reason="older torch compiles flex attention, or has none")
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


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes")
def test_an_error_of_the_forward_says_where() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(5, 6)))
    with pytest.raises(RuntimeError, match="cannot be multiplied") as raised:
        thoplw.profile(model, (1, 3))
    assert raised.value.__notes__ == ["raised in module '1.0' (Linear)"]
    with pytest.raises(TypeError) as raised_by_the_model:
        thoplw.profile(model, ())
    assert raised_by_the_model.value.__notes__ == ["raised in the model itself (Sequential)"]


class Scatters(nn.Module):
    """Puts features where tokens hold their places, as models of pictures and text do."""

    def forward(self, ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        text = features.new_zeros(*ids.shape, 4)
        return text.masked_scatter((ids == 1)[..., None], features)


def test_features_that_fit_their_places_are_scattered() -> None:
    inputs = (torch.tensor([[0, 1, 1]]), torch.ones(2, 4))
    assert seen(capture(Scatters(), inputs, {})) == seen(capture(Scatters(), inputs, {}, execute=True))


def test_what_torch_refuses_to_scatter_is_refused() -> None:
    inputs = (torch.tensor([[1, 1, 1]]), torch.ones(2, 4))
    with pytest.raises(RuntimeError, match="Number of elements of source"):
        Scatters()(*inputs)
    with pytest.raises(thoplw.InputError, match=r"masked_scatter in the model itself .* 12 places for 8 elements"):
        thoplw.profile(Scatters(), inputs)


def test_what_fills_a_tensor_that_it_is_given_is_the_same_operator() -> None:
    class Fills(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.mm(x, x.T, out=torch.empty(3, 3))

    for execute in (False, True):
        assert thoplw.profile(Fills(), (3, 4), convention="macs", execute=execute)[0] == 3 * 4 * 3


def test_what_gives_a_tensor_another_size_is_refused() -> None:
    class Grows(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = x.new_empty(0, 3)
            torch.mm(x, x.T, out=out)
            return out @ x

    assert thoplw.profile(Grows(), (3, 4), convention="macs", execute=True)[0] == 2 * 3 * 4 * 3
    with pytest.raises(thoplw.InputError, match=r"aten.mm.out .* \(0, 3\) the shape \(3, 3\).*execute=True"):
        thoplw.profile(Grows(), (3, 4))
