"""Try many models, each in a process that may die or take too long, and keep a line of what was found of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep that goes on from its file.

    Attributes:
        file: has a line of JSON for each model.
        keys: what tells lines apart; ``tried`` takes these.
        tried: what is found of a model.
        verdict: that in words, for whoever looks on.
        failed: the key of a line that says why nothing was found.
        seconds: that a model may take.
        tasks: how many models a process tries before a new one takes its place.
    """

    file: Path
    keys: tuple[str, ...] = ("name",)
    tried: Callable[..., Record]
    verdict: Callable[[Record], str]
    failed: str
    seconds: int
    tasks: int

    def read(self) -> dict[Any, Record]:
        """What is known, by name, or by all keys; of a model the latest."""
        return read(self.file, *self.keys)

    def run(self, todo: Iterable[tuple[str, ...]]) -> None:
        """Try models, and write down each at once."""
        import pebble

        with pebble.ProcessPool(max_workers=1, max_tasks=self.tasks) as pool:
            for given in todo:
                about = dict(zip(self.keys, given, strict=True))
                try:
                    found = pool.schedule(self.tried, args=given, timeout=self.seconds).result()
                except TimeoutError:
                    found = {**about, self.failed: f"not done in {self.seconds} s"}
                except Exception as error:  # whatever ended the process
                    found = {**about, self.failed: in_short(error)}
                with self.file.open("a") as file:
                    file.write(json.dumps(found) + "\n")
                sys.stdout.write(f"{' '.join(given)}: {self.verdict(found)}\n")
                sys.stdout.flush()


def read(file: Path, *keys: str) -> dict[Any, Record]:
    """The lines of a file by one of their values, or by several; later lines go before earlier ones."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    place = itemgetter(*keys)
    return {place(found): found for found in map(json.loads, lines)}


def in_short(error: Exception, most: int = 300) -> str:
    """The class of an error, and what it says, in one line of so many letters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:most]
