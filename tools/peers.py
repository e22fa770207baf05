"""Writes what the counters that have a mirror say of the models of ``checks/peers.py``.

::

    python tools/peers.py TOOL ...    # writes checks/goldens/TOOL.json; the tool must be installed
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.peers import GOLDENS, MODELS, TOOLS, build, measure  # noqa: E402


def record(tool: str) -> None:
    """Write what a tool says of every model."""
    figures = {name: measure(tool, *build(name)) for name in MODELS}
    golden = {"tool": tool, "version": version(tool), "torch": torch.__version__, "models": figures}
    (GOLDENS / f"{tool}.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or TOOLS:
        record(name)
