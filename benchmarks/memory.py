"""The memory of whole zoos: the peak that thoplw tells without running, and what real runs took.

::

    python benchmarks/memory.py run                  # all; results are kept, and what is known is not done again
    python benchmarks/memory.py run resnet18 hf:bert
    python benchmarks/memory.py table > benchmarks/memory.md

Of each model: a forward as in inference, and two iterations of a training loop on two samples, with SGD, with AdamW,
and with AdamW over lists (``foreach=True``). ``checks/storage_tracker.py`` runs it all for real on the CPU, and counts
every storage while it lives. Equal means equal to the byte, in every iteration. ``checks/memory_profiler.py`` has the
peak by torch's profiler, which hears of workspaces inside of kernels as well.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks import storage_tracker  # noqa: E402
from checks.memory_profiler import profiled_peaks  # noqa: E402
from checks.nested import tensors_in  # noqa: E402
from checks.sweep import Sweep, in_short  # noqa: E402
from checks.training_zoo import BATCH, build, loss_of, models, zoo_of  # noqa: E402

import thoplw  # noqa: E402

#: Seconds for a model, built and run both ways.
SECONDS = 1200

#: Bytes that a run may take here, with the model that it is a copy of, and what is said of those that would take more.
ROOM, LARGE = 12 << 30, "not run, for want of"

#: Name -> how an optimizer is made.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, lr=0.0),
    "adamw": partial(torch.optim.AdamW, lr=0.0),
    "adamw over lists": partial(torch.optim.AdamW, lr=0.0, foreach=True),
}

#: What is compared of each model.
WAYS = ("inference", *OPTIMIZERS)


def tried(name: str) -> dict[str, Any]:
    """What is found of a model."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found: dict[str, Any] = {"name": name, "told": {}, "taken": {}, "profiler": {}}
    kernels: set[str] = set()
    try:
        model, inputs = build(name)
        if inputs is None:
            raise LookupError("there is no telling what it takes")
    except Exception as error:
        return found | {"build": in_short(error)}
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    for way in WAYS:
        try:
            found["told"][way] = _told(model, inputs, way)
        except Exception as error:
            found["told"][way] = in_short(error)
    beside = storage_tracker.StorageTracker([*model.parameters(), *model.buffers()]).live
    for way in WAYS:
        told = found["told"][way]
        if isinstance(told, list) and max(told) + beside > ROOM:
            found["taken"][way] = f"{LARGE} {max(told) + beside:,} bytes"
            continue
        try:
            tracker = _tracked(model, args, kwargs, way)
            found["taken"][way] = tracker.peaks
            kernels |= tracker.called
        except Exception as error:
            found["taken"][way] = in_short(error)
            break
    try:
        found["profiler"] = _profiled(model, args, kwargs, kernels)
    except Exception as error:
        found["profiler"] = in_short(error)
    return found


def _told(model: torch.nn.Module, inputs: Any, way: str) -> list[int]:
    options = {"verbose": False, "memory": True}
    if way == "inference":
        return list(thoplw.profile(model, inputs, **options)[2].memory.peaks)
    report = thoplw.profile_training(model, inputs, loss=loss_of, optimizer=OPTIMIZERS[way], **options)
    return list(report.memory.peaks)


def _tracked(model: torch.nn.Module, args: Any, kwargs: Any, way: str) -> storage_tracker.StorageTracker:
    model = copy.deepcopy(model)  # a first forward may leave tables in it, which a later one finds
    if way == "inference":
        return storage_tracker.inference(model, *args, **kwargs)
    return storage_tracker.training(model, args, kwargs, loss=loss_of, optimizer=OPTIMIZERS[way])


def _profiled(model: torch.nn.Module, args: Any, kwargs: Any, kernels: set[str]) -> dict[str, tuple[int, int]]:
    """The peaks of a forward, and of an iteration with SGD: with the workspaces of kernels, and without."""
    held = [*model.parameters(), *model.buffers(), *tensors_in((args, kwargs))]
    before = storage_tracker.StorageTracker(held).live
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        return {  # of copies, as above
            way: profiled_peaks(partial(run, copy.deepcopy(model), args, kwargs), before, kernels)
            for way, run in (("inference", _infer), ("sgd", _train))
        }
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _infer(model: torch.nn.Module, args: Any, kwargs: Any) -> Any:
    with torch.no_grad():
        return model.eval()(*args, **kwargs)


def _train(model: torch.nn.Module, args: Any, kwargs: Any) -> Any:
    optimizer = OPTIMIZERS["sgd"](model.train().parameters())
    output = model(*args, **kwargs)
    loss = loss_of(output)
    loss.backward()
    optimizer.step()
    return output, loss


def verdict(found: dict[str, Any]) -> str:
    """``equal``, or what came in between."""
    if "build" in found:
        return f"not built: {found['build']}"
    taken = {way: peaks for way, peaks in found["taken"].items() if isinstance(peaks, list)}
    if not taken:
        return f"does not run for real: {found['taken']['inference']}"
    refused = {way: found["told"][way] for way in taken if isinstance(found["told"][way], str)}
    if refused:
        return f"refused: {next(iter(refused.values()))}"
    other = [
        f"{way}: {_in_words(found['told'][way])} for {_in_words(peaks)}"
        for way, peaks in taken.items()
        if found["told"][way] != peaks
    ]
    return f"different: {'; '.join(other)}" if other else "equal"


