"""Real times of 79 models on this CPU beside what they add up to, and beside the floors that nothing may beat.

::

    python benchmarks/time.py run                  # all; results are kept, and what is known is not done again
    python benchmarks/time.py run resnet18 hf:bert
    python benchmarks/time.py table                # writes benchmarks/time.md

Every model runs with one thread, in float32, with random weights: inference as ``thoplw.measure`` runs it, untouched
and with timers in turn; then training steps of two samples, with the sum of what comes out as the loss, and SGD. All
times are by the clock of the process, which stands while other programs run. The device is measured before the models
and after them, by ``thoplw.Device.measure``; the faster of each figure counts, as what disturbs a measurement only
makes it slower.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from statistics import median
from typing import Any, NamedTuple

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.sweep import Sweep, in_short  # noqa: E402
from checks.training_zoo import loss_of, shrink, with_targets  # noqa: E402

import thoplw  # noqa: E402
from thoplw.capture.inputs import arguments  # noqa: E402
from thoplw.capture.nesting import map_tensors  # noqa: E402
from thoplw.capture.timing.clocks import CLOCKS  # noqa: E402
from thoplw.models.hf import architecture  # noqa: E402
from thoplw.models.hf import inputs as inputs_of  # noqa: E402
from thoplw.models.registry import load  # noqa: E402

FILE, PAGE = (ROOT / "benchmarks" / f"time.{ending}" for ending in ("jsonl", "md"))

#: Of torchvision: classification, then detection, segmentation and video; of timm; of transformers, with two layers.
MODELS = """
    alexnet convnext_tiny convnext_small densenet121 densenet161 densenet169 densenet201 efficientnet_b0
    efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
    mnasnet1_0 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_400mf regnet_x_800mf regnet_x_1_6gf
    regnet_x_3_2gf regnet_x_8gf regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf resnet18
    resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d shufflenet_v2_x0_5 shufflenet_v2_x1_0
    shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_t swin_s swin_v2_t vgg11 vgg13 vgg16 vgg16_bn vgg19 vit_b_16
    vit_b_32 wide_resnet50_2 wide_resnet101_2
    ssd300_vgg16 ssdlite320_mobilenet_v3_large fasterrcnn_mobilenet_v3_large_320_fpn deeplabv3_mobilenet_v3_large
    lraspp_mobilenet_v3_large mc3_18 r2plus1d_18 r3d_18 s3d
    timm:convnext_atto timm:deit_small_patch16_224 timm:ghostnet_100 timm:mixer_s32_224 timm:mobilevit_s
    timm:poolformer_s12 timm:resnetv2_50 timm:vit_small_patch32_224 timm:vit_tiny_patch16_224
    hf:bert hf:distilbert hf:gpt2 hf:llama hf:opt hf:t5 hf:vit
""".split()

#: Runs of inference of each kind, and training steps; one more of each comes before.
REPEAT, STEPS = 5, 3

#: Samples: in training of two, as batch norms take statistics of a batch.
BATCH, TRAINED = 1, 2

#: Tokens of a text.
TOKENS = 128

#: What the sum of layers may miss, of the untouched run.
BOUND = 0.1

#: Seconds for a model.
SECONDS = 1800

# -- models ------------------------------------------------------------------------------------------------------------


def built(name: str, batch: int, *, real: bool) -> tuple[torch.nn.Module, Any]:
    """A model and its inputs: with random numbers, or on the meta device."""
    torch.manual_seed(0)
    if name.startswith("hf:"):
        cls, config = architecture(name.removeprefix("hf:"))
        shrink(config)
        with torch.device("cpu" if real else "meta"):
            model = cls(config).eval()
        inputs = inputs_of(model, seq=TOKENS, batch=batch)
    else:
        loaded = load(name, real=real, batch=batch)
        model, inputs = loaded.model, loaded.inputs
    args, kwargs = map_tensors(arguments(inputs, real=real), _random) if real else arguments(inputs)
    return model, thoplw.Inputs(*args, **kwargs)


def _random(tensor: torch.Tensor) -> torch.Tensor:
    return torch.rand(tensor.shape) if tensor.is_floating_point() else torch.zeros_like(tensor, device="cpu")


def trained(name: str, *, real: bool) -> tuple[torch.nn.Module, thoplw.Inputs]:
    """The same in training mode, with boxes to find where that is what it does."""
    model, inputs = built(name, TRAINED, real=real or _detects(name))
    return model.train(), thoplw.Inputs(*with_targets()) if _detects(name) else inputs


def _detects(name: str) -> bool:
    return name.startswith(("ssd", "fasterrcnn"))


# -- times -------------------------------------------------------------------------------------------------------------


def tried(name: str) -> dict[str, Any]:
    """The times of a model."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if name in (BEFORE, AFTER):
        return {"name": name, "device": measured_device()}
    model, inputs = built(name, BATCH, real=True)
    times = thoplw.measure(model, inputs, repeat=REPEAT, warmup=1, clock="process")
    found = {
        "name": name,
        "calls": len(times.timed[0]),
        "layers": sum(row.latency for row in times.rows),
        "between": times.between,
        "untouched": times.untouched,
    }
    del model, times
    try:
        return found | {"steps": steps(name)}
    except Exception as error:
        return found | {"training": in_short(error)}


