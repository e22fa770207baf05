"""Tables of formulas and of shape rules say each name once: their files are run again with tables that refuse a second.

A name that stands twice goes unseen otherwise: the later row wins, in a dictionary as in a list of words.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import thoplw

FOLDERS = [Path(thoplw.__file__).parent / name for name in ("formulas", "shapes")]
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]


def once(*parts: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dictionary of pairs that refuses a key for the second time."""
    found: dict[Any, Any] = {}
    for key, value in (pair for part in parts for pair in part):
        if key in found:
            raise ValueError(f"{key!r} stands twice")
        found[key] = value
    return found


class Once(ast.NodeTransformer):
    """Every way to write a dictionary, as a call of :func:`once`."""

    def visit_Dict(self, node: ast.Dict) -> ast.AST:  # the name that ast asks for
        self.generic_visit(node)
        parts = [
            ast.Call(ast.Attribute(value, "items", ast.Load()), [], [])
            if key is None
            else ast.List([ast.Tuple([key, value], ast.Load())], ast.Load())
            for key, value in zip(node.keys, node.values, strict=True)
        ]
        return ast.Call(ast.Name("once", ast.Load()), parts, [])

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        self.generic_visit(node)
        pairs = ast.ListComp(ast.Tuple([node.key, node.value], ast.Load()), node.generators)
        return ast.Call(ast.Name("once", ast.Load()), [pairs], [])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if ast.unparse(node.func) != "dict.fromkeys":
            return node
        keys, value = node.args
        return ast.parse(f"once([(key, {ast.unparse(value)}) for key in {ast.unparse(keys)}])", mode="eval").body


def run(source: str) -> dict[str, Any]:
    """The names that a file defines, its tables built by :func:`once`."""
    names = {"__name__": "tables", "once": once}
    exec(compile(ast.fix_missing_locations(Once().visit(ast.parse(source))), "tables", "exec"), names)
    return names


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}.{path.stem}" for path in FILES])
def test_every_name_stands_once(path: Path) -> None:
    names = run(path.read_text(encoding="utf-8"))
    assert names.get("FORMULAS") or names.get("RULES") or names.get("LAYOUTS") or path.stem == "common"


@pytest.mark.parametrize(
    "source",
    [
        "{'a': 1, **{'a': 2}}",
        "{word: 1 for word in 'a b a'.split()}",
        "{**{word: n for n, words in {1: 'a', 2: 'b a'}.items() for word in words.split()}}",
        "dict.fromkeys('a b a'.split(), 1)",
        "{'a': 1, **dict.fromkeys('b a'.split(), 2)}",
    ],
)
def test_a_name_that_stands_twice_is_found(source: str) -> None:
    with pytest.raises(ValueError, match="'a' stands twice"):
        run(source)
