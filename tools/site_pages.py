"""What mkdocs does besides rendering ``docs/``: pages that the code writes, and those that lie elsewhere.

- ``reference/commands.md`` is what typer says of the command line.
- ``reference/json.md`` is what ``schema.json`` says.
- ``gallery/`` holds the files that the examples of ``docs/gallery.md`` write.
- Pages outside of ``docs/`` join the site, and links between both are put right.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "src" / "thoplw" / "report" / "schema.json"
GALLERY = "gallery.md"

#: Pages of the site that are not in ``docs/``, by their place in the repository.
ELSEWHERE = (
    "CHANGELOG.md",
    *(
        f"benchmarks/{name}.md"
        for name in (
            "accuracy devices formulas generation h200 memory memory_on_a_gpu memory_peers mirrors operators releases "
            "speed time training zoo"
        ).split()
    ),
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks" / "models").glob("*.md")),
)

#: Pages whose tables need the room of the table of contents.
WIDE = (
    "benchmarks/accuracy.md",
    "benchmarks/devices.md",
    "benchmarks/formulas.md",
    "benchmarks/h200.md",
    "benchmarks/memory.md",
    "benchmarks/memory_on_a_gpu.md",
    "benchmarks/operators.md",
    "benchmarks/releases.md",
    "benchmarks/speed.md",
    "benchmarks/time.md",
    "conventions.md",
)

#: Pictures of these pages.
PICTURES = ("benchmarks/scaling.svg", "benchmarks/models/madds-vs-parameters.svg")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is not in ``docs/``."""
    for path in (*ELSEWHERE, *PICTURES):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, "reference/commands.md", content=commands()))
    files.append(File.generated(config, "reference/json.md", content=document(json.loads(SCHEMA.read_text("utf-8")))))
    files.append(File.generated(config, "reference/schema.json", abs_src_path=str(SCHEMA)))
    with tempfile.TemporaryDirectory() as folder:
        _run("tools/examples.py", f"docs/{GALLERY}", folder=folder)
        for file in filter(Path.is_file, Path(folder).iterdir()):  # not the cache of a module that an example writes
            uri = f"{GALLERY.removesuffix('.md')}/{file.name}"
            files.append(File.generated(config, uri, content=file.read_bytes()))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Links hold in the repository: make them hold in the site."""
    here = page.file.src_uri
    if here in WIDE:
        page.meta["hide"] = ["toc"]
    if here not in ELSEWHERE:
        here = f"docs/{here}"
    return re.sub(r"(?<=\]\()([^)#:]+\.(?:md|svg))(?=[)#])", lambda link: _moved(link[1], here), markdown)


def _moved(link: str, here: str) -> str:
    """A link from a file of the repository to another, as it is between their pages."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
    start, end = (path.removeprefix("docs/") for path in (here, target))
    return posixpath.relpath(end, posixpath.dirname(start) or ".")


def _run(*arguments: str, folder: str | Path = ROOT) -> str:
    """What a Python script of the repository prints.

    Raises:
        RuntimeError: it failed.
    """
    paths = [str(ROOT / each) if (ROOT / each).is_file() else each for each in arguments]
    done = subprocess.run([sys.executable, *paths], cwd=folder, capture_output=True, text=True, env=_environment())
    if done.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


# -- commands ----------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command with every option."""
    page = _run("-m", "typer", "thoplw.cli", "utils", "docs", "--name", "thoplw", "--title", "Commands")
    page = re.sub(r"^thoplw (?!.*\n=).*(?:\n\nthoplw .*)*", _fenced, page, flags=re.MULTILINE)
    page = page.replace("For example:\n", "**Examples**:\n").replace("## `thoplw ", "## `")
    # The list of commands has their first sentences cut off; the sections have them whole.
    page = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n", "", page)
    return re.sub(r"\{([A-Z]+)\}", r"\1", page.replace("<int range>", "<int>"))


def _fenced(paragraphs: re.Match[str]) -> str:
    lines = paragraphs[0].replace("\n\n", "\n")
    return f"```sh\n{lines}\n```"


# -- the document ------------------------------------------------------------------------------------------------------

_HEAD = """\
# JSON

What `thoplw profile --kind json`, `LayerInfo.summary("json")` and, as Python values, `LayerInfo.to_dict()` give:
version {version} of [the schema](schema.json), from which this page is made. The `html` page, the flame graphs,
`thoplw diff` and `thoplw check` read the same document.

{description} [An example](../gallery/resnet18.json).
"""


def document(schema: Mapping[str, Any]) -> str:
    """Every field of the document, an object a table."""
    version = schema["properties"]["schema"]["const"]
    parts = [_HEAD.format(version=version, description=schema["description"])]
    for title, fields in _objects("The document", schema, schema["$defs"]):
        rows = (
            f"| `{name}` | {_type(field, schema['$defs'])} | {_said(field, schema['$defs'])} |"
            for name, field in fields.items()
        )
        parts.append("\n".join((f"## {title}\n", "| Field | Type | What it says |", "|---|---|---|", *rows, "")))
    return "\n".join(parts)


def _objects(title: str, node: Any, kinds: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """An object, and all that it holds, each with a title."""
    node = _resolved(node, kinds)
    if "properties" in node:
        yield title, node["properties"]
        for name, field in node["properties"].items():
            yield from _objects(f"`{name}`", field, kinds)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from _objects(f"Each of {title}", node[key], kinds)


def _resolved(node: Mapping[str, Any], kinds: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node with what it refers to."""
    while "$ref" in node:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        node = {**kinds[node["$ref"].removeprefix("#/$defs/")], **rest}
    return node


def _said(node: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    return str(_resolved(node, kinds).get("description", ""))


def _type(node: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    """In words: ``array of arrays of integers``."""
    node = _resolved(node, kinds)
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        return " or ".join(f"`{json.dumps(each)}`" for each in node["enum"])
    if node["type"] == "array":
        return f"array of {_type(node['items'], kinds).replace(' of', 's of', 1).removesuffix('s')}s"
    if isinstance(node.get("additionalProperties"), dict):
        return f"string -> {_type(node['additionalProperties'], kinds)}"
    return str(node["type"])