def _in_words(peaks: list[int]) -> str:
    return " and ".join(f"{peak:,}" for peak in peaks)


SWEEP = Sweep(
    file=ROOT / "benchmarks" / "memory.jsonl",
    tried=tried,
    verdict=verdict,
    failed="build",
    seconds=SECONDS,
    tasks=50,
)


def run(wanted: list[str]) -> None:
    """Try models; without names those that are not known."""
    known = SWEEP.read()
    SWEEP.run((name,) for name in wanted or models() if wanted or name not in known)


# -- the page ----------------------------------------------------------------------------------------------------------


def table() -> str:
    """The page."""
    results = SWEEP.read()
    verdicts = {name: verdict(each) for name, each in results.items()}
    ran = {name: said for name, said in verdicts.items() if not said.startswith(("not built", "does not run"))}
    equal = [name for name, said in ran.items() if said == "equal"]
    zoos = ("torchvision", "timm", "transformers")
    counts = {
        zoo: Counter(said.partition(":")[0] for name, said in verdicts.items() if zoo_of(name) == zoo) for zoo in zoos
    }
    heard = [results[name] for name in equal if isinstance(results[name]["profiler"], dict)]
    within = {
        (way, workspaces): sum(abs(_away(each, workspaces)[way]) <= 0.01 for each in heard)
        for way in ("inference", "sgd")
        for workspaces in (True, False)
    }
    large = {name: sum(str(way).startswith(LARGE) for way in results[name]["taken"].values()) for name in ran}
    in_part = ", ".join(f"{name} in {len(WAYS) - ways} of {len(WAYS)} ways" for name, ways in large.items() if ways)
    lines = [
        "# The memory of whole zoos",
        "",
        f"Of {len(ran)} models that really run here, {len(equal)} take at their peak what `memory=True` says, to the",
        "byte: in inference, and in both iterations of a training loop with SGD, with AdamW, and with AdamW over lists",
        "(`foreach=True`). What they take was seen by `checks/storage_tracker.py` in real runs on the CPU.",
        "",
        "torch's own profiler lets them run unwatched, and hears from the allocator of workspaces inside of kernels as",
        "well. Less these, which are what one call of a kernel takes and gives back before it ends, its peak is within",
        f"1 % of that of `memory=True` for {within['inference', False]} of {len(heard)} models in inference, and for "
        f"{within['sgd', False]} in a",
        f"training step with SGD; with them for {within['inference', True]} and {within['sgd', True]}.",
        "",
        f"Training is on {BATCH} samples; models of transformers have two layers and a small vocabulary. torch's fast",
        "path of attention, one kernel that nobody looks into, is off. [What other tools say](memory_peers.md) of ten",
        f"training loops is on a page of its own. What needs more than {ROOM >> 30} GiB was not run: {in_part}.",
        "",
        f"{date.today().isoformat()}; torch {torch.__version__}, "
        + ", ".join(f"{package} {version(package)}" for package in ("torchvision", "timm", "transformers"))
        + f"; {sum('torch' in results[name] for name in ran)} of them with torch 2.11.0 and torchvision 0.26.0.",
        "Written by `benchmarks/memory.py`, which says what is compared.",
        "",
        "| | " + " | ".join(zoos) + " |",
        "|---|" + "--:|" * len(zoos),
    ]
    for said in ("equal", "different", "refused", "does not run for real", "not built"):
        lines.append(f"| {said} | " + " | ".join(str(counts[zoo][said]) for zoo in zoos) + " |")
    lines += ["", "## Exceptions", "", "| model | what differs |", "|---|---|"]
    lines += [f"| {name} | {said.replace('|', '/')} |" for name, said in ran.items() if said != "equal"]
    lines += [
        "",
        "## Equal",
        "",
        "Bytes at the peak: in inference, and in the second iteration of training; and how far the profiler is above,",
        "without workspaces and with them.",
        "",
        "| model | inference | SGD | AdamW | AdamW over lists | profiler, inference | with | profiler, SGD | with |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in equal:
        found = results[name]
        taken = {way: peaks for way, peaks in found["taken"].items() if isinstance(peaks, list)}
        peaks = " | ".join(f"{taken[way][-1]:,}" if way in taken else "-" for way in WAYS)
        shares = " | ".join(
            f"{100 * _away(found, workspaces)[way]:.2f} %" if isinstance(found["profiler"], dict) else "-"
            for way in ("inference", "sgd")
            for workspaces in (False, True)
        )
        lines.append(f"| {name} | {peaks} | {shares} |")
    failed = [(name, said) for name, said in verdicts.items() if name not in ran]
    lines += ["", "## Not run", "", "| model | why |", "|---|---|"]
    lines += [f"| {name} | {said.replace('|', '/')} |" for name, said in failed]
    return "\n".join(lines) + "\n"


def _away(found: dict[str, Any], workspaces: bool = True) -> dict[str, float]:
    """How far the profiler is from what is told, as a part of it: of inference, and of a first iteration with SGD."""
    told = {way: found["told"][way][0] for way in ("inference", "sgd")}
    return {way: found["profiler"][way][0 if workspaces else 1] / peak - 1 for way, peak in told.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:])
    elif sys.argv[1:] == ["table"]:
        sys.stdout.write(table())
    else:
        sys.exit(__doc__)
