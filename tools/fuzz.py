"""Draw modules of ``torch.nn`` at random and hold what is said of them against a real run.

::

    python tools/fuzz.py run 10000 > /dev/null
    python tools/fuzz.py again 17
    python tools/fuzz.py table > benchmarks/fuzz.md

Each module has a number, which is its seed. It runs for real, abstractly, and executed under the profiler; in every
module inside of it the multiply-accumulates are those of ``checks/oracle.py``, and outputs have the shapes, dtypes and
strides of the real run. What was found goes into a file of JSON lines at once; numbers that are there already are not
drawn again. A module that torch refuses is drawn, but does not count.
"""

from __future__ import annotations

import json
import platform
import sys
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import TimeoutError as Late
from datetime import date
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.drawn import Drawn, drawn  # noqa: E402
from checks.oracle import oracle_macs  # noqa: E402
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook  # noqa: E402
from torch.utils._python_dispatch import _get_current_dispatch_mode  # noqa: E402

from thoplw.api.profile import observe  # noqa: E402
from thoplw.capture.abstract import Specs  # noqa: E402
from thoplw.capture.nesting import tensors_in  # noqa: E402
from thoplw.pricing import find, price  # noqa: E402
from thoplw.record import TensorSpec  # noqa: E402

FOUND = ROOT / "benchmarks" / "fuzz.jsonl"

#: A module takes milliseconds; one that takes this long hangs.
SECONDS = 60

#: Worker processes are replaced after so many modules.
MODULES = 2000

#: What a run tells of a module: which it was, what it multiplied itself and in modules inside of it, what it returned.
Seen = tuple[str, int, tuple[TensorSpec, ...]]


class Finding(NamedTuple):
    """What came of a module: ``result`` is "equal", "refused" by torch, or in what the runs differ."""

    seed: int
    name: str
    result: str
    text: str = ""


def really(model: torch.nn.Module, args: tuple[Any, ...]) -> list[Seen]:
    """What every module does in a real run, in the order in which they return."""
    names = {module: path for path, module in model.named_modules()}
    specs, begun, seen = Specs(), [], []

    def before(module: torch.nn.Module, given: Any) -> None:
        begun.append(_get_current_dispatch_mode().macs)

    def after(module: torch.nn.Module, given: Any, output: Any) -> None:
        macs = _get_current_dispatch_mode().macs - begun.pop()
        seen.append((names[module], macs, tuple(map(specs.of, tensors_in(output)))))

    hooks = register_module_forward_pre_hook(before), register_module_forward_hook(after)
    try:
        oracle_macs(model, *args)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def said(model: torch.nn.Module, args: tuple[Any, ...], execute: bool) -> list[Seen]:
    """What the profiler says of the same."""
    order: list[int] = []
    trace = observe(model, args, execute=execute, watch=lambda scope, *_: order.append(scope))
    macs = [work.macs for work in price(trace, find("macs")).own]
    for at in reversed(range(len(macs))):  # those inside of others come later
        if trace.scopes[at].parent >= 0:
            macs[trace.scopes[at].parent] += macs[at]
    return [(trace.modules[trace.scopes[at].module].path, macs[at], trace.scopes[at].outputs) for at in order]


def difference(real: list[Seen], told: list[Seen]) -> tuple[str, str] | None:
    """In what two runs differ first, and how."""
    if [path for path, *_ in real] != [path for path, *_ in told]:
        return "modules", f"{[path for path, *_ in real]} for real, {[path for path, *_ in told]} said"
    for (path, macs, outputs), (_, said_macs, said_outputs) in zip(real, told, strict=True):
        if macs != said_macs:
            return "MACs", f"in {path!r}: {macs} for real, {said_macs} said"
        if len(outputs) != len(said_outputs):
            return "outputs", f"in {path!r}: {len(outputs)} for real, {len(said_outputs)} said"
        for output, said_output in zip(outputs, said_outputs, strict=True):
            for what in ("shape", "dtype"):
                if getattr(output, what) != getattr(said_output, what):
                    return what, f"in {path!r}: {getattr(output, what)} for real, {getattr(said_output, what)} said"
            if output.numel and output.strides != said_output.strides:
                return (
                    "strides",
                    f"in {path!r}: {output.shape} by {output.strides} for real, {said_output.strides} said",
                )
    return None


