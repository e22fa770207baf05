"""Profile whole zoos of models in worker processes, confirm what can be run for real, and write a table.

::

    python tools/zoo.py run torchvision timm hf
    python tools/zoo.py oracle --macs 3e9
    python tools/zoo.py oracle --large --macs 3e12 --params 1e12 --timeout 900 --memory 20
    python tools/zoo.py tidy
    python tools/zoo.py table > benchmarks/zoo.md
    python tools/zoo.py left-out > docs/transformers-left-out.md

Everything that is found goes into a file of JSON lines at once; what is there already is not done again. ``tidy`` makes
one line a model of it.
"""

from __future__ import annotations

import gc
import inspect
import json
import multiprocessing
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from multiprocessing import connection
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.oracle import oracle_macs  # noqa: E402
from checks.shared_weights import SharedWeights, piece  # noqa: E402
from checks.traces import seen  # noqa: E402

import thoplw  # noqa: E402
from thoplw import hf  # noqa: E402
from thoplw.capture import capture  # noqa: E402
from thoplw.capture.inputs import arguments  # noqa: E402
from thoplw.capture.options import Options  # noqa: E402
from thoplw.models.registry import load  # noqa: E402

#: What is known of a model: what the tasks found, by name of the figure.
Record = dict[str, Any]


# -- which models --------------------------------------------------------------------------------------------------


def _torchvision() -> list[str]:
    from torchvision import models  # type: ignore[import-untyped] # it ships no types

    names: list[str] = models.list_models()
    return names + [f"int8:{name}" for name in names if name.startswith("quantized_")]


def _timm() -> list[str]:
    import timm

    return [f"timm:{name}" for name in timm.list_models()]


def _hf() -> list[str]:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return [f"hf:{name}" for name in sorted(CONFIG_MAPPING)]


#: Zoo -> names of its models, as :func:`thoplw.models.registry.load` takes them; ``int8:`` is the form in int8.
ZOOS: dict[str, Callable[[], list[str]]] = {"torchvision": _torchvision, "timm": _timm, "hf": _hf}


def zoo_of(name: str) -> str:
    """The zoo that a model is from."""
    return next((zoo for zoo in ZOOS if name.startswith(f"{zoo}:")), "torchvision")


# -- tasks, in a worker ----------------------------------------------------------------------------------------------


def measure(name: str) -> Record:
    """Profile a model without weights, or for real when its control flow needs values."""
    start = time.perf_counter()
    if name.startswith("int8:"):
        return _figures(*real(name), execute=True) | {"seconds": time.perf_counter() - start}
    loaded = load(name)
    if loaded.inputs is None:
        raise LookupError("there is no telling what it takes")
    try:
        found = _figures(loaded.model, loaded.inputs)
    except thoplw.DataDependentError:
        return _figures(*real(name), execute=True) | {"seconds": time.perf_counter() - start}
    found["seconds"] = time.perf_counter() - start
    return found | {"same": _is_same(loaded.model, loaded.inputs)}


def _figures(model: torch.nn.Module, inputs: Any, *, execute: bool = False) -> Record:
    macs, params, info = thoplw.profile(model, inputs, verbose=False, convention="macs", execute=execute)
    return {
        "params": params,
        "macs": macs,
        "flops": info.total_flops,
        "uncounted": {operator: each.calls for operator, each in info.uncounted.items()},
        "assumptions": list(info.assumptions),
        "executed": execute,
    }


def _is_same(model: torch.nn.Module, inputs: Any) -> bool:
    """Whether the record is the one of a run in which no layer is taken to do what one like it did."""
    args, kwargs = arguments(inputs)
    found = seen(capture(model, args, kwargs))
    return seen(capture(model, args, kwargs, Options(reuse_layers=False))) == found


def confirm(name: str) -> Record:
    """Count what a model really multiplies."""
    return {"oracle": _oracle(*real(name))}


def confirm_large(name: str) -> Record:
    """The same for a model that is large: with weights that share a memory, and in bfloat16 if it takes that."""
    macs, dtype = _large(name, _oracle)
    return {"oracle": macs, "oracle_dtype": str(dtype).removeprefix("torch.")}


def execute(name: str) -> Record:
    """Count with ``execute=True`` what the oracle counted: an estimate may be another number."""
    return {"for_real": _large(name, _execute)[0]}


