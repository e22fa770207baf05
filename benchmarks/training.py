"""Training steps of whole zoos: what ``profile_training`` says, and what really running the step multiplies.

::

    python benchmarks/training.py run                  # all; results are kept, and what is known is not done again
    python benchmarks/training.py run resnet18 hf:bert
    python benchmarks/training.py table > benchmarks/training.md

A step is a forward in training mode on two samples, the sum of what comes out as the loss, the backward, and the
update, by SGD and by AdamW. ``checks/training_oracle.py`` runs it for real on the CPU, forward and backward once and
then both updates, and multiplies out every contraction. Equal means the same multiply-accumulates in each phase, to the
unit.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.training_oracle import training_macs  # noqa: E402

import thoplw  # noqa: E402
from thoplw.models.hf import architecture  # noqa: E402
from thoplw.models.hf import inputs as inputs_of  # noqa: E402
from thoplw.models.registry import load, names  # noqa: E402

RESULTS = ROOT / "benchmarks" / "training.jsonl"
ZOO = ROOT / "benchmarks" / "zoo.jsonl"

#: Seconds for a model, built and run both ways.
SECONDS = 90

#: Samples of a step: batch norm takes two.
BATCH = 2

#: Multiply-accumulates of a forward of one sample, and parameters, that a model has at most; of transformers before it
#: is made small.
MOST, LARGEST = 25e9, 2e8

#: Models of timm: the cheapest of each of its files first.
TIMM = 300

#: Settings of transformers that are made small, and how small.
SMALL = {
    2: "num_hidden_layers num_layers n_layer n_layers num_encoder_layers num_decoder_layers encoder_layers "
    "decoder_layers num_blocks",
    1000: "vocab_size",
}

# -- which models ------------------------------------------------------------------------------------------------------


def models() -> Iterator[str]:
    """The names of all models that are tried, the cheapest of every zoo first, for whoever stops before the end."""
    rows = [json.loads(line) for line in ZOO.read_text().splitlines()]
    sizes = ((row["name"], row.get("macs") or math.inf, row.get("params") or math.inf) for row in rows)
    costs = {name: macs for name, macs, params in sizes if macs < MOST and params < LARGEST}
    pictures = [name for name in names("torchvision") if not name.startswith("quantized")]
    cheap = (sorted(filter(costs.__contains__, zoo), key=costs.__getitem__) for zoo in (pictures, names("hf")))
    for together in zip_longest(*cheap, _cheapest_of_timm(costs)):
        yield from filter(None, together)


def _cheapest_of_timm(costs: dict[str, float]) -> Iterator[str]:
    from timm.models import model_entrypoint

    files = defaultdict(list)
    for name in sorted(filter(costs.__contains__, names("timm")), key=costs.__getitem__):
        files[model_entrypoint(name.removeprefix("timm:")).__module__].append(name)
    ranked = sorted((place, name) for each in files.values() for place, name in enumerate(each))
    yield from (name for _, name in ranked[:TIMM])


def build(name: str) -> tuple[torch.nn.Module, Any]:
    """A model in training mode, with random weights, and two samples for it; of transformers a small one."""
    torch.manual_seed(0)
    if not name.startswith("hf:"):
        with _Unfilled():
            loaded = load(name, batch=BATCH, real=True)
        if type(loaded.model).__module__.startswith("torchvision.models.detection"):
            return loaded.model.train(), _with_targets()
        return loaded.model.train(), tree_map(_random, loaded.inputs)
    cls, config = architecture(name.removeprefix("hf:"))
    _shrink(config)
    with _Unfilled():
        model = cls(config).train()
    return model, tree_map(_random, inputs_of(model, seq=16, batch=BATCH))


class _Unfilled(TorchFunctionMode):
    """Leave weights as memory has them, as filling them takes longer than a step."""

    FILLS = frozenset({torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_, torch.Tensor.clamp_})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in self.FILLS else func(*args, **(kwargs or {}))


def _with_targets() -> Any:
    """Pictures with two boxes in each, as detection is trained."""
    target = {"boxes": torch.tensor([[10.0, 10, 100, 100], [20, 30, 90, 140]]), "labels": torch.tensor([1, 2])}
    return [torch.rand(3, 160, 160) for _ in range(BATCH)], [target] * BATCH


def _shrink(config: Any) -> None:
    """Make a configuration, and those inside of it, small."""
    for key, value in list(vars(config).items()):
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            _shrink(value)
        if "layerdrop" in key or "layer_drop" in key:
            setattr(config, key, 0.0)  # it leaves out layers at random
        for most, keys in SMALL.items():
            if key in keys.split() and isinstance(value, int) and value > most:
                setattr(config, key, most)


def _random(value: Any) -> Any:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return torch.rand(value.shape)


# -- a step, both ways -------------------------------------------------------------------------------------------------


def loss_of(output: Any) -> torch.Tensor:
    """The sum of all that a gradient can go back from."""
    found: list[torch.Tensor] = []

    def visit(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found.extend([value] if value.requires_grad else [])
        elif isinstance(value, dict):
            for each in value.values():
                visit(each)
        elif isinstance(value, (list, tuple)):
            for each in value:
                visit(each)

    visit(output)
    return torch.stack([tensor.float().sum() for tensor in found]).sum()


def tried(name: str) -> dict[str, Any]:
    """What is found of a model."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found: dict[str, Any] = {"name": name}
    try:
        model, inputs = build(name)
        if inputs is None:
            raise LookupError("there is no telling what it takes")
    except Exception as error:
        return found | {"build": _short(error)}
    try:
        for optimizer in ("sgd", "adamw"):
            info = thoplw.profile_training(model, inputs, loss=loss_of, optimizer=optimizer, verbose=False)
            found[optimizer] = dict(info.by_phase())
        found["uncounted"] = sorted(info.uncounted)
        found["assumptions"] = list(info.assumptions)
    except Exception as error:
        found["profile"] = _short(error)
    try:
        found["oracle"] = training_macs(lambda: _step(model, inputs))
    except Exception as error:
        found["run"] = _short(error)
    return found


