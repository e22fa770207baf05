"""On a GPU: what torch says that training took, beside what ``memory=True`` said before anything ran.

::

    python tools/memory_on_gpu.py            # in less than five minutes; writes a table to stdout
    python tools/memory_on_gpu.py resnet50 timm:vit_base_patch16_224

Each model runs two iterations of a training loop on the GPU, and a forward as in inference. ``max_memory_allocated`` is
compared with requested bytes, rounded up to blocks of 512 as the allocator does, and ``max_memory_reserved`` with what
our simulation of the allocator reserves. The difference is what the GPU's own kernels take, which are not those of the
CPU: workspaces of cuDNN and cuBLAS, masks of dropout, statistics of attention.
"""

from __future__ import annotations

import gc
import sys
import time
import warnings
from typing import Any

import torch
from torch.utils._pytree import tree_map

import thoplw
from thoplw.estimate.memory import Memory
from thoplw.models.registry import load

#: Thirty models, of all zoos: as many as a minute or two takes.
MODELS = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 googlenet mnasnet1_0 mobilenet_v2 mobilenet_v3_large "
    "regnet_y_400mf resnet18 resnet50 resnext50_32x4d shufflenet_v2_x1_0 squeezenet1_1 swin_t vgg11 vit_b_16 "
    "timm:beit_base_patch16_224 timm:cait_xxs24_224 timm:convmixer_768_32 timm:deit_small_patch16_224 "
    "timm:mixer_b16_224 timm:mobilevit_s timm:nf_resnet50 timm:poolformer_s12 timm:resmlp_12_224 "
    "hf:bert hf:gpt2 hf:t5 hf:distilbert"
).split()

BATCH = 16

#: Seconds after which no other model is begun.
SECONDS = 270


def loss_of(output: Any) -> torch.Tensor:
    """The sum of all that a gradient can go back from."""
    leaves = torch.utils._pytree.tree_leaves(output)
    return torch.stack(
        [leaf.float().sum() for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    ).sum()


def told(name: str, training: bool) -> Memory:
    """What is said before anything runs."""
    found = load(name, batch=BATCH)
    if not training:
        return thoplw.profile(found.model, found.inputs, verbose=False, memory=True)[2].memory
    options = {"loss": loss_of, "optimizer": _optimizer, "verbose": False, "memory": True}
    return thoplw.profile_training(found.model, found.inputs, **options).memory


def _optimizer(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, foreach=True)  # what AdamW does on a GPU by itself


def taken(name: str, training: bool) -> tuple[int, int]:
    """What torch says that it allocated and reserved at most."""
    found = load(name, True, batch=BATCH)
    model = found.model.cuda().train(training)
    inputs = tree_map(lambda each: each.cuda() if isinstance(each, torch.Tensor) else each, found.inputs)
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    if training:
        optimizer = _optimizer(model.parameters())
        for _ in range(2):
            optimizer.zero_grad()
            output = model(*args, **kwargs)
            loss = loss_of(output)
            loss.backward()
            optimizer.step()
    else:
        with torch.no_grad():
            output = model(*args, **kwargs)
    torch.cuda.synchronize()
    found_at = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    del output
    return found_at


def main(names: list[str]) -> None:
    """Write a row for each model and way."""
    warnings.simplefilter("ignore")
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here: nothing was measured")
    began = time.monotonic()
    say(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batch {BATCH}, bytes\n")
    say("| model | way | allocated | told | off | reserved | told | off |")
    say("|---|---|--:|--:|--:|--:|--:|--:|")
    for name in names:
        for training in (False, True):
            if time.monotonic() - began > SECONDS:
                say(f"\nstopped at {name} after {SECONDS} s")
                return
            way = "training" if training else "inference"
            try:
                memory = told(name, training)
                allocated, reserved = taken(name, training)
            except Exception as error:
                say(f"| {name} | {way} | {type(error).__name__}: {' '.join(str(error).split())[:100]} | | | | | |")
                continue
            said = memory.cuda
            say(
                f"| {name} | {way} | {allocated:,} | {said.allocated:,} | {said.allocated / allocated - 1:+.2%} "
                f"| {reserved:,} | {said.reserved:,} | {said.reserved / reserved - 1:+.2%} |"
            )


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:] or MODELS)
