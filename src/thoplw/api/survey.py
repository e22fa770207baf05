"""Profile many models, each in a separate process, so that one that crashes does not stop the others."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thoplw.api.files import PLOTS, TABLES, check_ending, replaced
from thoplw.api.profile import profile
from thoplw.errors import InputError, MissingExtraError, ThoplwError, UnknownNameError, message_of
from thoplw.models.registry import available, load
from thoplw.render.grid import no_formula
from thoplw.render.plots import scatter
from thoplw.render.table import Table
from thoplw.render.words import count, shown, storable, visible
from thoplw.report.document import from_document
from thoplw.report.figures import FORMATTERS, shown_in
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
        assumptions: what was assumed about unknown values: if there is any, the figures are an estimate.
        error: why there are no figures; None where there are.
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
        """The entry as one line of the file holds it: each figure under its name, ``null`` if it is missing."""
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
        """Read an entry from such a line.

        Raises:
            TypeError: a field is missing, unknown or of another type, or a figure is not a number that a table holds.
        """
        rest = dict(values)
        figures = {figure.name: rest.pop(figure.name, None) for figure in shown_in("survey")}
        known = {name: value for name, value in figures.items() if value is not None}
        for name, value in known.items():
            if type(value) is not int or not 0 <= value < 2**63:
                raise TypeError(f"{name} is {shown(value)}, not a whole number from 0 to 2^63 - 1")
        entry = Entry(figures=known, **rest)
        texts = {
            "name": entry.name,
            "convention": entry.convention,
            "error": "" if entry.error is None else entry.error,
        }
        for name in ("uncounted", "assumptions"):
            value = rest.get(name, [])
            if not isinstance(value, list):
                raise TypeError(f"{name} is {shown(value)}, not a list")
            texts |= {f"{name}[{index}]": each for index, each in enumerate(value)}
        for name, value in texts.items():
            if not isinstance(value, str):
                raise TypeError(f"{name} is {shown(value)}, not a string")
        return entry


def chosen(words: Sequence[str]) -> list[str]:
    """The models that some words name.

    Args:
        words: names of models, such as ``vgg11 vgg13``; or words that a name must contain, such as ``timm vit tiny``.

    Raises:
        MissingExtraError: no zoo is installed.
        UnknownNameError: some words are names of models, another is not, and no name contains them all.
    """
    known = available()[0]
    unknown = [word for word in words if word not in known]
    if not unknown:
        return list(dict.fromkeys(words))
    found = available(*words)[0]
    if not found and len(unknown) < len(words):
        raise UnknownNameError("model", unknown[0], known)
    return found


def survey(
    names: Sequence[str],
    *,
    convention: str = "thoplw",
    workers: int = 2,
    timeout: float = 120,
    scheduler: str | None = None,
    execute: bool = False,
) -> Generator[Entry, None, None]:
    """Profile models in parallel processes, each on its default input; yield each entry as soon as it is ready.

    A model that fails, takes too long or crashes its process becomes an entry with an error.

    Args:
        names: of models, as :func:`thoplw.models.registry.load` takes them.
        convention: how to count.
        workers: number of processes on this machine.
        timeout: seconds that one model may take.
        scheduler: address of a Dask cluster that does the work instead; thoplw must be installed on it.
        execute: really run the models, with random weights.

    Raises:
        MissingExtraError: pebble, or distributed for a scheduler, is not installed.
        InputError: no scheduler answers at the address.
    """
    if scheduler is not None:
        return _there(names, convention, execute, timeout, scheduler)
    try:
        import pebble  # noqa: F401 # said now, not with the first entry
    except ModuleNotFoundError as error:
        raise MissingExtraError("pebble", "a survey") from error
    return _here(names, convention, execute, workers, timeout)


# -- on this machine ---------------------------------------------------------------------------------------------------


def _here(
    names: Sequence[str], convention: str, execute: bool, workers: int, timeout: float
) -> Generator[Entry, None, None]:
    from pebble import ProcessExpired, ProcessPool

    # A forked torch hangs when it had threads.
    pool = ProcessPool(workers, initializer=_prepare, context=multiprocessing.get_context("spawn"))
    try:
        waiting: dict[futures.Future[Entry], str] = {
            pool.schedule(_measure, (name, convention, execute), timeout=timeout): name for name in names
        }
        for done in futures.as_completed(waiting):
            name = waiting[done]
            try:
                yield done.result()
            except futures.TimeoutError:
                yield _failed(name, convention, _late(timeout))
            except ProcessExpired as error:
                yield _failed(name, convention, _ended(error.exitcode))
            except Exception as error:  # The answer of the process cannot be unpickled.
                yield _failed(name, convention, described(error))
    finally:
        with _uninterrupted():  # A second Ctrl-C would leave processes behind.
            pool.stop()
            pool.join()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _prepare() -> None:
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # Models warn about missing weights, which a profile does not need.


def _measure(name: str, convention: str, execute: bool) -> Entry:
    try:
        loaded = load(name, execute)
        if loaded.inputs is None:
            raise InputError("nothing says which inputs it takes")
        _, _, layers = profile(loaded.model, loaded.inputs, verbose=False, convention=convention, execute=execute)
        return _entry(name, layers.profile)
    except (
        BaseException
    ) as error:  # A bad model must not stop the others, whatever it raises: Ctrl-C is not heard here.
        return _failed(name, convention, described(error))


#: Characters of an error that are kept.
LONGEST = 500


def described(error: BaseException) -> str:
    """An error as one short line: its message, after its class unless thoplw raised it."""
    kind = "" if issubclass(type(error), ThoplwError) else type(error).__name__
    return in_one_line(": ".join(part for part in (kind, message_of(error)) if part))


def in_one_line(text: str) -> str:
    """A text without line ends and control characters, cut after :data:`LONGEST` characters."""
    line = visible(" ".join(text[: 2 * LONGEST].split()))
    return line if len(line) <= LONGEST and len(text) <= 2 * LONGEST else f"{line[: LONGEST - 3]}..."


def _entry(name: str, profile: Profile) -> Entry:
    return Entry(
        name=name,
        convention=profile.about.convention,
        figures={
            figure.name: figure.number(profile.total)
            for figure in shown_in("survey")
            if not figure.is_lacking(profile.total)
        },
        uncounted=list(profile.gaps.uncounted),
        assumptions=list(profile.gaps.assumptions),
    )


def _late(timeout: float) -> str:
    return f"took longer than {timeout:g} s"


def _ended(code: int | None) -> str:
    return f"its process ended with {code}"


# -- on a Dask cluster -------------------------------------------------------------------------------------------------


def _there(
    names: Sequence[str], convention: str, execute: bool, timeout: float, scheduler: str
) -> Generator[Entry, None, None]:
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError as error:
        raise MissingExtraError("distributed", "a survey on a cluster") from error
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {scheduler}: {in_one_line(str(error))}") from error
    left = dict.fromkeys(names)
    try:
        tasks = client.map(_remote, names, convention=convention, execute=execute, timeout=timeout, pure=False)
        waiting = {task.key: name for task, name in zip(tasks, names, strict=True)}
        for done in as_completed(tasks):
            if done.cancelled():
                continue  # The scheduler lost the task.
            problem = done.exception()
            name = waiting[done.key]
            left.pop(name)
            yield done.result() if problem is None else _failed(name, convention, described(problem))
        for name in left:
            yield _failed(name, convention, f"the Dask scheduler at {scheduler} went away")
    finally:
        with suppress(Exception):  # The scheduler may be gone already.
            client.close(timeout=5)


def _failed(name: str, convention: str, error: str) -> Entry:
    return Entry(name=name, convention=convention, error=error)


def _remote(name: str, convention: str, execute: bool, timeout: float) -> Entry:
    """Profile in a new process: threads of one Dask worker share torch's hooks, and a thread cannot be stopped."""
    command = [sys.executable, "-m", "thoplw", "profile", name, "--kind", "json", "--depth", "0"]
    command += ["--convention", convention, *(["--execute"] if execute else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        return _failed(name, convention, _late(timeout))
    if done.returncode == 0:
        return _entry(name, from_document(json.loads(done.stdout)))
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")] if done.returncode == 1 else []
    return _failed(name, convention, in_one_line(said[0].removeprefix("error: ")) if said else _ended(done.returncode))


# -- files -------------------------------------------------------------------------------------------------------------


def frame(entries: Iterable[Entry]) -> pd.DataFrame:
    """A row for each model.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingExtraError("pandas", "a survey as Parquet or CSV") from error
    # Start with objects: pandas would turn integers beside a missing one into floats, and round them.
    made = pd.DataFrame([_stored({"zoo": each.zoo, **each.to_dict()}) for each in entries], dtype=object)
    return made.astype(dict.fromkeys((figure.name for figure in shown_in("survey")), "Int64"))


def _stored(value: Any) -> Any:
    """Values of a row, with texts that a file can hold."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_stored(each) for each in value]
    return {key: _stored(each) for key, each in value.items()} if isinstance(value, dict) else value


def write(entries: Iterable[Entry], path: Path) -> None:
    """Write a Parquet or CSV file, by the ending of its name.

    Raises:
        MissingExtraError: pandas or pyarrow is not installed.
        InputError: the ending is another, or the file cannot be written.
    """
    check_ending(path, TABLES)
    table = frame(entries)
    try:
        with replaced(path) as beside:
            if path.suffix == ".csv":
                for column in ("uncounted", "assumptions"):
                    table[column] = table[column].map("; ".join)
                for column in ("zoo", "name", "uncounted", "assumptions", "error"):
                    table[column] = table[column].map(lambda cell: cell if cell is None else no_formula(visible(cell)))
                table.to_csv(beside, index=False)
            else:
                table.to_parquet(beside, index=False)
    except ImportError as error:
        raise MissingExtraError("pyarrow", "a survey as Parquet") from error
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


def table(entries: Sequence[Entry], fmt: str = "raw") -> Table:
    """The survey, for the terminal; ``fmt`` as for :meth:`LayerInfo.summary`."""
    figures = shown_in("survey")
    written, _ = FORMATTERS[fmt]

    def cell(value: int | None) -> str:
        return "" if value is None else written(value, 0)

    return Table(
        columns=("Model", *(figure.heading_in("MAC") for figure in figures), "Notes"),
        rows=tuple(
            (each.name, *(cell(each.figures.get(figure.name)) for figure in figures), _notes(each)) for each in entries
        ),
        footer=(
            count(len(entries), "model"),
            *("" for _ in figures),
            f"{sum(each.error is not None for each in entries)} failed",
        ),
    )


def _notes(entry: Entry) -> str:
    parts = [entry.error] if entry.error else []
    parts += [f"not counted: {operator}" for operator in entry.uncounted]
    parts += [f"assumed: {statement}" for statement in entry.assumptions]
    return "; ".join(parts)
