"""Try every operator that PyTorch itself tests; write ``benchmarks/operators.md``. ``checks/operators.py`` says how.

::

    python tools/operators.py                     # all of them, about five minutes
    python tools/operators.py nn.functional.gelu  # one line for each of some, and no page
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.operators import page, run  # noqa: E402

PAGE = ROOT / "benchmarks" / "operators.md"


def main() -> None:
    """Try what is asked for, and say a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="operators, as torch names them; all of them unless said otherwise")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lines = []
    for line in run(options.names, options.seed):
        lines.append(line)
        notes = "; ".join(f"{note} ({times})" for note, times in line.notes.items())
        figures = f"{line.equal} of {line.samples} equal, {line.refused} of {line.refusals} refused"
        sys.stdout.write(f"{line.name}: {figures}; {' '.join(sorted(line.kinds))}; {notes}\n")
        sys.stdout.flush()
    if not options.names:
        PAGE.write_text(page(lines, options.seed), encoding="utf-8")


if __name__ == "__main__":
    main()
