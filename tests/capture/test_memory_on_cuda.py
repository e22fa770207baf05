"""The memory of the kernels that torch takes on a GPU: against what real autograd does, and what kernels document."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the imports below name
from checks.releases import file_since

file_since("2.14")

from typing import Any

import pytest
import torch
from checks.memory_profiler import profiled_peak
from checks.storage_tracker import StorageTracker, tracked
from checks.training_variants import Calls
from torch import nn

import thoplw
from thoplw.capture.memory_run import CUBLAS_WORKSPACE, CUBLASLT_WORKSPACE, cublas_workspaces
from thoplw.estimate.memory import Memory
from thoplw.record import Kind

#: Of a step whose products have a bias: that of the forward, that of cuBLASLt, that of the backward pass.
WORKSPACES = 2 * CUBLAS_WORKSPACE + CUBLASLT_WORKSPACE


@pytest.fixture(autouse=True)
def _default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.delenv("CUBLASLT_WORKSPACE_SIZE", raising=False)


def of(model: nn.Module, inputs: Any, device: str = "cuda", **options: Any) -> Memory:
    options |= {"loss": "sum", "verbose": False, "memory": True, "device": device}
    return thoplw.profile_training(model, inputs, **options).memory


def branches(x: torch.Tensor) -> torch.Tensor:
    """What goes three ways gets three gradients, and no way keeps anything for the backward pass."""
    y = x.relu()
    return (y * 2).sum() + (y * 3).sum() + (y * 4).sum()


def watched_branches(x: torch.Tensor) -> torch.Tensor:
    """The same, of which somebody keeps the first gradient that comes back."""
    y = x.relu()
    first = y * 4
    kept: list[torch.Tensor] = []
    same = first + 0  # gives its gradient on as it is
    same.register_hook(kept.append)
    loss = (y + 0 + same).sum()
    loss.kept = kept  # type: ignore[attr-defined]
    return loss


class Keeping(torch.autograd.Function):
    """Keeps the gradient that it gives on."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, kept: list[torch.Tensor]) -> torch.Tensor:
        """Return something else, of which autograd keeps nothing."""
        ctx.kept = kept
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override] # torch's own
        """Have it in Python as it is added up."""
        made = gradient * 2
        ctx.kept.append(made)
        return made, None


def kept_branches(x: torch.Tensor) -> torch.Tensor:
    """Two branches, whose own backward keeps what it gives on."""
    kept: list[torch.Tensor] = []
    y = x.relu()
    loss: Any = Keeping.apply(y, kept).sum() + Keeping.apply(y, kept).sum()  # type: ignore[no-untyped-call] # torch's
    loss.kept = kept
    return loss  # type: ignore[no-any-return] # what apply returns, torch does not say


class Attention(nn.Module):
    """Attention with dropout, over a mask."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Every token looks at every other."""
        attend = torch.nn.functional.scaled_dot_product_attention
        return attend(x, x, x, attn_mask=mask, dropout_p=0.1)


def leaf() -> torch.Tensor:
    return torch.randn(1000, 1000, requires_grad=True)


@pytest.mark.parametrize("way", [branches, watched_branches, kept_branches])
def test_gradients_are_added_as_while_nobody_looks_on(way: Any) -> None:
    def step(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
        loss = way(x)
        loss.backward()
        return loss

    def told(device: str) -> int:
        options = {"step": step, "memory": True, "device": device, "verbose": False}
        return thoplw.profile_training(nn.Identity(), leaf(), **options).memory.peaks[0]

    x = leaf()
    real = profiled_peak(lambda: step(nn.Identity(), x), x.untyped_storage().nbytes())
    assert told("cuda") == told("cpu") == pytest.approx(real, abs=64)  # a number or two

    def watched(tracker: StorageTracker) -> None:
        tracker.begin()
        step(nn.Identity(), x)

    x.grad = None
    assert tracked(watched, [x]).peaks == [told("cpu")]


def test_dropout_keeps_a_byte_for_each_element() -> None:
    sizes = {
        storage.size for storage in of(nn.Dropout(), torch.randn(100, 50, requires_grad=True)).trace.lifetimes.storages
    }
    assert 100 * 50 in sizes


def test_dropout_in_evaluation_mode_keeps_nothing() -> None:
    model = nn.Sequential(nn.Linear(50, 50), nn.Dropout().eval())
    assert 100 * 50 not in {each.size for each in of(model, (100, 50)).trace.lifetimes.storages}


@pytest.mark.parametrize("mask", [None, torch.float32, torch.bool])
def test_attention_keeps_no_scores(mask: torch.dtype | None) -> None:
    x = torch.randn(2, 4, 64, 16, requires_grad=True)
    inputs = (x,) if mask is None else (x, torch.ones(2, 1, 64, 64, dtype=mask))
    scores = 2 * 4 * 64 * 64 * 4
    memories = {way: of(Attention(), inputs, device=way) for way in ("cpu", "cuda")}
    sizes = {way: {each.size for each in memory.trace.lifetimes.storages} for way, memory in memories.items()}
    assert scores in sizes["cpu"]
    assert scores not in sizes["cuda"]


def test_optimizer_works_over_lists() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64))
    optimizer = torch.optim.AdamW(model.parameters())
    told = of(model, (1, 64), optimizer=optimizer)
    lists = of(model, (1, 64), device="cpu", optimizer=lambda weights: torch.optim.AdamW(weights, foreach=True))
    one_by_one = of(model, (1, 64), device="cpu", optimizer=optimizer)
    assert told.peaks[-1] == lists.peaks[-1] + WORKSPACES
    assert lists.peaks[-1] > one_by_one.peaks[-1]
    assert optimizer.param_groups[0]["foreach"] is None


