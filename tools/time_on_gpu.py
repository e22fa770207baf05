"""Times on a GPU: whether layers add up to the untouched run, and whether anything is faster than its floor.

::

    python tools/time_on_gpu.py h100-sxm [--seconds 280]

Needs torch with CUDA, torchvision and timm, and less than five minutes: models come the smallest first, each in
float32 and bfloat16, until the time is up. A line a model: milliseconds of the untouched run, of its layers, between
them, their sum by the first, and the floor on the device, which nothing may beat, with its part of the first. The last
line says how many are within 10 %, and how many beat their floor: ``benchmarks/h200.md``
has the last results.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src")]

import thoplw  # noqa: E402
from thoplw.capture.inputs import arguments  # noqa: E402
from thoplw.capture.nesting import map_tensors  # noqa: E402
from thoplw.models.registry import load  # noqa: E402

#: Models, the smallest first, each with so many samples that a GPU has something to do.
MODELS = """
    mobilenet_v3_small:64 squeezenet1_1:64 shufflenet_v2_x1_0:64 mnasnet1_0:64 mobilenet_v2:64 regnet_y_400mf:64
    timm:vit_tiny_patch16_224:64 timm:convnext_atto:64 timm:mixer_s32_224:64 efficientnet_b0:64 resnet18:64 alexnet:128
    googlenet:64 densenet121:32 timm:deit_small_patch16_224:32 resnet34:32 resnet50:32 regnet_y_3_2gf:32
    resnext50_32x4d:32 convnext_tiny:32 swin_t:32 inception_v3:32 wide_resnet50_2:32 efficientnet_v2_s:32 resnet101:32
    densenet201:16 resnet152:32 vgg16:32 vit_b_16:32 convnext_base:16
""".split()


def measured(name: str, batch: int, dtype: torch.dtype, roof: str) -> thoplw.Measurement:
    """The times of a model with random weights and inputs."""
    loaded = load(name, real=True, batch=batch)
    model = loaded.model.to("cuda", dtype)
    args, kwargs = map_tensors(
        arguments(loaded.inputs, real=True),
        lambda each: torch.rand(each.shape, device="cuda", dtype=dtype) if each.is_floating_point() else each.cuda(),
    )
    return thoplw.measure(model, thoplw.Inputs(*args, **kwargs), roof)


def lines(roof: str, seconds: float) -> Iterator[str]:
    """A line a model until the time is up, and at last one for all."""
    end = time.monotonic() + seconds
    yield f"{torch.cuda.get_device_name()}, torch {torch.__version__}, beside the peaks of {roof}"
    good = beaten = count = 0
    for each, dtype in product(MODELS, ("float32", "bfloat16")):
        if time.monotonic() > end:
            yield "the time is up"
            break
        name, _, batch = each.rpartition(":")
        times = measured(name, int(batch), getattr(torch, dtype), roof)
        layers = sum(row.latency for row in times.rows)
        floor = times.profile.total.floor
        count += 1
        good += abs(times.accounted / times.latency - 1) <= 0.1
        beaten += floor > times.latency
        milliseconds = " ".join(f"{1e3 * part:9.3f}" for part in (times.latency, layers, times.between))
        yield (
            f"{name:28} {batch:>4} {dtype:9} {milliseconds} {times.accounted / times.latency:6.3f} "
            f"{1e3 * floor:9.3f} {floor / times.latency:6.1%}"
        )
    yield f"{good} of {count} within 10 %; {beaten} beat their floor"


def main() -> None:
    """Read the command line, and write lines as they come."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("device", help="the GPU that this runs on, by its name in thoplw.devices()")
    parser.add_argument("--seconds", type=float, default=280)
    options = parser.parse_args()
    for line in lines(options.device, options.seconds):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
