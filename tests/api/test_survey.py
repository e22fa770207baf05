"""Many models in processes, here and on a cluster."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dask import config
from distributed import LocalCluster

import thoplw
from thoplw.api.survey import LONGEST, Entry, chosen, draw, survey, table, write
from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.models.registry import load

GOOD = Entry(
    name="timm:resnet18",
    convention="macs",
    figures={"macs": 2**53 + 1, "flops": 7, "params": 5},
    assumptions=["a", "b"],
)
BAD = Entry(name="alexnet", convention="macs", error="RuntimeError: no")


BAD_MODELS = """
import os, sys, time

def ends(): os._exit(7)
def hangs(): time.sleep(600)
def leaves(): sys.exit(3)
def interrupts(): raise KeyboardInterrupt
def closes(): raise GeneratorExit("done")
def talks(): raise ValueError("x" * 10_000_000)
def breaks(): raise ValueError("two\\nlines \\x1b[31m")

class Silent(Exception):
    def __str__(self): raise RuntimeError

def says_nothing(): raise Silent

class Holds(Exception):
    def __init__(self): self.file = sys.stdout
    def __reduce__(self): raise TypeError

def holds(): raise Holds
"""


def expected(name: str, convention: str) -> Entry:
    loaded = load(name)
    macs, params, layers = thoplw.profile(loaded.model, loaded.inputs, verbose=False, convention=convention)
    return Entry(
        name=name, convention=convention, figures={"macs": macs, "flops": layers.total_flops, "params": params},
        uncounted=list(layers.uncounted), assumptions=list(layers.assumptions),
    )  # fmt: skip


@pytest.fixture
def bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module, also for processes that are started, with models that do harm."""
    text = BAD_MODELS
    (tmp_path / "bad_models.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    return "bad_models"


@pytest.mark.slow
def test_a_bad_model_is_an_entry_and_stops_nobody(bad: str) -> None:
    names = [f"{bad}:ends", "resnet18", "no_such_model", f"{bad}:leaves", "torch.nn:Identity", "timm:resnet10t"]
    found = {entry.name: entry for entry in survey(names, convention="macs", workers=2)}
    assert {name: entry.error for name, entry in found.items() if entry.error} == {
        f"{bad}:ends": "its process ended with 7",
        "no_such_model": "unknown torchvision model 'no_such_model'. None of the 121 known names is similar",
        f"{bad}:leaves": f"{bad}:leaves ends the process, with sys.exit(3)",
        "torch.nn:Identity": "nothing says which inputs it takes",
    }
    for name in ("resnet18", "timm:resnet10t"):
        assert found[name] == expected(name, "macs")


@pytest.mark.slow
def test_whatever_a_model_raises_is_a_row(bad: str) -> None:
    names = ["interrupts", "closes", "talks", "breaks", "says_nothing", "holds"]
    found = {entry.name: entry.error or "" for entry in survey([f"{bad}:{name}" for name in names], workers=1)}
    assert len(found[f"{bad}:talks"]) == LONGEST
    assert found.pop(f"{bad}:talks").startswith("ValueError: xxx")
    assert found == {
        f"{bad}:interrupts": "KeyboardInterrupt",
        f"{bad}:closes": "GeneratorExit: done",
        f"{bad}:breaks": r"ValueError: two lines \x1b[31m",
        f"{bad}:says_nothing": "Silent: (its message cannot be read)",
        f"{bad}:holds": "Holds",
    }


def test_execute_has_values(bad: str) -> None:
    (entry,) = survey(["resnet18"], execute=True)
    assert entry.figures["macs"] == 1824010216


def test_a_model_that_takes_too_long(bad: str) -> None:
    assert [entry.error for entry in survey([f"{bad}:hangs"], timeout=0.5)] == ["took longer than 0.5 s"]


@pytest.mark.slow
def test_a_survey_may_be_left(bad: str) -> None:
    entries = survey(["resnet18", f"{bad}:hangs"], workers=1)
    assert isinstance(entries, Iterator)
    assert next(entries).name == "resnet18"
    entries.close()  # type: ignore[attr-defined] # it is a generator


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    # Two threads of one worker, which share the hooks of torch.
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=None
    ) as started:  # fmt: skip
        yield started


@pytest.mark.slow
def test_a_cluster_finds_the_same(bad: str, cluster: LocalCluster) -> None:
    names = [f"{bad}:ends", "resnet18", "no_such_model", "squeezenet1_1"]
    address = cluster.scheduler_address
    found = {entry.name: entry for entry in survey(names, convention="macs", scheduler=address)}
    assert {name: entry.error for name, entry in found.items() if entry.error} == {
        f"{bad}:ends": "its process ended with 7",
        "no_such_model": "unknown torchvision model 'no_such_model'. None of the 121 known names is similar: "
        "thoplw models lists them",  # on a cluster the command line profiles
    }
    for name in ("resnet18", "squeezenet1_1"):
        assert found[name] == expected(name, "macs")
    (late,) = survey([f"{bad}:hangs"], timeout=0.5, scheduler=address)
    assert late.error == "took longer than 0.5 s"


