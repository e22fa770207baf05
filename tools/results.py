"""Writes the pages, the table and the plot of 33 well-known models: ``checks/results.py`` makes them.

::

    python tools/results.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
from rich.progress import track

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.results import EXPECTED, PAGES, PLOT, figure, page, place, profile, with_table  # noqa: E402


def main() -> None:
    """Write everything anew."""
    matplotlib.rcParams["svg.hashsalt"] = "thoplw"  # the same file from run to run
    for name in track(EXPECTED, description="Profiling"):
        (PAGES / f"{name}.md").write_text(page(name, profile(name)[2]), encoding="utf-8")
    table = place()
    folder = table.parent.relative_to(ROOT).as_posix()
    table.write_text(with_table(table.read_text(encoding="utf-8"), folder), encoding="utf-8")
    figure().savefig(PLOT, metadata={"Date": None})


if __name__ == "__main__":
    main()
