"""Whether mirrors say what the tools say, on more models than the tests have: the 60 cheapest of ``checks/zoo.py``.

::

    python benchmarks/mirrors.py run TOOL ...    # each where the tool is installed; results are kept
    python benchmarks/mirrors.py table > benchmarks/mirrors.md
"""

from __future__ import annotations

import json
import sys
import warnings
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.peers import TOOLS, measure, priced  # noqa: E402
from checks.zoo import PICTURES, build  # noqa: E402

from thoplw.capture import capture  # noqa: E402
from thoplw.pricing import CONVENTIONS  # noqa: E402

#: The cheapest models, most families once.
MODELS = sorted(PICTURES, key=PICTURES.__getitem__)[:60]

RESULTS = Path("mirrors.json")

#: Tool -> model -> what the tool says, and what its mirror says.
Results = dict[str, dict[str, dict[str, Any]]]


def run(tools: list[str]) -> None:
    """Count every model with these tools and with their mirrors; what is known already is not done again."""
    results = read()
    for tool in tools:
        for name in MODELS:
            if name in results.setdefault(tool, {}):
                continue
            model, x = build(name)
            ours = priced(tool, capture(model, (x,), {}))
            results[tool][name] = {"tool": measure(tool, model, (x,)), "ours": ours}
            RESULTS.write_text(json.dumps(results, indent=1), encoding="utf-8")


def read() -> Results:
    """What is known."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def verdict(found: dict[str, Any]) -> str:
    """``equal``, ``fails`` (the tool itself), or what differs."""
    tool, ours = found["tool"], found["ours"]
    if "error" in tool:
        return "fails"
    differences = []
    if tool["figure"] != ours["figure"]:
        differences.append(f"{tool['figure']:,} (mirror {ours['figure']:,})")
    if tool["params"] not in (None, ours["params"]):
        differences.append(f"parameters {tool['params']:,} (mirror {ours['params']:,})")
    return "; ".join(differences) or "equal"


def table() -> str:
    """The page."""
    results = read()
    verdicts = {tool: {name: verdict(each) for name, each in found.items()} for tool, found in results.items()}
    tools = [tool for tool in TOOLS if tool in verdicts]
    pairs = [said for found in verdicts.values() for said in found.values() if said != "fails"]
    lines = [
        "# Whether the mirrors say what the tools say",
        "",
        f"{len(MODELS)} models, most families once, each counted by the real tool and by the convention that mirrors",
        f"it: {pairs.count('equal')} of {len(pairs)} pairs are equal to the unit, parameters included. The causes of",
        "the others are in the page of the tool. A tool that fails on a model has no figure to mirror.",
        "",
        f"{date.today().isoformat()}; " + ", ".join(CONVENTIONS[tool].mirrors for tool in tools) + ". "
        "Written by `benchmarks/mirrors.py`.",
        "",
        "| | " + " | ".join(f"[{tool}](../docs/mirrors/{tool}.md)" for tool in tools) + " |",
        "|---|" + "--:|" * len(tools),
    ]
    for what, wanted in (("equal to the unit", ("equal",)), ("the tool fails", ("fails",))):
        counts = (sum(said in wanted for said in verdicts[tool].values()) for tool in tools)
        lines.append(f"| {what} | " + " | ".join(map(str, counts)) + " |")
    others = (sum(said not in ("equal", "fails") for said in verdicts[tool].values()) for tool in tools)
    lines.append("| different | " + " | ".join(map(str, others)) + " |")
    lines += ["", "## Exceptions", "", "| tool | model | the tool says |", "|---|---|---|"]
    for tool in tools:
        for name, said in verdicts[tool].items():
            if said != "equal":
                error = results[tool][name]["tool"].get("error", said)
                lines.append(f"| {tool} | {name} | {error.replace('|', ' ')} |")
    lines += ["", "## Models", "", ", ".join(MODELS) + "."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:] or list(TOOLS))
    elif sys.argv[1:] == ["table"]:
        sys.stdout.write(table())
    else:
        sys.exit(__doc__)
