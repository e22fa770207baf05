"""What is split over processes is refused before anything is run, and works as before."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from checks.releases import since

#: In a process of its own, as a group of processes is a global of torch; there is but one that is no fake.
CODE = """
import torch, warnings
from torch import nn, distributed
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed._composable import replicate
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
import thoplw

warnings.simplefilter("ignore")
distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
mesh = init_device_mesh("cpu", (2,))

def plain():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

def parallel():
    return parallelize_module(plain(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})

def sharded():
    return fully_shard(plain(), mesh=mesh)

def inside():
    model = plain()
    fully_shard(model[2], mesh=mesh)
    return model

x = torch.ones(2, 8)
split = distribute_tensor(torch.ones(2, 8), mesh, [Shard(0)])

def count(model, x):
    with thoplw.count():
        model(x)

ways = [thoplw.profile, lambda model, x: thoplw.profile(model, x, execute=True), count]
for make, given in ((parallel, x), (sharded, x), (inside, x), (nn.ReLU, split)):
    for way in ways:
        model = make()
        try:
            print("COUNTED", make.__name__, way(model, given))
        except thoplw.InputError as error:
            print(str(error).split(",")[0])
        model(given).sum()
        assert not torch.is_inference_mode_enabled()

model = replicate(plain())
for way in (thoplw.profile, lambda model, x: thoplw.profile_training(model, x, loss="sum")):
    try:
        print("COUNTED", way(model, x))
    except thoplw.InputError as error:
        print(str(error).split(",")[0])
model(x)
print(thoplw.profile(model, x, convention="macs", execute=True, verbose=False)[0])

class Held(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = {"t": distribute_tensor(torch.ones(8, 8), mesh, [Shard(0)])}

    def forward(self, x):
        return (DTensor.from_local(x, mesh, [Replicate()]) @ self.table["t"]).to_local()

for way in ways:
    try:
        print("COUNTED", way(Held(), x))
    except thoplw.InputError as error:
        print(str(error).split(",")[0])

class Reduced(nn.Linear):
    def forward(self, x):
        y = super().forward(x)
        distributed.all_reduce(y)
        return y

try:
    thoplw.profile(Reduced(8, 8), x)
except thoplw.InputError as error:
    print(str(error))
print(thoplw.profile(Reduced(8, 8), x, convention="macs", execute=True, verbose=False)[0])
distributed.destroy_process_group()
"""


@pytest.mark.slow
@since("2.14", "other names before")
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is built for one process")
def test_what_is_split_over_processes_is_refused() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *["weight 'weight' of module '0' is a DTensor"] * 2,
        "weight 'weight' of module 'Sequential.0' is a DTensor",
        *["the model is a FSDPSequential"] * 2,
        "module 'FSDPSequential' is a FSDPSequential",
        *["module '2' is a FSDPLinear"] * 2,
        "module 'Sequential.2' is a FSDPLinear",
        *["an input is a DTensor"] * 2,
        "a tensor that aten.relu is given is a DTensor",
        *["a module is a DDPSequential"] * 2,
        "512",
        "a tensor that the forward takes is a DTensor",
        "a tensor that aten.matmul is given is a DTensor",
        "a tensor that aten.mm is given is a DTensor",
        "c10d.allreduce_.default in the model itself (Reduced) exchanges tensors with other processes, and thoplw does "
        "not follow that in a run that computes only shapes. execute=True counts it on real tensors",
        "128",
    ]
