"""Templates escape what they are given, and refuse what they are not."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("jinja2")

from thoplw.errors import MissingExtraError
from thoplw.render.page.templates import HERE, environment, read


def test_text_is_escaped_and_a_name_that_nobody_gave_is_an_error() -> None:
    from jinja2 import UndefinedError

    made = environment().from_string("<p>{{ name }}</p>")
    assert made.render(name="<b> & 'c'") == "<p>&lt;b&gt; &amp; &#39;c&#39;</p>"
    with pytest.raises(UndefinedError, match="name"):
        made.render(nam="x")


def test_every_template_and_style_is_found() -> None:
    pages = sorted(path.name for path in HERE.glob("*.html"))
    assert sorted(environment().list_templates(extensions=["html"])) == pages
    assert {"page.html", "generation.html", "times.html"} <= set(pages)
    assert read("page.css") == (HERE / "page.css").read_bytes().decode()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"an HTML page needs jinja2, .*: pip install jinja2"):
        environment()
