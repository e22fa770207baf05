"""Contents are saved by the memory that tensors share, and put back into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from checks.releases import since
from torch import nn

import thoplw
from thoplw.capture.restore.memories import Memories, sums_of


def test_a_memory_is_put_back_whole_whichever_of_its_tensors_was_saved() -> None:
    whole = torch.arange(6.0)
    part = whole[:2]
    memories = Memories()
    memories.save([part])
    whole.fill_(9)
    memories.save([whole])  # too late: the memory is saved already
    memories.put_back()
    assert whole.tolist() == [0, 1, 2, 3, 4, 5]
    assert part.data_ptr() == whole.data_ptr()


def test_a_tensor_counts_as_written_to_as_many_times_as_before() -> None:
    whole = torch.zeros(6).add_(1)
    memories = Memories()
    for tensor in (whole, whole[:2], whole):  # of one count
        memories.save([tensor])
        tensor.add_(1)
    memories.put_back()
    assert whole._version == 1


@since("2.4")
@pytest.mark.parametrize("memory", [False, True])
def test_a_loss_made_before_a_profile_still_has_its_backward(memory: bool) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            # One number is real in a run, and a table is not a tensor of the model: both are written to.
            self.layer, self.scale, self.tables = nn.Linear(4, 4), nn.PReLU(), [torch.ones(4)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) == 3:
                self.tables[0].mul_(0.5)
            return self.scale(self.layer(x)) * self.tables[0]

    model = Scaled()
    loss = model(torch.ones(2, 4)).sum()
    thoplw.profile_training(model, (3, 4), optimizer="adamw", clip=1.0, memory=memory)
    thoplw.profile(model, (3, 4), memory=memory)
    loss.backward()  # refused if what it needs was "modified by an inplace operation"
    assert model.scale.weight.grad is not None


@pytest.mark.parametrize("size", [0, 8, 400])
def test_a_memory_of_another_size_gets_its_own_back(size: int) -> None:
    x = torch.arange(5.0)
    memories = Memories()
    memories.save([x])
    x.untyped_storage().resize_(size)
    memories.put_back()
    assert x.untyped_storage().nbytes() == 20
    assert x.tolist() == [0, 1, 2, 3, 4]


def test_what_has_no_memory_is_left_alone() -> None:
    memories = Memories()
    sparse = torch.eye(2).to_sparse()
    memories.save([torch.empty(3, device="meta"), sparse])
    memories.put_back()
    assert sparse.to_dense().tolist() == [[1, 0], [0, 1]]
    assert sums_of([torch.empty(3, device="meta"), sparse]) == {}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8, torch.int64])
def test_a_write_that_no_operator_tells_of_changes_the_sum(dtype: torch.dtype) -> None:
    x = torch.arange(5).to(dtype)
    before = sums_of([x, x[2:]])
    assert len(before) == 1  # views are of one memory
    assert sums_of([x]) == before
    x.data[4] += 1
    assert sums_of([x]) != before
    x.data[4] -= 1
    assert sums_of([x]) == before


def test_subclasses_decide_what_lies_in_their_memory() -> None:
    class Mine(torch.Tensor):
        pass

    assert sums_of([torch.ones(2).as_subclass(Mine)]) == {}
    assert len(sums_of([torch.nn.Parameter(torch.ones(2))])) == 1


@pytest.mark.filterwarnings("ignore:Sparse C:UserWarning", "ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize(
    "held",
    [
        lambda: torch.eye(2).to_sparse(),
        lambda: torch.eye(2).to_sparse_csr(),
        lambda: torch.eye(2).to_sparse_csc(),
        pytest.param(lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]), marks=since("2.2")),
    ],
)
@pytest.mark.parametrize("write", [lambda held: held.mul_(7), lambda held: held.zero_()])
@pytest.mark.parametrize("execute", [False, True])
def test_sparse_and_nested_tensors_have_their_elements_again(held: Any, write: Any, execute: bool) -> None:
    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.held = nn.Linear(4, 4), held()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            write(self.held)
            return self.layer(x)

    model = Writing()
    before = str(model.held)
    assert thoplw.profile(model, (2, 4), convention="macs", verbose=False, execute=execute)[0] == 32
    assert str(model.held) == before


@pytest.mark.skipif(np.__version__ < "2", reason="what NumPy 1 takes by DLPack is read-only")
def test_memory_that_is_handed_to_other_libraries_is_put_back() -> None:
    class Clearing(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            np.from_dlpack(self.weight.detach()).fill(0)
            return super().forward(x)

    model = Clearing(4, 4)
    before = model.weight.tolist()
    thoplw.profile(model, (2, 4), verbose=False, execute=True)
    assert model.weight.tolist() == before
