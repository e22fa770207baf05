"""Follows the examples of Markdown pages, as ``checks/examples.py`` says.

::

    python tools/examples.py docs/gallery.md          # follows it in this folder; fails where it prints something else
    python tools/examples.py --write docs/gallery.md  # writes what it prints into it
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.examples import follow  # noqa: E402


def main(
    pages: Annotated[list[Path], typer.Argument(help="Markdown files.")],
    write: Annotated[bool, typer.Option("--write", help="Write what examples print into the pages.")] = False,
) -> None:
    """Follow the examples of pages."""
    wrong = []
    for path in map(Path.resolve, pages):
        page = path.read_text(encoding="utf-8")
        with elsewhere() if write else contextlib.nullcontext():
            found = [(example, printed) for example, printed in follow(page) if not example.says(printed)]
        for example, printed in reversed(found):
            start, end = example.span
            if write and start >= 0:
                page = page[:start] + printed + page[end:]
            else:
                wrong.append(f"{path}:\n\n{example.code}\nprints\n\n{printed}")
        if write:
            path.write_text(page, encoding="utf-8")
    if wrong:
        raise SystemExit("\n".join(wrong))


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """In an empty folder."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


if __name__ == "__main__":
    typer.run(main)
