"""Names that do harm, in every output: each is shown, and no terminal, browser, spreadsheet or reader obeys one.

A name stands for all that comes from a user or a file: the class of the model, the path and the class of a module, an
operator, an assumption, an error. What an output is made of may not depend on it: lines, cells, tags, commands.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from checks.attacks.saved import saved
from checks.attacks.tries import Tries, drawn, told
from rich.console import Console
from tabulate import LATEX_ESCAPE_RULES
from torch import nn

import thoplw
from thoplw.api.diff import differences
from thoplw.api.survey import Entry, write
from thoplw.estimate.memory import Memory
from thoplw.render import render
from thoplw.render.screen import screen
from thoplw.render.words import visible
from thoplw.report.document import from_document
from thoplw.report.layer_info import LayerInfo

#: A name without a point, as a point parts the names of modules.
NAMES: tuple[str, ...] = (
    "a\nb",
    "a\r\nb",
    "a\rb",
    "a\tb",
    "a\vb\fc",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\a",
    "\x1b[2J\x1b[H",
    "bell\a\x00\x7f",
    "\x9b31m",
    "line\u2028end\u2029",
    "\u202egnp",
    "zero\u200bwidth\ufeff",
    "lone\udcff",
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    '=HYPERLINK("http://evil")',
    "a;b c 7",
    "quote \" and ' and ,",
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "]]><!-- --><b>&amp;",
    "![x](http://evil)|`code`|<b>",
    "{{ 7 * 7 }}{% raw %}",
    "[red]x[/red][link=http://evil]",
    "\\input{/etc/passwd} $x^2$ & # %",
    "größe 模型 🙂",
    "long" * 2_000,
)


class Output(NamedTuple):
    """An output.

    Attributes:
        write: writes it, with a name in it.
        parts: what it is made of, which no name may change.
        texts: the texts in it, as a reader sees them; some of them must have the name.
    """

    write: Callable[[str], str]
    parts: Callable[[str], Any]
    texts: Callable[[str], list[str]]


def tries(count: int, seed: int) -> Tries:
    """Names in outputs, drawn; all of them where the count allows it."""
    for name, output in drawn([(name, output) for name in NAMES for output in OUTPUTS], count, seed):
        yield f"{visible(name)[:40]} in {output}", told(partial(_judged, name, output))


def _judged(name: str, output: str) -> str:
    made = OUTPUTS[output]
    text = made.write(name)
    text.encode()  # a file takes it
    broken = [character for character in text if not character.isprintable() and character != "\n"]
    if broken and output not in _FOR_BROWSERS:
        return f"it has {broken[:5]}"
    parts, expected = made.parts(text), made.parts(_harmless(output))
    if parts != expected:
        return f"it is made of {parts!r:.300}, not of {expected!r:.300}"
    shown = {name, visible(name), visible(name).replace(";", ":"), " ".join(visible(name).split())}
    return "" if any(each in found for found in made.texts(text) for each in shown) else "the name is not shown"


@cache
def _harmless(output: str) -> str:
    return OUTPUTS[output].write("name")


# -- what is written ---------------------------------------------------------------------------------------------------


@cache
def _saved() -> str:
    return json.dumps(saved())


def document(name: str) -> dict[str, Any]:
    """A saved profile with a name wherever one may be."""
    made = json.loads(_saved())
    made["model"] = name
    for layer in made["layers"][1:3]:
        layer["name"] = f"{layer['name']}.{name}"
    for layer in made["layers"][:4]:
        layer["class"] = name
        layer["operators"][name] = 0
    for gaps in ("uncounted", "assumptions"):
        ((_, value),) = made[gaps].items()
        made[gaps] = {name: {**value, "modules": [name]}}
    made["not_executed"] = {name: 10}
    made["unused"] = [name]
    return made


def _layers(name: str) -> LayerInfo:
    return LayerInfo(from_document(document(name)))


def _memory(name: str) -> Memory:
    """The memory of a module of this name."""
    inner, model = nn.Sequential(), nn.Sequential()
    inner.add_module(name, nn.Linear(4, 4))
    model.add_module(name, inner)
    return thoplw.profile(model, (2, 4), verbose=False, memory=True)[2].memory


def _terminal(name: str) -> str:
    console = Console(file=io.StringIO(), width=20_000, color_system=None, force_terminal=True)
    with console.capture() as captured:
        console.print(screen(_layers(name).table(), console.width))
    return captured.get()


def _diff(name: str) -> str:
    profiles = [from_document(document(each)) for each in ("before", name)]
    return render(differences(*profiles).table(), "text")


def _survey(name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "zoo.csv")
        write([Entry(name=name, convention="macs", error=name, uncounted=[name])], file)
        return file.read_bytes().decode()


# -- what it is made of ------------------------------------------------------------------------------------------------


def _lines(text: str) -> int:
    return text.count("\n")


def _cells_of_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def _csv(text: str) -> Any:
    rows = _cells_of_csv(text)
    formulas = [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r") and cell]
    return _lines(text), [len(row) for row in rows], formulas


def _markdown(text: str) -> Any:
    plain = re.sub(r"\\.", "", text)
    return [line.count("|") for line in plain.split("\n")], re.findall(r"[<`\[]", plain)


def _of_markdown(text: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", text).replace("&lt;", "<").replace("&amp;", "&")]


_ESCAPED = re.compile("|".join(sorted(map(re.escape, LATEX_ESCAPE_RULES.values()), key=len, reverse=True)))
_LATEX = {escaped: plain for plain, escaped in LATEX_ESCAPE_RULES.items()}


def _latex(text: str) -> Any:
    plain = _ESCAPED.sub("", text)
    return {*re.findall(r"\\\w+", plain)}, [line.count("&") for line in plain.split("\n")], re.findall(r"[$#%^]", plain)


def _of_latex(text: str) -> list[str]:
    return [_ESCAPED.sub(lambda found: _LATEX[found[0]], text)]


def _stacks(text: str) -> Any:
    frames = [line.rpartition(" ")[0].split(";") for line in text.split("\n")]
    return [len(stack) for stack in frames], [line.rpartition(" ")[2] for line in text.split("\n")]


class _Page(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[Any] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(tag)

    def handle_comment(self, data: str) -> None:
        self.tags.append(f"<!--{data}-->")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _texts_of_json(text: str) -> list[str]:
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, (dict, list)):
            for inner in (*value, *value.values()) if isinstance(value, dict) else value:
                look(inner)

    look(json.loads(text))
    return found


def _page(text: str) -> Any:
    found = _Page(text)
    data = next((each for each in found.texts if each.startswith('{"figures"')), "{}")
    return found.tags, _shape_of_json(data)


def _shape_of_json(text: str) -> Any:
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return len(value), [shape(inner) for inner in value.values()]
        return [shape(inner) for inner in value] if isinstance(value, list) else type(value).__name__

    return shape(json.loads(text))


#: These take any character, and a browser shows it as text.
_FOR_BROWSERS = frozenset({"html", "notebook"})

_WHOLE: Callable[[str], list[str]] = lambda text: [text]  # noqa: E731 # a row of the table reads better so

OUTPUTS: Mapping[str, Output] = MappingProxyType(
    {
        "text": Output(lambda name: _layers(name).summary("text"), _lines, _WHOLE),
        "csv": Output(
            lambda name: _layers(name).summary("csv"), _csv, lambda text: [*map(";".join, _cells_of_csv(text))]
        ),
        "md": Output(lambda name: _layers(name).summary("md"), _markdown, _of_markdown),
        "latex": Output(lambda name: _layers(name).summary("latex"), _latex, _of_latex),
        "tree": Output(lambda name: _layers(name).summary("tree"), _lines, _WHOLE),
        "collapsed": Output(lambda name: _layers(name).summary("collapsed"), _stacks, _WHOLE),
        "speedscope": Output(lambda name: _layers(name).summary("speedscope"), _shape_of_json, _texts_of_json),
        "json": Output(lambda name: _layers(name).summary("json"), _shape_of_json, _texts_of_json),
        "html": Output(lambda name: _layers(name).summary("html"), _page, lambda text: _Page(text).texts),
        "notebook": Output(lambda name: _layers(name)._repr_html_(), _page, lambda text: _Page(text).texts),
        "terminal": Output(_terminal, _lines, _WHOLE),
        "memory": Output(lambda name: _memory(name).summary("text"), _lines, _WHOLE),
        "memory in md": Output(lambda name: _memory(name).summary("md"), _markdown, _of_markdown),
        "repr": Output(lambda name: repr(_layers(name)), _lines, _WHOLE),
        "diff": Output(_diff, _lines, _WHOLE),
        "survey": Output(_survey, _csv, lambda text: [*map(";".join, _cells_of_csv(text))]),
    }
)
