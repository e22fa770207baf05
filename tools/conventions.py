"""Writes docs/conventions.md from the tables of ``thoplw.pricing``.

::

    python tools/conventions.py > docs/conventions.md
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.conventions import page  # noqa: E402

if __name__ == "__main__":
    sys.stdout.write(page())