@pytest.mark.slow
def test_a_scheduler_that_dies_is_a_row_for_each_model_that_is_left(bad: str, tmp_path: Path) -> None:
    port = _free_port()
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", str(port), "--no-dashboard"]
    scheduler = subprocess.Popen(
        [*command, "--host", "127.0.0.1"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        address = f"tcp://127.0.0.1:{port}"
        _wait_for(port)
        entries = survey(["resnet18", f"{bad}:hangs"], scheduler=address)
        threading.Timer(3, scheduler.kill).start()
        with config.set({"distributed.comm.timeouts.connect": "2s"}):
            found = {entry.name: entry.error for entry in entries}
        assert found == dict.fromkeys(["resnet18", f"{bad}:hangs"], f"the Dask scheduler at {address} went away")
    finally:
        scheduler.kill()
        scheduler.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(300):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.1)
    raise TimeoutError


def test_no_scheduler_at_the_address() -> None:
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        list(survey(["resnet18"], scheduler="tcp://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("package", "scheduler", "line"),
    [("pebble", None, "pip install pebble"), ("distributed", "tcp://127.0.0.1:1", "pip install distributed")],
)
def test_missing_packages(package: str, scheduler: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=line):
        list(survey(["resnet18"], scheduler=scheduler))


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["vgg11"], ["vgg11"]),  # a name, though other names have this word
        (["vgg16", "timm:vgg11", "vgg16"], ["vgg16", "timm:vgg11"]),
        (["torchvision", "VGG11"], ["vgg11", "vgg11_bn"]),
        (["no", "such", "model"], []),
    ],
)
def test_names_or_words(words: list[str], names: list[str]) -> None:
    assert chosen(words) == names


# -- files -------------------------------------------------------------------------------------------------------------


def test_parquet_and_csv_keep_integers(tmp_path: Path) -> None:
    for file in ("zoo.parquet", "zoo.csv"):
        write([GOOD, BAD], tmp_path / file)
    again = pd.read_parquet(tmp_path / "zoo.parquet")
    assert list(again["zoo"]) == ["timm", "torchvision"]
    assert (again["macs"][0], list(again["assumptions"][0])) == (2**53 + 1, ["a", "b"])
    assert (pd.isna(again["params"][1]), again["error"][1]) == (True, "RuntimeError: no")
    assert (tmp_path / "zoo.csv").read_text(encoding="utf-8").splitlines() == [
        "zoo,name,convention,macs,flops,params,uncounted,assumptions,error",
        "timm,timm:resnet18,macs,9007199254740993,7,5,,a; b,",
        "torchvision,alexnet,macs,,,,,,RuntimeError: no",
    ]


def test_a_plot_names_its_models(tmp_path: Path) -> None:
    draw([GOOD, BAD], tmp_path / "zoo.svg")
    text = (tmp_path / "zoo.svg").read_text(encoding="utf-8")
    assert ("timm:resnet18" in text, "alexnet" in text) == (True, False)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the name must end in .csv or .parquet"):
        write([GOOD], tmp_path / "zoo.xlsx")
    with pytest.raises(InputError, match=r"must end in .png or .svg"):
        draw([GOOD], tmp_path / "zoo.csv")
    with pytest.raises(InputError, match="no model has MACs and parameters to draw"):
        draw([BAD], tmp_path / "zoo.svg")
    for function, file in ((write, "zoo.csv"), (draw, "zoo.svg")):
        with pytest.raises(InputError, match="cannot write"):
            function([GOOD], tmp_path / "none" / file)


def test_no_cell_of_a_csv_is_a_formula_or_two_lines(tmp_path: Path) -> None:
    hostile = Entry(name="=1+1", convention="macs", error="+a\rb\x1b[31m")
    write([hostile], tmp_path / "zoo.csv")
    _, row = (tmp_path / "zoo.csv").read_text(encoding="utf-8").splitlines()
    assert row == r"torchvision,'=1+1,macs,,,,,,'+a\rb\x1b[31m"


def test_a_result_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write([GOOD], tmp_path / "zoo.csv")
    before = (tmp_path / "zoo.csv").read_bytes()

    def fails(self: Any, path: Path, **_: Any) -> None:
        path.write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fails)
    with pytest.raises(InputError, match="No space left on device"):
        write([BAD], tmp_path / "zoo.csv")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"zoo.csv": before}


def test_the_table() -> None:
    assert table([GOOD, BAD]).rows == (
        ("timm:resnet18", "9007199254740993", "7", "5", "assumed: a; assumed: b"),
        ("alexnet", "", "", "", "RuntimeError: no"),
    )
    assert table([GOOD, BAD]).footer == ("2 models", "", "", "", "1 failed")


def test_one_wrong_name_among_models_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown model 'resnet81'\. Did you mean 'resnet18'"):
        chosen(["resnet18", "resnet81"])