def test_optimizer_that_was_told_not_to_does_not() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64))

    def make(weights: Any) -> torch.optim.Optimizer:
        return torch.optim.AdamW(weights, foreach=False)

    told, plain = (of(model, (1, 64), device=way, optimizer=make).peaks[-1] for way in ("cuda", "cpu"))
    assert told == plain + WORKSPACES


def test_cublas_keeps_a_workspace_in_every_thread_from_the_first_product_on() -> None:
    """Backward passes have a thread of their own, where no product has a bias: as the history of an H200 has it."""
    memory = of(nn.Linear(8, 8), (2, 8))
    kept = [each for each in memory.trace.lifetimes.storages if each.kind is Kind.WORKSPACES]
    made = [(memory.timeline[each.step].operator, each.size) for each in kept]
    assert made == [("aten.addmm", 8_519_680), ("aten.addmm", 1 << 20), ("aten.mm", 8_519_680)]
    assert all(each.gone == -1 for each in kept)
    assert memory.by_kind["workspaces"] == WORKSPACES


def test_without_a_bias_nothing_goes_to_cublaslt() -> None:
    assert of(nn.Linear(8, 8, bias=False), (2, 8)).by_kind["workspaces"] == 2 * CUBLAS_WORKSPACE


@pytest.mark.parametrize(
    ("config", "lt", "expected"),
    [
        ("", "", (8_519_680, 1 << 20)),
        (":4096:2:16:8", "1024", (8_519_680, 1 << 20)),
        (":4096:8", "", (32 << 20, 1 << 20)),
        (":16:8", "", (128 << 10, 128 << 10)),  # cuBLASLt has at most as much
        (":0:0", "", (0, 0)),
        ("nothing of the kind", "64", (8_519_680, 64 << 10)),
        (":4096:2:16:8", "0", (8_519_680, 0)),
        (":4096:2:16:8", "much", (8_519_680, 1 << 20)),
    ],
)
def test_the_environment_says_how_large_workspaces_are(
    config: str, lt: str, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torch documents it in "cuBLAS workspaces", and as ``CublasHandlePool.cpp`` reads it."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", config)
    monkeypatch.setenv("CUBLASLT_WORKSPACE_SIZE", lt)
    assert cublas_workspaces() == expected
    assert of(nn.Linear(8, 8), (2, 8)).by_kind.get("workspaces", 0) == 2 * expected[0] + expected[1]


def test_no_workspace_without_products() -> None:
    assert "workspaces" not in of(nn.Tanh(), torch.randn(4, 4, requires_grad=True)).by_kind


def scratch(memory: Memory) -> set[tuple[str, int]]:
    """What kernels took and gave back, in any iteration: operator, bytes."""
    storages = memory.trace.lifetimes.storages
    return {
        (memory.timeline[each.step].operator, each.size)
        for each in storages
        if each.kind is Kind.WORKSPACES and each.gone >= 0
    }


@pytest.mark.parametrize(
    ("rows", "count", "dtype", "size"),
    [
        # Up to 3,072 indices are not sorted. Else there are as many sums as indices or rows, and one more for ten.
        (5000, 3072, torch.float32, 0),
        (5000, 4099, torch.float32, (409 + 4099) * 8 * 4),
        (100, 4099, torch.float32, (409 + 100) * 8 * 4),
        (100, 4099, torch.float16, (409 + 100) * 8 * 4),
        (100, 4099, torch.float64, (409 + 100) * 8 * 8),
    ],
)
def test_the_gradient_of_an_embedding_has_partial_sums(rows: int, count: int, dtype: torch.dtype, size: int) -> None:
    memory = of(nn.Embedding(rows, 8, dtype=dtype), torch.zeros(count, dtype=torch.long))
    assert scratch(memory) == ({("aten.embedding_dense_backward", size)} if size else set())


@pytest.mark.parametrize("name", ["mse_loss", "smooth_l1_loss"])
@pytest.mark.parametrize(("reduction", "size"), [("mean", 4 * 5 * 4), ("sum", 4 * 5 * 4), ("none", 0)])
def test_one_number_is_made_of_the_losses_of_all_elements(name: str, reduction: str, size: int) -> None:
    loss = getattr(nn.functional, name)
    model = Calls(lambda self, x: loss(x, torch.zeros(4, 5), reduction=reduction))
    memory = of(model, torch.randn(4, 5, requires_grad=True))
    assert scratch(memory) == ({(f"aten.{name}", size)} if size else set())


class Masked(nn.Module):
    """Attention of 2 heads with 16 channels over 5 positions, with a mask."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend to itself."""
        return nn.functional.scaled_dot_product_attention(x, x, x, x.new_zeros(5, 5))


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 3 * 2 * 5 * 16 * 4), (torch.bfloat16, 0)])
def test_single_precision_has_attention_multiply_gradient_and_output(dtype: torch.dtype, size: int) -> None:
    memory = of(Masked(), torch.randn(3, 2, 5, 16, dtype=dtype, requires_grad=True))
    operator = "aten._scaled_dot_product_efficient_attention_backward"
    assert scratch(memory) == ({(operator, size)} if size else set())
