"""Sparse tensors, given, owned or made inside: what is stored is multiplied, abstractly as for real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.releases import since
from torch import nn

import thoplw

pytestmark = pytest.mark.filterwarnings("ignore:Sparse:UserWarning")

PLACES = torch.tensor([[0, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 0, 3]])
NODES, STORED, DIM = 6, 7, 4


def graph(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.sparse_coo_tensor(PLACES, torch.ones(STORED, dtype=dtype), (NODES, NODES)).coalesce()


class Forward(nn.Module):
    """A forward with a sparse buffer ``a``."""

    def __init__(self, forward: Callable[[Any, torch.Tensor], Any], a: torch.Tensor) -> None:
        super().__init__()
        self.way = forward
        self.register_buffer("a", a)

    def forward(self, x: torch.Tensor) -> Any:
        return self.way(self.a, x)


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "coo": lambda a: a,
    "csr": lambda a: a.to_sparse_csr(),
    "csc": lambda a: a.to_sparse_csc(),
}

#: Ways that multiply, in a forward with ``x`` of shape [NODES, DIM], and how much: each stored element meets a row.
WAYS: dict[str, tuple[Callable[[Any, torch.Tensor], Any], int]] = {
    "left": (lambda a, x: a @ x, STORED * DIM),
    "right": (lambda a, x: x.T @ a, STORED * DIM),
    "mv": (lambda a, x: a @ x[:, 0], STORED),
    "twice": (lambda a, x: a @ (a @ x), 2 * STORED * DIM),
    "scaled": (lambda a, x: (a * 2) @ x, STORED * DIM),
    "transposed": (lambda a, x: a.t() @ x, STORED * DIM),
    "dense": (lambda a, x: a.to_dense() @ x, NODES * NODES * DIM),
}


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_stored_is_multiplied(way: str, layout: str, execute: bool) -> None:
    forward, macs = WAYS[way]
    model, x = Forward(forward, LAYOUTS[layout](graph())), torch.ones(NODES, DIM)
    try:
        model(x)
    except RuntimeError as refused:
        pytest.skip(f"torch does not do that: {refused}")
    counted, _, info = thoplw.profile(model, (x,), convention="macs", execute=execute, verbose=False)
    assert counted == macs
    assert not info.uncounted


#: Ways that COO matrices alone have.
COO: dict[str, tuple[Callable[[Any, torch.Tensor], Any], int]] = {
    "sparse.mm": (torch.sparse.mm, STORED * DIM),
    "addmm": (lambda a, x: torch.sparse.addmm(x, a, x), STORED * DIM),
    "hybrid": (lambda a, x: torch.hspmm(a, x).to_dense(), STORED * DIM),
    "softmax": (lambda a, x: torch.sparse.softmax(a, 1) @ x, STORED * DIM),
    "degrees": (lambda a, x: x / torch.sparse.sum(a, 1).to_dense().unsqueeze(1), 0),
    "edges": (lambda a, x: x[a.indices()[0]] @ x.T, STORED * DIM * NODES),
    "values": (lambda a, x: a.values() @ x.new_ones(a._nnz(), 3), STORED * 3),
    "sum of two": (lambda a, x: (a + a.t()) @ x, 2 * STORED * DIM),
    # Rows 0 to 5 store 2, 1, 1, 1, 1, 1 elements; columns that are stored are 1 to 5, 0 and 3, so that 0 comes once.
    "two hops": (lambda a, x: torch.sparse.mm(a, a).to_dense(), 2 + 6 * 1),
    "computed values": (
        lambda a, x: torch.sparse_coo_tensor(a.indices(), x.sum(1)[a.indices()[0]], a.shape) @ x,
        STORED * DIM,
    ),
    "made inside": (lambda a, x: torch.sparse_coo_tensor(PLACES, torch.ones(STORED), a.shape) @ x, STORED * DIM),
    "csr made inside": (lambda a, x: torch.eye(NODES).to_sparse_csr() @ x, NODES * DIM),
}


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize("way", COO)
def test_what_coo_matrices_do(way: str, execute: bool) -> None:
    forward, macs = COO[way]
    counted, _, info = thoplw.profile(
        Forward(forward, graph()), (torch.ones(NODES, DIM),), convention="macs", execute=execute, verbose=False
    )
    assert counted == macs
    assert not info.uncounted


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_and_weights_may_be_sparse(layout: str) -> None:
    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(LAYOUTS["csr"](graph()))

        def forward(self, x: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear((a @ x).T, self.weight)

    x, a = torch.ones(NODES, DIM), LAYOUTS[layout](graph())
    for execute in (False, True):
        macs, params, _ = thoplw.profile(Given(), (x, a), convention="macs", execute=execute, verbose=False)
        assert (macs, params) == (2 * STORED * DIM, NODES * NODES)


@pytest.mark.parametrize("execute", [False, True])
def test_matrices_of_one_shape_that_store_more_or_less(execute: bool) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.some, self.few = nn.Linear(NODES, NODES, bias=False), nn.Linear(NODES, NODES, bias=False)
            self.some.weight = nn.Parameter(graph().to_sparse_csr())
            self.few.weight = nn.Parameter(torch.eye(NODES).to_sparse_csr())
            self.register_buffer("a", graph())
            self.register_buffer("eye", torch.eye(NODES).to_sparse())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hops = [torch.sparse.mm(self.a, self.a), torch.sparse.mm(self.eye, self.eye)]  # 8 and 6
            return self.few(self.some(x)) + sum(hop.to_dense()[:1] for hop in hops)

    expected = STORED + NODES + 8 + 6
    assert thoplw.profile(Two(), (1, NODES), convention="macs", execute=execute, verbose=False)[0] == expected


@pytest.mark.parametrize(
    "read",
    [
        lambda a, x: x.to_sparse() @ x.T,
        lambda a, x: torch.sparse_coo_tensor(x.topk(2, 0).indices, x[0, :4], (NODES, NODES)),
        lambda a, x: a.to_dense().sum().item(),
        lambda a, x: a.values().tolist(),
    ],
    ids=["to_sparse", "computed indices", "sum", "values"],
)
def test_values_that_would_decide_are_refused(read: Callable[[Any, torch.Tensor], Any]) -> None:
    model, x = Forward(read, graph()), torch.ones(NODES, DIM)
    with pytest.raises(thoplw.ThoplwError, match="execute=True"):
        thoplw.profile(model, (x,))
    thoplw.profile(model, (x,), execute=True, verbose=False)


def test_the_model_and_its_input_keep_their_values() -> None:
    model, a = Forward(lambda a, x: a.mul_(2) @ x[0].mul_(3).to_dense(), graph()), graph()
    x = torch.stack([graph(), graph()]).to_dense()
    thoplw.profile(model, (x,), verbose=False)
    assert torch.equal(model.a.to_dense(), a.to_dense())
    assert torch.equal(x[0], a.to_dense())


@pytest.mark.parametrize("shape", [(NODES, NODES), (NODES, NODES, 2)])
def test_blocks_store_all_their_elements(shape: tuple[int, ...]) -> None:
    hybrid = torch.sparse_coo_tensor(PLACES, torch.ones(STORED, *shape[2:]), shape)
    _, _, info = thoplw.profile(Forward(lambda a, x: (a * 2).to_dense() * x, hybrid), (1,), verbose=False)
    assert not info.uncounted


@since("2.4")
@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_training_multiplies_what_is_stored_in_a_buffer(layout: torch.layout) -> None:
    a = graph() if layout is torch.sparse_coo else graph().to_sparse_csr()
    model = Forward(lambda a, x: a @ model.layer(x), a)
    model.layer = nn.Linear(DIM, 3, bias=False)
    phases = thoplw.profile_training(model, torch.ones(NODES, DIM), verbose=False).by_phase()
    linear, product = NODES * DIM * 3, STORED * 3
    assert (phases["forward"], phases["backward"]) == (linear + product, linear + product)
    assert model.a is a
    assert model.a.layout is layout


@since("2.4")
@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("reduce", ["sum", "amax"])
def test_training_goes_back_through_maxima(reduce: str) -> None:
    """The backward of a maximum reads where it was: without that it reads past the end of memory, and crashes."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, 3))
            self.register_buffer("matrix", torch.eye(4).to_sparse_csr())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sparse.mm(self.matrix, self.weight * x, reduce)  # type: ignore[call-arg] # torch's own gap

    report = thoplw.profile_training(Net(), (1,), verbose=False, memory=True)
    assert report.by_phase() == {"forward": 4 * 3, "recomputation": 0, "backward": 4 * 3, "update": 0}
    places = 8 * 4 * 3 if reduce == "amax" else 0
    assert any(storage.size == places for storage in report.memory.trace.lifetimes.storages) == bool(places)
