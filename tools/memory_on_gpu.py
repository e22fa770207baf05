"""On a GPU: what torch says that training took, beside what ``memory=True`` said before anything ran.

::

    python tools/memory_on_gpu.py [--seconds 270]   # in less than five minutes; writes a table to stdout
    python tools/memory_on_gpu.py resnet50 timm:vit_base_patch16_224

Each model runs two iterations of a training loop on the GPU, and a forward as in inference. ``max_memory_allocated`` is
compared with the blocks that we say, and ``max_memory_reserved`` with the segments of our simulation of the allocator.
The difference is what kernels take while they run: workspaces of cuDNN and of sums. The workspace of cuBLAS is set to
what it is by default up to the generation of Ada, as it is on a Hopper what we count.

*Replayed* is how far our simulation is off if it is given the history of the run itself, as torch recorded it.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_map

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.training_variants import total  # noqa: E402

import thoplw  # noqa: E402
from thoplw.estimate.allocator import Allocated, Block, CachingAllocator, allocated  # noqa: E402
from thoplw.models.registry import load  # noqa: E402

#: Thirty models, of all zoos: as many as a minute or two takes.
MODELS = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 googlenet mnasnet1_0 mobilenet_v2 mobilenet_v3_large "
    "regnet_y_400mf resnet18 resnet50 resnext50_32x4d shufflenet_v2_x1_0 squeezenet1_1 swin_t vgg11 vit_b_16 "
    "timm:beit_base_patch16_224 timm:cait_xxs24_224 timm:convmixer_768_32 timm:deit_small_patch16_224 "
    "timm:mixer_b16_224 timm:mobilevit_s timm:nf_resnet50 timm:poolformer_s12 timm:resmlp_12_224 "
    "hf:bert hf:gpt2 hf:t5 hf:distilbert"
).split()

BATCH = 16


def told(name: str, training: bool) -> Allocated:
    """What is said before anything runs; of inference, of the first forward alone."""
    found = load(name, batch=BATCH)
    options: dict[str, Any] = {"verbose": False, "memory": True, "device": "cuda"}
    options |= {"loss": total, "optimizer": _optimizer} if training else {"step": _infer}
    memory = thoplw.profile_training(found.model.train(training), found.inputs, **options).memory
    if training:
        return memory.cuda
    lifetimes = memory.trace.lifetimes
    assert lifetimes is not None
    _, (_, events) = lifetimes.iterations
    return allocated(replace(lifetimes, events=lifetimes.events[:events]))


def _infer(model: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
    model.eval()
    with torch.no_grad():
        model(*args, **kwargs)


def _optimizer(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, foreach=True)  # what AdamW does on a GPU by itself


def taken(name: str, training: bool) -> tuple[Allocated, Allocated]:
    """What torch says that it allocated and reserved at most, and what our allocator makes of the same history."""
    found = load(name, True, batch=BATCH)
    gc.collect()
    torch._C._cuda_clearCublasWorkspaces()  # type: ignore[attr-defined] # torch types no private names
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    if torch.cuda.memory_allocated():
        raise RuntimeError(f"{torch.cuda.memory_allocated():,} bytes of something else are there")
    torch.cuda.memory._record_memory_history("all", context=None, max_entries=10**7)
    try:
        model = found.model.cuda().train(training)
        inputs = tree_map(lambda each: each.cuda() if isinstance(each, torch.Tensor) else each, found.inputs)
        _run(model, inputs, training)
        torch.cuda.synchronize()
        history = torch.cuda.memory._snapshot()["device_traces"][0]
    finally:
        torch.cuda.memory._record_memory_history(None)
    most = Allocated(torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved())
    return most, replayed(history)


def _run(model: torch.nn.Module, inputs: Any, training: bool) -> None:
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    if not training:
        with torch.no_grad():
            model(*args, **kwargs)
        return
    optimizer = _optimizer(model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        output = model(*args, **kwargs)
        loss = total(output)
        loss.backward()
        optimizer.step()


def replayed(history: Iterable[dict[str, Any]]) -> Allocated:
    """What our allocator makes of a history of torch's."""
    allocator = CachingAllocator()
    blocks: dict[int, tuple[Block, int]] = {}
    for event in history:
        if event["action"] == "alloc":
            blocks[event["addr"]] = allocator.take(event["size"]), event["size"]
        elif event["action"] == "free_completed" and event["addr"] in blocks:
            allocator.give_back(*blocks.pop(event["addr"]))
    return allocator.most


def main() -> None:
    """Write a row for each model and way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="models; thirty of all zoos if there are none")
    parser.add_argument("--seconds", type=float, default=270, help="after which no other model is begun")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2:16:8")
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here: nothing was measured")
    began = time.monotonic()
    say(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batch {BATCH}, bytes\n")
    say("| model | way | allocated | told | off | reserved | told | off | replayed |")
    say("|---|---|--:|--:|--:|--:|--:|--:|---|")
    for name, training in product(options.names or MODELS, (False, True)):
        if time.monotonic() - began > options.seconds:
            say(f"\nstopped at {name} after {options.seconds:.0f} s")
            return
        way = "training" if training else "inference"
        try:
            said = told(name, training)
            took, again = taken(name, training)
        except Exception as error:
            say(f"| {name} | {way} | {type(error).__name__}: {' '.join(str(error).split())[:100]} | | | | | | |")
            continue
        cells = (f"{real:,} | {ours:,} | {ours / real - 1:+.2%}" for real, ours in zip(took, said, strict=True))
        off = (
            "equal" if again == took else ", ".join(f"{ours - real:+,}" for real, ours in zip(took, again, strict=True))
        )
        say(f"| {name} | {way} | {' | '.join(cells)} | {off} |")


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
