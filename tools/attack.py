"""Attack thoplw: forwards that touch things, interrupts, threads, damaged documents, evil names, kills.

::

    python tools/attack.py                        # all, some minutes
    python tools/attack.py names documents        # these sections
    python tools/attack.py interrupts -n 50 --seed 7
    python tools/attack.py --write                # all, and the table in benchmarks/reliability.md

Every section is seeded and bounded. It prints a line for each try that broke something; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.attacks import ATTACKS  # noqa: E402

TABLE = ROOT / "benchmarks" / "reliability.md"


def attack(name: str, count: int, seed: int) -> tuple[int, int]:
    """Run a section, tell what broke, and return how many tries held, and how many there were."""
    held = tried = 0
    start = time.monotonic()
    for what, broken in ATTACKS[name].tries(count, seed):
        tried += 1
        held += not broken
        if broken:
            sys.stdout.write(f"{name}: {what}: {broken}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{name}: {held:,} of {tried:,} held ({time.monotonic() - start:.0f} s, seed {seed})\n")
    sys.stdout.flush()
    return held, tried


def table(results: Mapping[str, tuple[int, int]], seed: int) -> str:
    """The text of ``benchmarks/reliability.md``."""
    rows = (f"| {name} | {ATTACKS[name].words} | {held:,} | {tried:,} |" for name, (held, tried) in results.items())
    return "\n".join(
        (
            "# What an attack leaves changed",
            "",
            f"Written by `python tools/attack.py --write`: torch {torch.__version__.partition('+')[0]}, one CPU core, "
            f"seed {seed}. CI runs a small draw of every section.",
            "",
            "| section | what is tried, and what must hold | held | of |",
            "| --- | --- | ---: | ---: |",
            *rows,
            "",
        )
    )


def main() -> int:
    """Run the sections that are asked for."""
    parser = argparse.ArgumentParser(description="Attack thoplw, and tell what broke.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(ATTACKS)}; else all")
    parser.add_argument("-n", "--count", type=int, help="how many tries of each section, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="run all whole, and write benchmarks/reliability.md")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.sections if name not in ATTACKS]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(ATTACKS)}")
    if chosen.write and (chosen.sections or chosen.count):
        parser.error("--write runs all sections whole")
    results = {}
    for name in chosen.sections or ATTACKS:
        results[name] = attack(name, ATTACKS[name].count if chosen.count is None else chosen.count, chosen.seed)
    if chosen.write:
        TABLE.write_text(table(results, chosen.seed), encoding="utf-8")
    return 0 if all(held == tried for held, tried in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