def steps(name: str) -> list[float]:
    """Seconds of training steps."""
    model, inputs = trained(name, real=True)
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.0)
    seconds = []
    for _ in range(1 + STEPS):
        optimizer.zero_grad()
        before = CLOCKS["process"]()
        loss_of(model(*inputs.args, **inputs.kwargs)).backward()
        optimizer.step()
        seconds.append((CLOCKS["process"]() - before) / 1e9)
    return seconds[1:]


#: How the device is called in the file, as measured before the models and after them.
BEFORE, AFTER = "(before)", "(after)"


def measured_device() -> dict[str, Any]:
    """The figures of this CPU."""
    found = asdict(thoplw.Device.measure(clock="process", verbose=False))
    return {name: found[name] for name in ("title", "matrix", "vector", "bandwidth", "cache", "note")}


def _said(found: dict[str, Any]) -> str:
    if "device" in found:
        return str(found["device"])
    if "run" in found:
        return str(found["run"])
    steps = found.get("training") or ", ".join(f"{each:.3f} s" for each in found["steps"])
    return f"{1e3 * min(found['untouched']):.1f} ms; {steps}"


SWEEP = Sweep(file=FILE, tried=tried, verdict=_said, failed="run", seconds=SECONDS, tasks=200)


def run(wanted: list[str]) -> None:
    """Time models; without names the device, those that are not known, and the device again."""
    known = SWEEP.read()
    todo = wanted or [BEFORE, *(name for name in MODELS if name not in known), AFTER]
    SWEEP.run((name,) for name in todo)


# -- the page ----------------------------------------------------------------------------------------------------------


class Beside(NamedTuple):
    """A time beside its floor, in seconds."""

    seconds: float
    floor: float
    bound: str
    assumed: bool

    def __str__(self) -> str:
        mark = " *" if self.assumed else ""
        return (
            f"{1e3 * self.seconds:.1f} | {1e3 * self.floor:.2f}{mark} | {self.bound} | {self.floor / self.seconds:.1%}"
        )


def device(results: dict[str, dict[str, Any]]) -> thoplw.Device:
    """This CPU: of all measurements the fastest of each figure."""
    found = [each["device"] for each in results.values() if "device" in each]
    first = found[0]

    def fastest(unit: str) -> dict[str, float]:
        return {dtype: max(each[unit].get(dtype, 0) for each in found) for each in found for dtype in each[unit]}

    return thoplw.Device(
        name="this-cpu",
        title=first["title"],
        matrix=fastest("matrix"),
        vector=fastest("vector"),
        bandwidth=max(each["bandwidth"] for each in found),
        cache=first["cache"],
        note=first["note"],
    )


def inference(name: str, found: dict[str, Any], on: thoplw.Device) -> Beside:
    """The fastest run of a model beside its floor; of one whose way depends on values by a real run."""
    real = _detects(name)
    model, inputs = built(name, BATCH, real=real)
    layers = thoplw.profile(model, inputs, verbose=False, execute=real)[2].on(on)
    return Beside(min(found["untouched"]), layers.floor, layers.bound, bool(layers.assumptions))


def training(name: str, found: dict[str, Any], on: thoplw.Device) -> Beside:
    """The fastest step of a model beside its floor; of one whose way depends on values by a real step."""
    model, inputs = trained(name, real=False)
    if _detects(name):
        with thoplw.count() as counted:
            loss_of(model(*inputs.args, **inputs.kwargs)).backward()
            torch.optim.SGD(model.parameters(), lr=0.0).step()
        layers = counted.layer_info.on(on)
    else:
        layers = thoplw.profile_training(model, inputs, loss=loss_of, optimizer="sgd", verbose=False).on(on)
    return Beside(min(found["steps"]), layers.floor, layers.bound, bool(layers.assumptions))


