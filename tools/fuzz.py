"""Draw modules of ``torch.nn`` at random and hold what is said of them against a real run; ``checks/fuzz.py`` says how.

::

    python tools/fuzz.py run 10000 > /dev/null
    python tools/fuzz.py again 17
    python tools/fuzz.py table > benchmarks/fuzz.md

What was found goes into a file of JSON lines at once; numbers that are there already are not drawn again. A module that
torch refuses is drawn, but does not count.
"""

from __future__ import annotations

import json
import platform
import sys
from datetime import date
from itertools import count
from pathlib import Path
from typing import Annotated

import torch
import typer

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.drawn import drawn  # noqa: E402
from checks.fuzz import MODULES, Finding, examined, findings  # noqa: E402

FOUND = ROOT / "benchmarks" / "fuzz.jsonl"

PAGE = """\
# Modules drawn at random

{taken} modules that torch takes, of {classes} rows of `checks/drawn.py` (classes of `torch.nn`, functions, chains of
layers), seeds {first} to {last}; torch refused another {refused}. Each ran for real, abstractly, and executed under the
profiler. In every module MACs are those of `checks/oracle.py`, and outputs have the shapes, dtypes and strides of the
real run, strides of dimensions of one element included.

{equal} of {taken} are equal in everything.

{day}; {versions}. Written by `tools/fuzz.py`: `python tools/fuzz.py again SEED` runs one of them once more.

## Differences

{differences}
"""

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
    lines = [f"- {finding.seed}, {finding.result}: `{finding.text}`" for finding in differing]
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
            differences="\n".join(lines) or "None.",
        )
    )


def _vectors() -> str:
    return str(torch.backends.cpu.get_cpu_capability())


if __name__ == "__main__":
    app()