def _large(name: str, count: Callable[[torch.nn.Module, Any], int]) -> tuple[int, torch.dtype]:
    """What is counted of a large model, and in which type it ran."""
    loaded = load(name)
    largest = max(piece(weight.shape) for weight in loaded.model.parameters())
    dtype = torch.bfloat16
    try:
        return _large_in(dtype, name, largest, loaded.inputs, count), dtype
    except (IndexError, RuntimeError, TypeError, ValueError):  # no kernel, or positions that bfloat16 rounds
        gc.collect()
        dtype = torch.float32
        return _large_in(dtype, name, largest, loaded.inputs, count), dtype


def _large_in(
    dtype: torch.dtype, name: str, largest: int, like: Any, count: Callable[[torch.nn.Module, Any], int]
) -> int:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with SharedWeights(largest, dtype), _uninitialised(name):
            model = _built(name)
        return count(model.to(dtype), tree_map(_with_values, like))
    finally:
        torch.set_default_dtype(before)


def _uninitialised(name: str) -> AbstractContextManager[Any]:
    """Without what transformers does to new weights, such as making them orthogonal: that takes minutes."""
    if zoo_of(name) != "hf":
        return nullcontext()
    from transformers.initialization import no_init_weights

    context: AbstractContextManager[Any] = no_init_weights()
    return context


def _oracle(model: torch.nn.Module, inputs: Any) -> int:
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    with _Lookups():
        return oracle_macs(model, *args, **kwargs)


def _execute(model: torch.nn.Module, inputs: Any) -> int:
    with _Lookups():
        return thoplw.profile(model, inputs, convention="macs", verbose=False, execute=True)[0]


class _Lookups(TorchDispatchMode):
    """Look up what is in the table: by default, some types have a token for images beyond their vocabulary."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.embedding.default:
            args = (args[0], args[1].clamp(0, args[0].shape[0] - 1), *args[2:])
        return func(*args, **(kwargs or {}))


def real(name: str) -> tuple[torch.nn.Module, Any]:
    """A model with random weights, and random inputs; the same ones every time."""
    model = _built(name)
    return model, tree_map(_with_values, load(name.removeprefix("int8:")).inputs)


def _built(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    source, _, rest = name.rpartition(":")
    model: torch.nn.Module = _BUILD[source](rest).eval()
    return model


def _with_values(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.is_meta:
        dtype = torch.get_default_dtype() if value.is_floating_point() else value.dtype
        return torch.rand(value.shape).to(dtype)
    return value


def _real_torchvision(name: str) -> Any:
    from torchvision import models

    takes = inspect.signature(models.get_model_builder(name)).parameters
    return models.get_model(name, **{key: None for key in ("weights", "weights_backbone") if key in takes})


def _real_int8(name: str) -> Any:
    from torchvision import models

    return models.get_model(name, weights=None, quantize=True)


def _real_timm(name: str) -> Any:
    import timm

    return timm.create_model(name, pretrained=False)


def _real_hf(name: str) -> Any:
    cls, config = hf.architecture(name)
    if name in ONE_BY_ONE:
        config._experts_implementation = "eager"
    return cls(config)


#: Types of transformers whose experts have a width that the grouped product refuses for real: they run one by one.
ONE_BY_ONE = frozenset({"deepseek_v2", "deepseek_ocr2", "deepseek_ocr2_text"})


_BUILD: dict[str, Callable[[str], Any]] = {
    "": _real_torchvision,
    "int8": _real_int8,
    "timm": _real_timm,
    "hf": _real_hf,
}

#: Task -> function, and the figure that tells of a failure.
TASKS: dict[str, tuple[Callable[[str], Record], str]] = {
    "measure": (measure, "error"),
    "confirm": (confirm, "oracle_error"),
    "confirm_large": (confirm_large, "oracle_error"),
    "execute": (execute, "execute_error"),
}


def attempt(task: str, name: str) -> Record:
    """Do a task; what goes wrong is part of the record."""
    function, failure = TASKS[task]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # They are about weights that nobody asked for.
            return {"name": name, failure: None, **function(name)}
    except (Exception, SystemExit) as error:  # a bad model must not stop the zoo
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())[:300]
        return {
            "name": name,
            failure: f"{type(error).__name__}: {text}",
            "where": f"{frame.filename}:{frame.lineno} {frame.name}",
        }
    finally:
        gc.collect()


def serve(calls: Any, threads: int, memory: int) -> None:
    """Do tasks, one after the other; runs in a process of its own."""
    # Of the data alone: torch maps far more than it uses.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # Random weights may lead to tiny numbers, which take a hundred times as long.
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            calls.send(attempt(*calls.recv()))


# -- workers ---------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Worker:
    """A process that does tasks, and is replaced when one takes too long or breaks it.

    Attributes:
        memory: bytes of data it may have.
        timeout: seconds a task may take.
        name: of the model at hand; None when idle.
    """

    memory: int
    timeout: float
    name: str | None = None
    failure: str = ""
    deadline: float = 0
    calls: Any = field(init=False)
    process: Any = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A new process."""
        spawn = multiprocessing.get_context("spawn")  # A forked torch hangs when it had threads.
        self.calls, there = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(there, 1, self.memory), daemon=True)
        self.process.start()
        there.close()

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.calls.close()

    def give(self, task: str, name: str) -> None:
        """Begin a task."""
        self.name, self.failure, self.deadline = name, TASKS[task][1], time.monotonic() + self.timeout
        self.calls.send((task, name))

    def take(self) -> Record | None:
        """The result of the task, if it is over."""
        late = time.monotonic() > self.deadline
        if not self.calls.poll() and not late:
            return None
        name, self.name = self.name, None
        try:
            if self.calls.poll():
                found: Record = self.calls.recv()
                return found
            problem = f"took longer than {self.timeout:.0f} s"
        except EOFError:
            self.process.join()
            problem = f"its process ended with {self.process.exitcode}"
        self.stop()
        self.start()
        return {"name": name, self.failure: problem}