HEAD = """\
# Times of layers, and floors

{day}; Python {python}, torch {torch}, one thread of {hardware}, {others} processors, which other programs used as well.
Written by `benchmarks/time.py` from `time.jsonl`. All times are by the clock of the process, which stands while other
programs run; they still take caches and memory from each other.

## Floors

`Device.measure` saw {device}: of a
measurement before the models and one after them the faster
({note}).

Of {all} models the fastest of {repeat} runs of inference (a batch of {batch}) stands beside its floor, and the fastest
of {steps} training steps (a batch of {trained}, SGD). **{violated} of {times} times lie below the floor.** The floor is
at least half of the time in {inferences} models in inference and in {trainings} in training. Detectors, whose way
depends on values, have the floors of a real run.{assumed}

| model | ms | floor, ms | bound | floor / time | step, ms | floor, ms | bound | floor / time |
|---|--:|--:|---|--:|--:|--:|---|--:|
"""

SUMS = """
## Sums

`thoplw.measure`, {repeat} runs of each kind after one that does not count: *untouched* is the median of those without
timers; *layers* and *between* are means of the middle half of those with timers. The times of layers and what lies
between them add up to the untouched run within {bound:.0%} in {good} of {all} models. What a timer costs is
measured on modules that do nothing; while other programs take the caches, it costs more. Models that missed the bound
then were timed again, by name.

| model | calls | layers, ms | between, ms | sum, ms | untouched, ms | sum / untouched | slowest, fastest untouched |
|---|--:|--:|--:|--:|--:|--:|--:|
"""

ASSUMED = " (*: something is assumed of values, so that this is an estimate.)"


def table() -> str:
    """The page."""
    results = SWEEP.read()
    on = device(results)
    known = {name: results[name] for name in MODELS if "untouched" in results.get(name, ())}
    here = {name: inference(name, found, on) for name, found in known.items()}
    there = {name: training(name, found, on) for name, found in known.items() if "steps" in found}
    beside = [*here.values(), *there.values()]
    head = HEAD.format(
        day=date.today().isoformat(),
        python=python_version(),
        torch=version("torch").partition("+")[0],
        hardware=on.title,
        others=os.cpu_count(),
        device=f"{on.vector['float32'] / 1e9:.1f} GFLOP/s in float32, {on.bandwidth / 1e9:.1f} GB/s, and "
        f"{on.cache / 1e6:.1f} MB of cache",
        note=on.note,
        all=len(known),
        repeat=REPEAT,
        batch=BATCH,
        steps=STEPS,
        trained=TRAINED,
        violated=sum(each.floor > each.seconds for each in beside),
        times=len(beside),
        inferences=sum(2 * each.floor >= each.seconds for each in here.values()),
        trainings=sum(2 * each.floor >= each.seconds for each in there.values()),
        assumed=ASSUMED if any(each.assumed for each in beside) else "",
    )
    floors = [f"| {name} | {each} | {there.get(name) or _untrained(known[name])} |" for name, each in here.items()]
    sums = {name: Sums.of(found) for name, found in known.items()}
    good = sum(abs(each.ratio - 1) <= BOUND for each in sums.values())
    more = SUMS.format(repeat=REPEAT, bound=BOUND, good=good, all=len(sums))
    return "".join([head, *_lines(floors), more, *_lines(f"| {name} | {each} |" for name, each in sums.items())])


def _untrained(found: dict[str, Any]) -> str:
    return f"{found['training']} | | | "


def _lines(lines: Iterable[str]) -> Iterator[str]:
    return (f"{line}\n" for line in lines)


class Sums(NamedTuple):
    """The times of layers, and what they add up to, in seconds."""

    calls: int
    layers: float
    between: float
    untouched: list[float]

    @classmethod
    def of(cls, found: dict[str, Any]) -> Sums:
        """What is known of a model."""
        return cls(*(found[field] for field in cls._fields))

    @property
    def ratio(self) -> float:
        """The sum, as a part of the untouched run."""
        return (self.layers + self.between) / median(self.untouched)

    def __str__(self) -> str:
        middle = median(self.untouched)
        times = (f"{1e3 * each:.1f}" for each in (self.layers, self.between, self.layers + self.between, middle))
        extremes = f"{max(self.untouched) / middle:.2f}, {min(self.untouched) / middle:.2f}"
        return " | ".join([str(self.calls), *times, f"{self.ratio:.3f}", extremes])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:])
    elif sys.argv[1:] == ["table"]:
        PAGE.write_text(table(), encoding="utf-8")
    else:
        sys.exit(__doc__)
