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

import sys
import warnings
from collections import Counter
from contextlib import nullcontext
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.sweep import Sweep, in_short  # noqa: E402
from checks.training_oracle import training_macs  # noqa: E402
from checks.training_zoo import BATCH, SIDE, build, loss_of, models, zoo_of  # noqa: E402

import thoplw  # noqa: E402

#: Seconds for a model, built and run both ways.
SECONDS = 1800

# -- a step, both ways -------------------------------------------------------------------------------------------------


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
        return found | {"build": in_short(error, 200)}
    try:
        for optimizer in ("sgd", "adamw"):
            info = thoplw.profile_training(model, inputs, loss=loss_of, optimizer=optimizer, verbose=False)
            found[optimizer] = dict(info.by_phase())
        found["uncounted"] = sorted(info.uncounted)
        found["assumptions"] = list(info.assumptions)
    except Exception as error:
        found["profile"] = in_short(error, 200)
    try:
        # Values decide what an estimate is of: the same step that the oracle sees is counted as well.
        with thoplw.count(convention="macs") if found.get("assumptions") else nullcontext() as counted:
            found["oracle"] = training_macs(lambda: _step(model, inputs))
        if counted is not None:
            found["counted"] = dict(counted.layer_info.by_phase())
    except Exception as error:
        found["run"] = in_short(error, 200)
    return found


def _step(model: torch.nn.Module, inputs: Any) -> None:
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    loss_of(model(*args, **kwargs)).backward()
    for optimizer in (torch.optim.SGD, torch.optim.AdamW):
        for parameter in model.parameters():
            optimizer([parameter], lr=0.0).step()  # one by one, as states of all would fill the memory


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
        counted = found.get("counted") == found["oracle"]
        how = "an estimate, and equal where the step is counted" if counted else "an estimate"
        return f"{how}: {' and '.join(found['assumptions'])}: {'; '.join(differences)}"
    if found["uncounted"]:
        differences.append(f"not counted: {', '.join(found['uncounted'])}")
    return "; ".join(differences) or "equal"


SWEEP = Sweep(
    file=ROOT / "benchmarks" / "training.jsonl",
    tried=tried,
    verdict=verdict,
    failed="run",
    seconds=SECONDS,
    tasks=200,
)


def run(wanted: list[str]) -> None:
    """Try models; without names those that are not known."""
    known = SWEEP.read()
    SWEEP.run((name,) for name in wanted or models() if wanted or name not in known)


def table() -> str:
    """The page."""
    results = SWEEP.read()
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
        f"are in training mode, on {BATCH} samples; models of transformers have two layers and a small vocabulary, the",
        f"largest of torchvision pictures of {SIDE} x {SIDE}. How many candidates a detector of two stages trains on",
        "depends on values, and is an estimate; `thoplw.count` around that step tells its cost.",
        "",
        f"{date.today().isoformat()}; torch {torch.__version__}, "
        + ", ".join(f"{package} {version(package)}" for package in ("torchvision", "timm", "transformers"))
        + ". Written by `benchmarks/training.py`, which says what is compared.",
        "",
        "| | " + " | ".join(zoos) + " |",
        "|---|" + "--:|" * len(zoos),
        "| equal | " + " | ".join(str(counts[zoo]["equal"]) for zoo in zoos) + " |",
        "| refused, with a reason | " + " | ".join(str(counts[zoo]["refused"]) for zoo in zoos) + " |",
        "| an estimate, and equal where `count` sees the step | "
        + " | ".join(str(counts[zoo]["an estimate, and equal where the step is counted"]) for zoo in zoos)
        + " |",
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