def work(task: str, names: list[str], *, workers: int, timeout: float, memory: int) -> Iterator[Record]:
    """Do a task for each of the models, in no special order."""
    waiting = names[::-1]
    team = [Worker(memory=memory, timeout=timeout) for _ in range(min(workers, len(names)))]
    try:
        while True:
            for each in team:
                if each.name is None and waiting:
                    each.give(task, waiting.pop())
            busy = [each for each in team if each.name is not None]
            if not busy:
                return
            connection.wait([each.calls for each in busy], timeout=1)
            yield from (found for each in busy if (found := each.take()) is not None)
    finally:
        for each in team:
            each.stop()


# -- the file ----------------------------------------------------------------------------------------------------------


def read(path: Path) -> dict[str, Record]:
    """All that is known, by model; later lines go before earlier ones."""
    records: dict[str, Record] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            records.setdefault(found["name"], {}).update(found)
    return records


def note(path: Path, task: str, names: list[str], **limits: Any) -> None:
    """Do a task for each of the models, show how far it is, and write down what is found."""
    bar = Progress(
        TextColumn("{task.description:40.40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), console=Console(stderr=True),
    )  # fmt: skip
    with path.open("a", encoding="utf-8") as file, bar:
        progress = bar.add_task(task, total=len(names))
        for found in work(task, names, **limits):
            file.write(json.dumps(found) + "\n")
            file.flush()
            bar.update(progress, advance=1, description=found["name"])
            problem = found.get(TASKS[task][1])
            if problem:
                bar.console.print(f"{found['name']}: {problem}", markup=False, highlight=False, soft_wrap=True)


# -- the table ---------------------------------------------------------------------------------------------------------

HEAD = """\
# The zoo

{total} models, each with its default input and a batch of one, built without weights and profiled with
`convention="macs"`. {when}, with {versions}. Written by `tools/zoo.py`.

{summary}

*Oracle*: `checks/oracle.py` ran the model for real, with random weights, and multiplied out every contraction that
reached a kernel: `=` says that it found the same number to the unit; an empty cell, that the model was not run, for a
reason below. Large models ran in bfloat16, as far as their kernels do, and with all weights in one piece of memory,
which changes what they compute and not how much; deepseek_v2 and its kin with experts one by one, as the grouped
product refuses the width that they have by default. *Executed*: control flow depends on values, so that thoplw ran it
for real too. *Assumed*: an estimate, for a reason that the profile states; the oracle may then find another number.
FLOPs are all floating-point operations, elementwise ones included. Why types of transformers are left out says
[transformers-left-out.md](../docs/transformers-left-out.md).

Layers of torch that are called like one before them are not run again (`capture/layer_cache.py`). {same} models
were profiled with and without that, and gave the same record of operators, shapes and modules; {unlike} did not.
"""

#: What the failure of the oracle has in it -> why a model was not run for real; the first that fits.
NOT_RUN: dict[str, str] = {
    "allocate 1509949440000 bytes": "Cannot run here: attention among all patches wants 755 GB in one piece, in "
    "bfloat16",
    "can't allocate memory": "Memory: it takes more than a worker was given",
    "took longer": "Took longer than allowed",
}
NOT_TRIED = "Not tried, for want of time: much arithmetic for one core"


def page(records: Iterable[Record]) -> str:
    """The table of everything, with a head."""
    zoos: dict[str, list[Record]] = {zoo: [] for zoo in ZOOS}
    for each in records:
        if "error" in each:
            zoos[zoo_of(each["name"])].append(each)
    packages = ("thoplw", "torch", "torchvision", "timm", "transformers")
    head = HEAD.format(
        total=sum(map(len, zoos.values())),
        when=date.today().isoformat(),
        versions=", ".join(f"{name} {_version(name)}" for name in packages),
        same=sum(each.get("same") is True for rows in zoos.values() for each in rows),
        unlike=sum(each.get("same") is False for rows in zoos.values() for each in rows),
        summary=_markdown(("", *SUMMARY), [(zoo, *_summary(rows)) for zoo, rows in zoos.items()]),
    )
    parts = [head, *_unpriced(zoos)]
    for zoo, rows in zoos.items():
        rows.sort(key=lambda each: each["name"])
        good = [_row(each) for each in rows if each["error"] is None]
        bad = [(each["name"], _cell(each["error"])) for each in rows if each["error"] is not None]
        parts.append(f"## {zoo}\n")
        parts.append(_markdown(("Model", "Params", "MACs", "FLOPs", "Oracle", "Seconds", "Notes"), good) + "\n")
        left = [(each["name"], str(each["macs"]), _why_not_run(each)) for each in rows if _is_unconfirmed(each)]
        if left:
            parts.append(f"Not run for real:\n\n{_markdown(('Model', 'MACs', 'Reason'), left)}\n")
        if bad:
            parts.append(f"Without a profile:\n\n{_markdown(('Model', 'Reason'), bad)}\n")
    return "\n".join(parts)


def _is_unconfirmed(record: Record) -> bool:
    return record["error"] is None and record.get("oracle") is None


def _why_not_run(record: Record) -> str:
    failure = record.get("oracle_error")
    return _cell(_reason(NOT_RUN, failure, failure)) if failure else NOT_TRIED


LEFT_OUT_HEAD = """\
# Architectures of transformers that are left out

{left} of the {total} model types of transformers {transformers} have no profile from their name alone (`hf:<type>`).
All others do, without an unpriced operator: [benchmarks/zoo.md](../benchmarks/zoo.md). {when}, with torch {torch}.
Written by `tools/zoo.py`.

Each type was tried in its default configuration. Where transformers leaves a value open,
`src/thoplw/models/hf/defaults.py` has one. *Answer* is the error that a profile ends with;
"there is no telling what it takes" stands for a type that has no default inputs. "Fails on real tensors too" means
that the model was run on real tensors, with random weights.

Some types need a package beyond `pip install ".[zoo]"`, and their error names it: eomt, eomt_dinov3 and videomt need
scipy (1.17.1 was installed for the table), higgs_audio_v2_tokenizer needs torchaudio (2.11.0). pip finds no wheel of
natten or detectron2 for Python 3.11.

Video models take a session, which remembers earlier frames, so a call has no one cost. `thoplw.count()` found these
MACs for calls on a real session:

| | first frame | the same frame again | second frame |
| --- | --: | --: | --: |
| sam2_video, a point, 1024 x 1024 | 153963758848 | 0 | 246876521728 |
| edgetam_video, a point, 1024 x 1024 | 154476578048 | 0 | 185665701120 |
| sam3_tracker_video, a point, 1008 x 1008 | 2817392150272 | 0 | 2958086948608 |
| sam3_video, a text of 32 tokens, 1008 x 1008 | 3134967742976 | 3125244822016 | 3125244822016 |
"""

EXECUTED = """\
## Counted by running for real

In these models, computed values decide what runs next, or for how long (vits: the durations of sounds), and no
assumption serves. Without `execute=True` an error says so, and names the operator and the module. In the zoo they were
executed, with random weights.
"""

CONDITIONED = "Only the larger model passes what it is conditioned on: fails on real tensors too"

#: What a name and its answer have in them -> why a model type is left out; the first that fits.
REASONS: dict[str, str] = {
    "alone": "A part of a larger model: no model of transformers that has a forward takes its configuration",
    "has no model that is built from": "A configuration without a model: checkpoints name a class of another type",
    "missing the required": "The class has no forward; `thoplw.count()` counts what `generate` or `encode` runs",
    "natten": "Needs natten, of which PyPI has no wheel",
    "detectron2": "Needs detectron2, of which PyPI has no wheel",
    "hf:esmfold2": "Takes the atoms of a molecule, which a configuration does not tell, and draws random numbers until "
    "they fit: on real weights, and what its `prepare_protein_features` makes of 16 residues, `execute=True` counts "
    "262,016,330,752 MACs, as the oracle does",
    "no telling what it takes": "Takes a session that remembers what it has seen, so that no call has one cost; "
    "`thoplw.count()` counts each frame",
    "Class validation error": "Transformers contradicts itself: it makes all layers share a cache, and refuses where "
    "none produces it",
    "no attribute 'image_outputs'": "Transformers contradicts itself: it reads a field that its own output lacks, on "
    "real tensors too",
    "shared_kv_states cannot be None": CONDITIONED,
    "Expected size 76 but got size 50": "Two encoders have different frame rates by default: fails on real tensors too",
    "(position 1) must be Tensor": CONDITIONED,
}


def left_out(records: Iterable[Record]) -> str:
    """The page of the model types of transformers without a profile."""
    known = sorted((each for each in records if zoo_of(each["name"]) == "hf"), key=lambda each: each["name"])
    bad = [each for each in known if each.get("error")]
    head = LEFT_OUT_HEAD.format(
        left=len(bad),
        total=len(known),
        when=date.today().isoformat(),
        torch=_version("torch"),
        transformers=_version("transformers"),
    )
    rows = [
        (each["name"], _reason(REASONS, f"{each['name']} {each['error']}", "Not known"), _cell(each["error"][:160]))
        for each in bad
    ]
    executed = [(each["name"], str(each["macs"]), str(each["params"])) for each in known if each.get("executed")]
    return "\n".join(
        (
            head,
            _markdown(("Model", "Reason", "Answer"), rows) + "\n",
            EXECUTED,
            _markdown(("Model", "MACs", "Params"), executed),
        )
    )


def _reason(reasons: dict[str, str], answer: str, otherwise: str) -> str:
    """The first of some reasons whose words are in an answer."""
    return next((reason for words, reason in reasons.items() if words in answer), otherwise)


def _version(package: str) -> str:
    return thoplw.__version__ if package == "thoplw" else version(package)


#: Column of the summary -> whether a record counts there.
SUMMARY: dict[str, Callable[[Record], bool]] = {
    "Models": lambda each: True,
    "Profiled": lambda each: each["error"] is None,
    "With an unpriced operator": lambda each: bool(each.get("uncounted")),
    "With an assumption": lambda each: bool(each.get("assumptions")),
    "Executed": lambda each: bool(each.get("executed")),
    "Equal to the oracle": lambda each: each.get("oracle") is not None and each["oracle"] == each.get("macs"),
    "Other than the oracle": lambda each: differs(each),
}


def is_unlike(record: Record) -> bool:
    """Whether the oracle found another number."""
    return record.get("oracle") is not None and record["error"] is None and record["oracle"] != record["macs"]


def differs(record: Record) -> bool:
    """Whether the oracle found another number, where nothing was assumed, or where execute=True did not find it too."""
    return is_unlike(record) and not (record["assumptions"] and record.get("for_real") == record["oracle"])


def _summary(records: list[Record]) -> tuple[str, ...]:
    return tuple(str(sum(map(counts, records))) for counts in SUMMARY.values())


def _unpriced(zoos: dict[str, list[Record]]) -> list[str]:
    """Operators without a price, and in how many models."""
    found = Counter(operator for rows in zoos.values() for each in rows for operator in each.get("uncounted") or ())
    if not found:
        return []
    rows = [(f"`{operator}`", str(models)) for operator, models in found.most_common()]
    return ["## Operators without a price\n", _markdown(("Operator", "Models"), rows) + "\n"]


def _row(record: Record) -> tuple[str, ...]:
    oracle = record.get("oracle")
    notes = ["executed"] if record["executed"] else []
    notes += [f"assumed: {statement}" for statement in record["assumptions"]]
    notes += [f"not counted: {operator}" for operator in record["uncounted"]]
    notes += ["`execute=True` counts what the oracle does"] if record.get("for_real") == oracle is not None else []
    return (
        record["name"],
        str(record["params"]),
        str(record["macs"]),
        str(record["flops"]),
        "" if oracle is None else "=" if oracle == record["macs"] else str(oracle),
        f"{record['seconds']:.1f}",
        _cell("; ".join(notes)),
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _markdown(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [
        columns,
        tuple("---" if name in ("", "Answer", "Model", "Reason", "Notes") else "--:" for name in columns),
        *rows,
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# -- command line ------------------------------------------------------------------------------------------------------

app = typer.Typer(help=__doc__.partition("\n")[0], no_args_is_help=True, add_completion=False)

Lines = Annotated[Path, typer.Option(help="File of JSON lines.")]
Workers = Annotated[int, typer.Option(help="Number of processes.")]
Timeout = Annotated[float, typer.Option(help="Seconds for one model.")]
Memory = Annotated[float, typer.Option(help="Gigabytes for one process.")]
DEFAULT_LINES = ROOT / "benchmarks/zoo.jsonl"

#: Parameters of a model that is run in bfloat16, with weights that share a memory.
LARGE = 1e9


@app.command()
def run(
    names: Annotated[list[str], typer.Argument(help="torchvision, timm, hf, all, or names of models.")],
    lines: Lines = DEFAULT_LINES,
    workers: Workers = 2,
    timeout: Timeout = 120,
    memory: Memory = 8,
    again: Annotated[str, typer.Option(help="Do these again too: errors, unpriced, all.")] = "",
) -> None:
    """Profile models."""
    wanted = list(dict.fromkeys(each for name in names for each in _expand(name)))
    known = read(lines)
    todo = [name for name in wanted if "error" not in known.get(name, {}) or _again(again, known[name])]
    note(lines, "measure", todo, workers=workers, timeout=timeout, memory=int(memory * 1e9))


def _expand(name: str) -> list[str]:
    if name == "all":
        return [each for names in ZOOS.values() for each in names()]
    return ZOOS[name]() if name in ZOOS else [name]


def _again(which: str, record: Record) -> bool:
    return {"errors": bool(record["error"]), "unpriced": bool(record.get("uncounted")), "all": True}.get(which, False)


@app.command()
def oracle(
    lines: Lines = DEFAULT_LINES,
    macs: Annotated[float, typer.Option(help="Only models with no more MACs.")] = 3e9,
    params: Annotated[float, typer.Option(help="Only models with no more parameters.")] = 1e9,
    workers: Workers = 2,
    timeout: Timeout = 120,
    memory: Memory = 8,
    large: Annotated[bool, typer.Option(help="Large ones in bfloat16, with weights that share a memory.")] = False,
    again: Annotated[bool, typer.Option(help="Do again where the oracle found another number, or failed.")] = False,
) -> None:
    """Run profiled models for real, the cheapest first."""
    small = [
        each
        for each in read(lines).values()
        if each.get("error", "") is None and each["macs"] <= macs and each["params"] <= params
        if "oracle_error" not in each or (again and (differs(each) or each["oracle_error"]))
    ]
    small.sort(key=lambda each: each["macs"])
    # Where values decide, the weights must be those that the model was profiled with; what is small needs no bfloat16,
    # in which lengths that are computed may be rounded.
    exact = [each["name"] for each in small if each["executed"] or not large or each["params"] < LARGE]
    others = [each["name"] for each in small if each["name"] not in exact]
    for task, names in (("confirm", exact), ("confirm_large", others)):
        note(lines, task, names, workers=workers, timeout=timeout, memory=int(memory * 1e9))
    unlike = [each["name"] for each in read(lines).values() if is_unlike(each) and "for_real" not in each]
    note(lines, "execute", unlike, workers=workers, timeout=timeout, memory=int(memory * 1e9))


@app.command()
def tidy(lines: Lines = DEFAULT_LINES) -> None:
    """Write the file anew: one line for each model, in order."""
    records = read(lines)
    text = "".join(json.dumps(records[name]) + "\n" for name in sorted(records))
    lines.write_text(text, encoding="utf-8")


@app.command()
def table(lines: Lines = DEFAULT_LINES) -> None:
    """Write the table of all that is known, as Markdown."""
    typer.echo(page(read(lines).values()))


@app.command("left-out")
def left_out_page(lines: Lines = DEFAULT_LINES) -> None:
    """Write which model types of transformers have no profile, and why, as Markdown."""
    typer.echo(left_out(read(lines).values()))


if __name__ == "__main__":
    app()
