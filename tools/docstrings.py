"""Docstrings for the site: roles become links, where what they name is on a page, and ``::`` opens a block of code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":\w+:`~?([\w.]+)`")


class Docstrings(griffe.Extension):
    """Rewrites every docstring once it is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(_link, re.sub(r"::$", ":", obj.docstring.value, flags=re.MULTILINE))


def _link(role: re.Match[str]) -> str:
    name = role[1]
    target = name if name.startswith("thoplw.") else f"thoplw.{name}"
    return f'<autoref optional identifier="{target}"><code>{name.removeprefix("thoplw.")}</code></autoref>'
