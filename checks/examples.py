"""The examples of Markdown pages, and how they run: in the tests, and for the files that the gallery of the site shows.

A page is followed from top to bottom, in one folder and with one set of names:

- ``python`` blocks run. With a title, ``python title="net.py"``, they are files: written, not run.
- ``sh`` blocks run line by line, where a line begins with ``thoplw``. What exits with another code than 0 says so
  behind it: ``# exits with 1``.
- A block of another language right under one of these is what it prints; ``...`` stands for anything. So is ``# ...``
  behind a ``print``, or alone on the line below.
- Any other block, ``py`` among them, is there to read.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from thoplw.cli import main

_BLOCK = re.compile(
    r'^```(?P<language>python|sh)(?: title="(?P<title>.*?)")?\n(?P<code>.*?)^```\n'
    r"(?:\n```(?!python|sh|py)[a-z]+\n(?P<said>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
_PRINTED = re.compile(r"^ *print\(.*\)(?:  |\n)# (.*)$", re.MULTILINE)
_EXIT = re.compile(r"# exits with (\d+)$")

#: Wide enough for every table, and without colours.
_TERMINAL = {"TERMINAL_WIDTH": "160", "COLUMNS": "160", "NO_COLOR": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A block of a page.

    Attributes:
        language: ``python`` or ``sh``.
        title: name of the file that it is, if it is one.
        code: what stands in it.
        said: what it prints, as the page has it.
        span: where that stands in the page, if it has a block of its own.
    """

    language: str
    title: str
    code: str
    said: str
    span: tuple[int, int]

    @property
    def commands(self) -> list[tuple[list[str], int]]:
        """The arguments of every ``thoplw``, and the code that it exits with."""
        if self.language != "sh":
            return []
        lines = self.code.replace("\\\n", "").splitlines()
        return [
            (shlex.split(line, comments=True)[1:], int(code[1]) if (code := _EXIT.search(line)) else 0)
            for line in lines
            if line.startswith("thoplw ")
        ]

    def run(self, names: dict[str, object]) -> str:
        """Run it in the current folder; what it prints: commands also what they say on stderr.

        Args:
            names: what the Python of the page has defined so far.

        Raises:
            RuntimeError: a command exits with another code.
            Exception: what Python raises comes through.
        """
        if self.title:
            Path(self.title).write_text(self.code, encoding="utf-8")
            return ""
        output = io.StringIO()
        if self.language == "python":
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
                exec(compile(self.code, "example", "exec"), names)  # our own text
        for arguments, code in self.commands:
            done = CliRunner().invoke(main, arguments, env=_TERMINAL, prog_name="thoplw")
            if done.exit_code != code:
                raise RuntimeError(f"{shlex.join(arguments)} exits with {done.exit_code}:\n{done.output}")
            output.write(done.output)
        return output.getvalue()

    def says(self, printed: str) -> bool:
        """Whether the page has what was printed."""
        return doctest.OutputChecker().check_output(self.said, printed, doctest.ELLIPSIS)


def examples(page: str) -> Iterator[Example]:
    """All examples of a page, in order."""
    for found in _BLOCK.finditer(page):
        said = found["said"]
        if said is None:
            said = "".join(f"{line}\n" for line in _PRINTED.findall(found["code"]) if found["language"] == "python")
        yield Example(
            language=found["language"],
            title=found["title"] or "",
            code=found["code"],
            said=said,
            span=found.span("said"),
        )


def follow(page: str) -> Iterator[tuple[Example, str]]:
    """Run all examples of a page in the current folder: each with what it printed."""
    names: dict[str, object] = {}
    for example in examples(page):
        yield example, example.run(names)
