"""What other counters say of the models of ``checks/zoo.py``, beside what thoplw says.

::

    python benchmarks/accuracy.py run TOOL ...     # each where the tool is installed; results are kept
    python benchmarks/accuracy.py table > benchmarks/accuracy.md

A tool counts each model for real (PyTorch's own on the meta device), in evaluation mode, with the default input and a
batch of one. Tools that report floating-point operations are halved.
"""

from __future__ import annotations

import json
import signal
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.peers import COUNTERS  # noqa: E402
from checks.zoo import PICTURES, build  # noqa: E402

RESULTS = Path("accuracy.jsonl")
SECONDS = 60


def run(tools: list[str]) -> None:
    """Count every model with these tools; what is known already is not done again."""
    known = {(each["tool"], each["model"]) for each in read()}

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took longer than {SECONDS} s")

    signal.signal(signal.SIGALRM, stop)
    for tool in tools:
        for name in PICTURES:
            if (tool, name) in known:
                continue
            found: dict[str, Any] = {"tool": tool, "version": version(tool), "model": name, "macs": None, "error": None}
            signal.alarm(SECONDS)
            try:
                with redirect_stdout(StringIO()), redirect_stderr(StringIO()), torch.no_grad():
                    found["macs"] = COUNTERS[tool](*build(name))
            except Exception as error:  # whatever a tool meets is its result
                found["error"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:120]
            finally:
                signal.alarm(0)
            with RESULTS.open("a") as file:
                file.write(json.dumps(found) + "\n")


def read() -> list[dict[str, Any]]:
    """What is known."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def table() -> str:
    """The page."""
    results = read()
    versions = {each["tool"]: each["version"] for each in results}
    counts = {(each["tool"], each["model"]): each for each in results}
    tools = [tool for tool in COUNTERS if tool in versions]

    def share(tool: str, near: float) -> str:
        found = {name: counts.get((tool, name), {}).get("macs") for name in PICTURES}
        return str(sum(macs is not None and abs(macs / PICTURES[name] - 1) <= near for name, macs in found.items()))

    def cell(tool: str, name: str) -> str:
        found = counts.get((tool, name))
        if found is None or found["macs"] is None:
            return "-" if found is None else "fails"
        ratio = found["macs"] / PICTURES[name]
        return f"{found['macs'] / 1e9:.3f}" + (f" (x {ratio:.2f})" if abs(ratio - 1) > 0.01 else "")

    lines = [
        "# What other counters say",
        "",
        f"GMACs of {len(PICTURES)} models, most families once, with their default input and a batch of one; a ratio "
        "to the",
        "first column stands where a figure is more than 1 % off. The first column is thoplw with",
        '`convention="macs"`, which real execution confirmed to the unit (`checks/oracle.py`). Other definitions',
        "explain many small differences: biases, norms and activations count in some tools.",
        "",
        f"{date.today().isoformat()}; " + ", ".join(f"{tool} {versions[tool]}" for tool in tools) + ". "
        "Written by `benchmarks/accuracy.py`; `torch` is its FlopCounterMode on the meta device, halved.",
        "",
        "| | " + " | ".join(tools) + " |",
        "|---|" + "--:|" * len(tools),
        "| equal to the unit | " + " | ".join(share(tool, 0) for tool in tools) + " |",
        "| within 1 % | " + " | ".join(share(tool, 0.01) for tool in tools) + " |",
        "| within 10 % | " + " | ".join(share(tool, 0.1) for tool in tools) + " |",
        "",
        "| model | thoplw | " + " | ".join(tools) + " |",
        "|---|--:|" + "--:|" * len(tools),
        *(
            f"| {name} | {macs / 1e9:.3f} | " + " | ".join(cell(tool, name) for tool in tools) + " |"
            for name, macs in PICTURES.items()
        ),
    ]
    failures = [each for each in results if each["error"]]
    if failures:
        lines += ["", "## What fails", "", "| tool | model | error |", "|---|---|---|"]
        lines += [f"| {e['tool']} | {e['model']} | {e['error'].replace('|', ' ')} |" for e in failures]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:] or list(COUNTERS))
    elif sys.argv[1:] == ["table"]:
        sys.stdout.write(table())
    else:
        sys.exit(__doc__)