def _step(model: torch.nn.Module, inputs: Any) -> None:
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    loss_of(model(*args, **kwargs)).backward()
    for optimizer in (torch.optim.SGD, torch.optim.AdamW):
        optimizer(model.parameters(), lr=0.0).step()


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200]


def run(wanted: list[str]) -> None:
    """Try models, each in a process that may die or take too long."""
    import pebble

    known = {each["name"] for each in read()}
    todo = wanted or [name for name in models() if name not in known]
    with pebble.ProcessPool(max_workers=1, max_tasks=200) as pool:
        for name in todo:
            try:
                found = pool.schedule(tried, args=[name], timeout=SECONDS).result()
            except TimeoutError:
                found = {"name": name, "run": f"not done in {SECONDS} s"}
            except Exception as error:  # whatever ended the process
                found = {"name": name, "run": _short(error)}
            with RESULTS.open("a") as file:
                file.write(json.dumps(found) + "\n")
            sys.stdout.write(f"{name}: {verdict(found)}\n")
            sys.stdout.flush()


def read() -> list[dict[str, Any]]:
    """What is known; of a model the latest."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    return list({each["name"]: each for each in map(json.loads, lines)}.values())


# -- the page ----------------------------------------------------------------------------------------------------------


def verdict(found: dict[str, Any]) -> str:
    """``equal``, or what came in between."""
    for what, words in (("build", "not built"), ("run", "does not run for real")):
        if what in found:
            return f"{words}: {found[what]}"
    if "profile" in found:
        return f"refused: {found['profile']}"
    differences = [
        f"{phase}, {optimizer}: {found[optimizer].get(phase, 0):,} for {macs:,}"
        for phase, macs in found["oracle"].items()
        for optimizer in ("sgd", "adamw")
        if found[optimizer].get(phase, 0) != macs
    ]
    if differences and found["assumptions"]:
        return f"an estimate: {' and '.join(found['assumptions'])}: {'; '.join(differences)}"
    if found["uncounted"]:
        differences.append(f"not counted: {', '.join(found['uncounted'])}")
    return "; ".join(differences) or "equal"


def zoo_of(name: str) -> str:
    """The zoo that a model is from."""
    return {"timm": "timm", "hf": "transformers"}.get(name.partition(":")[0], "torchvision")


def table() -> str:
    """The page."""
    results = {each["name"]: each for each in read()}
    verdicts = {name: verdict(each) for name, each in results.items()}
    ran = {name: said for name, said in verdicts.items() if not said.startswith(("not built", "does not run"))}
    equal = [name for name, said in ran.items() if said == "equal"]
    zoos = ("torchvision", "timm", "transformers")
    counts = {
        zoo: Counter(verdicts[name].partition(":")[0] for name in verdicts if zoo_of(name) == zoo) for zoo in zoos
    }
    lines = [
        "# Training steps of whole zoos",
        "",
        f"Of {len(ran)} models that really run a training step here, {len(equal)} are equal to the unit in forward,",
        "recomputation, backward and update, with SGD and with AdamW: multiply-accumulates as `profile_training` says",
        "them without running anything, and as `checks/training_oracle.py` multiplies them out of a real step. Steps",
        f"are in training mode, on {BATCH} samples; models of transformers have two layers and a small vocabulary.",
        "",
        f"{date.today().isoformat()}; torch {torch.__version__}, "
        + ", ".join(f"{package} {version(package)}" for package in ("torchvision", "timm", "transformers"))
        + ". Written by `benchmarks/training.py`, which says what is compared.",
        "",
        "| | " + " | ".join(zoos) + " |",
        "|---|" + "--:|" * len(zoos),
        "| equal | " + " | ".join(str(counts[zoo]["equal"]) for zoo in zoos) + " |",
        "| refused, with a reason | " + " | ".join(str(counts[zoo]["refused"]) for zoo in zoos) + " |",
        "| an estimate, with what is assumed | " + " | ".join(str(counts[zoo]["an estimate"]) for zoo in zoos) + " |",
        "| different | " + " | ".join(str(_different(zoo, ran)) for zoo in zoos) + " |",
        "| does not run for real | " + " | ".join(str(counts[zoo]["does not run for real"]) for zoo in zoos) + " |",
        "| not built | " + " | ".join(str(counts[zoo]["not built"]) for zoo in zoos) + " |",
        "",
        "## Exceptions",
        "",
        "| model | what differs |",
        "|---|---|",
        *(f"| {name} | {said.replace('|', '/')} |" for name, said in ran.items() if said != "equal"),
        "",
        "## Equal",
        "",
        "MACs of a step with two samples.",
        "",
        "| model | forward | recomputation | backward | backward / forward |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in equal:
        forward, repeated, backward = (
            results[name]["oracle"][each] for each in ("forward", "recomputation", "backward")
        )
        ratio = f"{(backward + repeated) / forward:.3f}" if forward else "-"
        lines.append(f"| {name} | {forward:,} | {repeated:,} | {backward:,} | {ratio} |")
    failed = [(name, said) for name, said in verdicts.items() if name not in ran]
    lines += ["", "## Not run", "", "| model | why |", "|---|---|"]
    lines += [f"| {name} | {said.replace('|', '/')} |" for name, said in failed]
    return "\n".join(lines) + "\n"


def _different(zoo: str, ran: dict[str, str]) -> int:
    known = ("equal", "refused", "an estimate")
    return sum(not said.startswith(known) for name, said in ran.items() if zoo_of(name) == zoo)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:])
    elif sys.argv[1:] == ["table"]:
        sys.stdout.write(table())
    else:
        sys.exit(__doc__)
