"""Many models, each profiled in a process where it can do no harm."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thoplw.api.profile import profile
from thoplw.errors import InputError, MissingExtraError, ThoplwError
from thoplw.models.registry import available, load
from thoplw.render.plots import scatter
from thoplw.render.table import Table
from thoplw.report.document import from_document
from thoplw.report.figures import shown_in
from thoplw.report.profile import Profile

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of one model.

    Attributes:
        name: of the model, as :func:`thoplw.models.registry.load` takes it.
        convention: how it was counted.
        figures: name of a figure -> total, ``macs`` in the unit of the convention; empty where there is an error.
        uncounted: operators without a price: the figures lack them.
        assumptions: what was taken for granted: with any, the figures are an estimate.
        error: why there are no figures.
    """

    name: str
    convention: str
    figures: Mapping[str, int] = field(default_factory=dict)
    uncounted: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def zoo(self) -> str:
        """Where it is from: a zoo, or a Python module."""
        return self.name.rpartition(":")[0] or "torchvision"

    def to_dict(self) -> dict[str, Any]:
        """As a line of the file has it: figures under their names, ``null`` where there are none."""
        return {
            "name": self.name,
            "convention": self.convention,
            **{figure.name: self.figures.get(figure.name) for figure in shown_in("survey")},
            "uncounted": list(self.uncounted),
            "assumptions": list(self.assumptions),
            "error": self.error,
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Entry:
        """The same from a line.

        Raises:
            TypeError: a field is missing or unknown, or a figure is no whole number.
        """
        rest = dict(values)
        figures = {figure.name: rest.pop(figure.name, None) for figure in shown_in("survey")}
        known = {name: value for name, value in figures.items() if value is not None}
        for name, value in known.items():
            if type(value) is not int:
                raise TypeError(f"{name} is {value!r}, no whole number")
        return Entry(figures=known, **rest)


def chosen(words: Sequence[str]) -> list[str]:
    """The models that some words mean.

    Args:
        words: names of models, or else words that all of a model's name must have.

    Raises:
        MissingExtraError: no zoo is installed.
    """
    if set(words) <= set(available()[0]):
        return list(dict.fromkeys(words))
    return available(*words)[0]


def survey(
    names: Sequence[str],
    *,
    convention: str = "thoplw",
    workers: int = 2,
    timeout: float = 120,
    scheduler: str | None = None,
) -> Iterator[Entry]:
    """Profile models in processes, each on its default input; yields what is found, as it comes.

    A model that fails, takes too long or ends its process is an entry with an error.

    Args:
        names: of models, as :func:`thoplw.models.registry.load` takes them.
        convention: how to count.
        workers: number of processes on this machine.
        timeout: seconds that one model may take.
        scheduler: address of a Dask cluster that does the work instead; thoplw must be installed on it.

    Raises:
        MissingExtraError: what runs the processes is not installed.
        InputError: there is no scheduler at the address.
    """
    if scheduler is None:
        return _here(names, convention, workers, timeout)
    return _there(names, convention, timeout, scheduler)


# -- on this machine ---------------------------------------------------------------------------------------------------


def _here(names: Sequence[str], convention: str, workers: int, timeout: float) -> Iterator[Entry]:
    try:
        from pebble import ProcessExpired, ProcessPool
    except ModuleNotFoundError as error:
        raise MissingExtraError("pebble", "survey", "a survey") from error
    # A forked torch hangs when it had threads.
    pool = ProcessPool(workers, initializer=_prepare, context=multiprocessing.get_context("spawn"))
    try:
        waiting: dict[futures.Future[Entry], str] = {
            pool.schedule(_measure, (name, convention), timeout=timeout): name for name in names
        }
        for done in futures.as_completed(waiting):
            name = waiting[done]
            try:
                yield done.result()
            except futures.TimeoutError:
                yield Entry(name=name, convention=convention, error=_late(timeout))
            except ProcessExpired as error:
                yield Entry(name=name, convention=convention, error=_ended(error.exitcode))
    finally:
        pool.stop()
        pool.join()


def _prepare() -> None:
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # They are about weights that nobody asked for.


def _measure(name: str, convention: str) -> Entry:
    try:
        loaded = load(name)
        if loaded.inputs is None:
            raise InputError("there is no telling what it takes")
        _, _, layers = profile(loaded.model, loaded.inputs, verbose=False, convention=convention)
        return _entry(name, layers.profile)
    except (Exception, SystemExit) as error:  # A bad model must not stop the others.
        kind = "" if isinstance(error, ThoplwError) else f"{type(error).__name__}: "
        return Entry(name=name, convention=convention, error=f"{kind}{' '.join(str(error).split())}".removesuffix(": "))


def _entry(name: str, profile: Profile) -> Entry:
    return Entry(
        name=name,
        convention=profile.about.convention,
        figures={figure.name: figure.number(profile.total) for figure in shown_in("survey")},
        uncounted=list(profile.gaps.uncounted),
        assumptions=list(profile.gaps.assumptions),
    )


def _late(timeout: float) -> str:
    return f"took longer than {timeout:g} s"


def _ended(code: int | None) -> str:
    return f"its process ended with {code}"


# -- on a Dask cluster -------------------------------------------------------------------------------------------------


def _there(names: Sequence[str], convention: str, timeout: float, scheduler: str) -> Iterator[Entry]:
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError as error:
        raise MissingExtraError("distributed", "dask", "a survey on a cluster") from error
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client:
        tasks = client.map(_remote, names, convention=convention, timeout=timeout, pure=False)
        waiting = {task.key: name for task, name in zip(tasks, names, strict=True)}
        for done in as_completed(tasks):
            problem = done.exception()
            if problem is None:
                yield done.result()
            else:
                text = f"{type(problem).__name__}: {' '.join(str(problem).split())}"
                yield Entry(name=waiting[done.key], convention=convention, error=text)


def _remote(name: str, convention: str, timeout: float) -> Entry:
    """Profile in a process of its own: threads of a Dask worker share the hooks of torch, and none can be stopped."""
    command = [sys.executable, "-m", "thoplw", "profile", name, "--kind", "json", "--depth", "0"]
    try:
        done = subprocess.run(
            [*command, "--convention", convention], capture_output=True, text=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return Entry(name=name, convention=convention, error=_late(timeout))
    if done.returncode == 0:
        return _entry(name, from_document(json.loads(done.stdout)))
    said = done.stderr.strip().rpartition("error: ")[2] if done.returncode == 1 else ""
    return Entry(name=name, convention=convention, error=said or _ended(done.returncode))


# -- files -------------------------------------------------------------------------------------------------------------


def lines(path: Path) -> Path:
    """The file beside a result where entries are written as they come."""
    return path.with_suffix(".jsonl")


def read(path: Path, convention: str) -> dict[str, Entry]:
    """What an earlier survey wrote, by model.

    Raises:
        InputError: it is something else, or was counted by another convention.
    """
    known = {}
    texts = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, text in enumerate(texts, 1):
        try:
            entry = Entry.from_dict(json.loads(text))
        except (ValueError, TypeError) as error:
            if number == len(texts):
                break  # The survey was stopped while it wrote this.
            raise InputError(f"{path}, line {number} is no line of a survey ({error}); give another file") from error
        if entry.convention != convention:
            raise InputError(
                f"{path} was counted by {entry.convention!r}; give another file, or do it --again by {convention!r}"
            )
        known[entry.name] = entry
    return known


def line(entry: Entry) -> str:
    """An entry, as :func:`read` takes it."""
    return f"{json.dumps(entry.to_dict())}\n"


def frame(entries: Iterable[Entry]) -> pd.DataFrame:
    """A row for each model.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingExtraError("pandas", "report", "a survey as Parquet or CSV") from error
    # As objects at first: beside a missing figure pandas would take integers for floats, and round them.
    made = pd.DataFrame([{"zoo": each.zoo, **each.to_dict()} for each in entries], dtype=object)
    return made.astype(dict.fromkeys((figure.name for figure in shown_in("survey")), "Int64"))


def write(entries: Iterable[Entry], path: Path) -> None:
    """Write a Parquet or CSV file, by the ending of its name.

    Raises:
        MissingExtraError: pandas or pyarrow is not installed.
        InputError: the ending is another, or the file cannot be written.
    """
    check_ending(path, TABLES)
    table = frame(entries)
    try:
        if path.suffix == ".csv":
            for column in ("uncounted", "assumptions"):
                table[column] = table[column].map("; ".join)
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path, index=False)
    except ImportError as error:
        raise MissingExtraError("pyarrow", "report", "a survey as Parquet") from error
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def draw(entries: Iterable[Entry], path: Path) -> None:
    """Draw MACs against parameters, a colour a zoo, as SVG or PNG, by the ending of the file's name.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: the ending is another, there is nothing to draw, or the file cannot be written.
    """
    check_ending(path, PLOTS)
    zoos: dict[str, dict[str, tuple[float, float]]] = {}
    for each in entries:
        macs, params = each.figures.get("macs"), each.figures.get("params")
        if macs and params:  # Scales are logarithmic.
            zoos.setdefault(each.zoo, {})[each.name] = macs, params
    if not zoos:
        raise InputError(f"{path}: no model has MACs and parameters to draw")
    try:
        scatter(zoos, labels=sum(map(len, zoos.values())) <= LABELLED).savefig(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


#: More names than this cannot be read in a plot.
LABELLED = 60

#: Endings of the files that :func:`write`, and :func:`draw` make.
TABLES = (".csv", ".parquet")
PLOTS = (".png", ".svg")


def check_ending(path: Path, known: Sequence[str]) -> None:
    """Find an unknown kind of file before the work.

    Raises:
        InputError: it is none of these.
    """
    if path.suffix not in known:
        raise InputError(f"{path}: the ending of the name says what to write; it may be {' or '.join(known)}")


def table(entries: Sequence[Entry]) -> Table:
    """The survey, for the terminal."""
    figures = shown_in("survey")
    return Table(
        columns=("Model", *(figure.heading_in("MAC") for figure in figures), "Notes"),
        rows=tuple(
            (each.name, *(str(each.figures.get(figure.name, "")) for figure in figures), _notes(each))
            for each in entries
        ),
        footer=(
            f"{len(entries)} models",
            *("" for _ in figures),
            f"{sum(each.error is not None for each in entries)} failed",
        ),
    )


def _notes(entry: Entry) -> str:
    parts = [entry.error] if entry.error else []
    parts += [f"not counted: {operator}" for operator in entry.uncounted]
    parts += [f"assumed: {statement}" for statement in entry.assumptions]
    return "; ".join(parts)
