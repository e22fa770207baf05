"""Kills of a survey at random moments: no row that was written is lost, and the same command goes on from there.

A killed process can tidy nothing up. So all rests on what is on the disk at any moment, and on workers that end when
nobody is there to take their answers.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from checks.attacks.tries import Tries, told

from thoplw.api.journal import read
from thoplw.api.survey import Entry

#: Small models.
MODELS = ("alexnet", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5", "resnet18")

#: Processes of a killed survey that take longer to end live on.
SECONDS = 20


def tries(count: int, seed: int) -> Tries:
    """Kill the one process or all of them in turns; once a survey is complete, the next starts over."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        survey = Survey(Path(folder))
        start = time.perf_counter()
        survey.finish()
        length = time.perf_counter() - start
        expected = survey.rows()
        for number in range(count):
            if survey.rows().keys() == expected.keys():
                survey.start_over()
            everyone = number % 2 == 1
            after = draw.uniform(0, length)
            what = f"{'all processes' if everyone else 'the process'} after {after:.2f} s"
            yield what, told(partial(_killed, survey, after, everyone))
        survey.finish()
        if survey.rows() != expected:
            yield "the last one went on", f"{survey.rows()} is not {expected}"


class Survey:
    """A survey of a few models, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "zoo.jsonl"
        self.result = folder / "zoo.csv"

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, or go on, as the leader of a group of processes."""
        command = [sys.executable, "-m", "thoplw", "survey", *MODELS, "-o", self.result.name, "--workers", "1"]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, cwd=self.folder, stdout=quiet, stderr=quiet, start_new_session=True)

    def finish(self) -> None:
        """Let it come to its end."""
        if self.start().wait(300):
            raise RuntimeError("the survey failed")

    def start_over(self) -> None:
        """Forget what was found."""
        for file in (self.journal, self.result):
            file.unlink(missing_ok=True)

    def rows(self) -> dict[str, Entry]:
        """What the journal has."""
        return read(self.journal, "thoplw")


def _killed(survey: Survey, after: float, everyone: bool) -> str:
    process = survey.start()
    time.sleep(after)
    before = survey.rows()
    with suppress(ProcessLookupError):  # it was done already
        (os.killpg if everyone else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    problems = [f"{name} was lost" for name, row in before.items() if survey.rows().get(name) != row]
    if survey.result.exists() and survey.result.read_text(encoding="utf-8").count("\n") != len(MODELS) + 1:
        problems.append("the result is half written")
    deadline = time.monotonic() + SECONDS
    while (left := _group(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if left:
        problems.append(f"processes {left} live on")
        os.killpg(process.pid, signal.SIGKILL)
    return "; ".join(problems)


def _group(leader: int) -> list[int]:
    """The processes of a group that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group = path.read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
            if int(group) == leader and state != "Z":
                found.append(int(path.parent.name))
    return found