def examined(seed: int) -> Finding:
    """Draw a module, run it in every way, and compare."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)  # kernels are chosen by whether there are several
    with torch.no_grad():
        name = "?"
        try:
            first = drawn(seed)
            name = first.name
            real = really(first.module, first.args)
        except Exception as error:
            return Finding(seed, name, "refused", _sentence(error))
        for way, execute in (("abstract", False), ("executed", True)):
            found = _told(drawn(seed), real, execute)
            if found is not None:
                return Finding(seed, name, f"{found[0]} ({way})", f"{first}: {found[1]}")
    return Finding(seed, name, "equal")


def _told(again: Drawn, real: list[Seen], execute: bool) -> tuple[str, str] | None:
    try:
        return difference(real, said(again.module, again.args, execute))
    except Exception as error:
        return type(error).__name__, _sentence(error)


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def findings(seeds: Iterable[int]) -> Iterator[Finding]:
    """Examine modules in a worker process, which is replaced where one hangs or takes the process with it."""
    from pebble import ProcessExpired, ProcessPool

    with ProcessPool(max_workers=1, max_tasks=MODULES, context=get_context("spawn")) as pool:
        waiting = [(seed, pool.schedule(examined, (seed,), timeout=SECONDS)) for seed in seeds]
        for seed, future in waiting:
            try:
                yield future.result()
            except Late:
                yield Finding(seed, "?", "late", f"no answer in {SECONDS} s")
            except ProcessExpired as error:
                yield Finding(seed, "?", "died", f"exit code {error.exitcode}")


app = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True)
Output = Annotated[Path, typer.Option("-o", "--output", help="the file of what was found")]


@app.command()
def run(modules: int, first: int = 0, output: Output = FOUND) -> None:
    """Examine modules, from number FIRST on, until so many that torch takes are in the file."""
    known = {finding.seed: finding for finding in _read(output)}
    taken = sum(finding.result != "refused" for finding in known.values())
    numbers = (seed for seed in count(first) if seed not in known)
    with output.open("a") as file:
        while taken < modules:
            for finding in findings([next(numbers) for _ in range(min(modules - taken, MODULES))]):
                file.write(json.dumps(finding._asdict()) + "\n")
                file.flush()
                taken += finding.result != "refused"
                if finding.result not in ("equal", "refused"):
                    typer.echo(" ".join(map(str, finding)))


def _read(path: Path) -> list[Finding]:
    if not path.exists():
        return []
    return [Finding(**json.loads(line)) for line in path.read_text().splitlines()]


@app.command()
def again(seeds: list[int]) -> None:
    """Examine single modules once more, here."""
    for seed in seeds:
        typer.echo(drawn(seed))
        typer.echo(" ".join(map(str, examined(seed))))


@app.command()
def table(output: Output = FOUND) -> None:
    """What was found, as a page."""
    found = _read(output)
    taken = [finding for finding in found if finding.result != "refused"]
    differing = [finding for finding in taken if finding.result != "equal"]
    versions = f"torch {torch.__version__.partition('+')[0]}, {platform.machine()} with {_vectors()}"
    rows = []
    for kind in KNOWN:
        seeds = [finding.seed for finding in differing if known(finding) is kind]
        few = " ".join(map(str, seeds[:5]))
        rows.append(f"| `{kind.name}` | {kind.result} | {len(seeds)} | {few} | {kind.fault}: {kind.reason} |")
    others = [
        f"- {finding.seed}, {finding.result}: `{finding.text}`" for finding in differing if known(finding) is None
    ]
    typer.echo(
        PAGE.format(
            taken=len(taken),
            refused=len(found) - len(taken),
            equal=len(taken) - len(differing),
            classes=len({finding.name for finding in taken}),
            first=min(finding.seed for finding in found),
            last=max(finding.seed for finding in found),
            day=date.today().isoformat(),
            versions=versions,
            rows="\n".join(rows),
            others="\n".join(others) or "None.",
        )
    )


def _vectors() -> str:
    return str(torch.backends.cpu.get_cpu_capability())


class Known(NamedTuple):
    """A kind of difference that is accounted for: of this row of ``MAKERS``, whose fault, and why."""

    name: str
    result: str
    fault: str
    reason: str


KNOWN = (
    Known(
        "CTCLoss",
        "DataDependentError (abstract)",
        "thoplw",
        "torch marks the kernel as one that decides on values, and there is no assumption for it",
    ),
    Known(
        "CrossMapLRN2d",
        "InputError (abstract)",
        "thoplw",
        "the forward gives a tensor another size by `out=`, which an abstract run cannot follow, and says so",
    ),
    Known(
        "function index",
        "strides (abstract)",
        "torch's meta kernel",
        "places a dimension of one element otherwise than the kernel for the CPU, where strides are equal",
    ),
    Known(
        "GaussianNLLLoss",
        "DataDependentError (abstract)",
        "the module",
        "the forward asks whether any variance is negative: `if torch.any(var < 0)`",
    ),
    Known(
        "RMSNorm",
        "strides (abstract)",
        "thoplw",
        "the stride of a dimension of one element, which the written-out kernel keeps",
    ),
)


def known(finding: Finding) -> Known | None:
    """The kind of a difference, if it is listed."""
    return next((kind for kind in KNOWN if (kind.name, kind.result) == (finding.name, finding.result)), None)


PAGE = """\
# Modules drawn at random

{taken} modules that torch takes, of {classes} rows of `checks/drawn.py` (classes of `torch.nn`, functions, chains of
layers), seeds {first} to {last}; torch refused another {refused}. Each ran for real, abstractly, and executed under the
profiler. In every module MACs are those of `checks/oracle.py`, and outputs have the shapes, dtypes and strides of the
real run, strides of dimensions of one element included.

{equal} of {taken} are equal in everything.

{day}; {versions}. Written by `tools/fuzz.py`: `python tools/fuzz.py again SEED` runs one of them once more.

## Listed differences

| row | what | how often | seeds | whose fault, and why |
|---|---|--:|---|---|
{rows}

## Others

{others}
"""


if __name__ == "__main__":
    app()
