"""``docs/conventions.md`` is what ``tools/conventions.py`` writes."""

from __future__ import annotations

from pathlib import Path

from checks.conventions import page

import thoplw

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_current() -> None:
    assert (DOCS / "conventions.md").read_text(encoding="utf-8") == page()


def test_every_mirror_has_a_page_that_says_the_version() -> None:
    for each in thoplw.conventions():
        if each.mirrors:
            assert each.mirrors.split()[1] in (DOCS / "mirrors" / f"{each.name}.md").read_text(encoding="utf-8")
