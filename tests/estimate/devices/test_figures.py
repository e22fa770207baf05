"""The figures of all devices: each has a source, and follows from units, clocks and buses.

A peak is units x clock x operations per clock and unit, where the last belongs to the architecture: a sparse peak is
twice that. A bandwidth is the width of the bus x what one of its pins carries, which belongs to the kind of memory.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from thoplw.estimate.devices import devices
from thoplw.estimate.devices.catalogue import tomllib

FIGURES = ("matrix", "vector", "bandwidth", "memory", "cache", "link")

#: Architecture -> dtype -> dense operations that one unit finishes in a clock. A multiply and an add are two. NVIDIA's
#: are in the tables of its architectures, AMD's in the documentation of ROCm, Intel's and Apple's in their core.
MATRIX: dict[str, dict[str, float]] = {
    "volta": {"float16": 1024},
    "turing": {"float16": 1024, "int8": 2048, "int4": 4096},
    "turing-geforce": {"float16": 512, "int8": 2048, "int4": 4096},
    "ga100": {"float64": 128, "tf32": 1024, "float16": 2048, "bfloat16": 2048, "int8": 4096, "int4": 8192},
    "ga102": {"tf32": 512, "float16": 1024, "bfloat16": 1024, "int8": 2048, "int4": 4096},
    "ga102-geforce": {"tf32": 256, "float16": 512, "bfloat16": 512, "int8": 2048, "int4": 4096},
    "ada": {"tf32": 512, "float16": 1024, "bfloat16": 1024, "float8": 2048, "int8": 2048, "int4": 4096},
    "ada-geforce": {"tf32": 256, "float16": 512, "bfloat16": 512, "float8": 1024, "int8": 2048, "int4": 4096},
    "ada-half": {"tf32": 256, "float16": 512, "bfloat16": 512, "float8": 1024, "int8": 1024, "int4": 2048},
    "ga102-half": {"tf32": 256, "float16": 512, "bfloat16": 512, "int8": 1024, "int4": 2048},
    "hopper": {"float64": 256, "tf32": 2048, "float16": 4096, "bfloat16": 4096, "float8": 8192, "int8": 8192},
    "blackwell": {
        "tf32": 4096, "float16": 8192, "bfloat16": 8192, "float8": 16384, "int8": 16384, "float4": 32768,
    },
    "blackwell-ultra": {"tf32": 4096, "float16": 8192, "bfloat16": 8192, "float8": 16384, "float4": 51130},
    "gb202": {"tf32": 512, "float16": 1024, "bfloat16": 1024, "float8": 2048, "int8": 2048, "float4": 4096},
    "gb202-geforce": {"tf32": 256, "float16": 512, "bfloat16": 512, "float8": 1024, "int8": 2048, "float4": 4096},
    "cdna1": {"float32": 256, "float16": 1024, "bfloat16": 512, "int8": 1024},
    "cdna2": {"float64": 256, "float32": 256, "float16": 1024, "bfloat16": 1024, "int8": 1024},
    "cdna3": {
        "float64": 256, "float32": 256, "tf32": 1024, "float16": 2048, "bfloat16": 2048, "float8": 4096, "int8": 4096,
    },
    "cdna4": {"float16": 4096, "bfloat16": 4096, "float8": 8192, "int8": 8192, "float4": 16384},
    "rdna3": {"float16": 512, "bfloat16": 512},
    "xe-hpc": {"tf32": 2048, "float16": 4096, "bfloat16": 4096, "int8": 8192},
    "xe-hpg": {"float16": 2048, "bfloat16": 2048, "int8": 4096},
    "xe2-hpg": {"float16": 2048, "bfloat16": 2048, "int8": 4096},
    "gaudi": {"bfloat16": 2 * 256 * 256},
    "cpu-amx": {"bfloat16": 1024, "int8": 2048},
}  # fmt: skip

#: Architecture -> operations on float32 that the other arithmetic of one unit finishes in a clock.
VECTOR: dict[str, float] = {
    "maxwell": 256, "pascal-p100": 128, "pascal": 256, "volta": 128, "turing": 128, "turing-geforce": 128,
    "turing-16": 128, "ga100": 128, "ga102": 256, "ga102-half": 256, "ga102-geforce": 256, "ada": 256,
    "ada-geforce": 256, "ada-half": 256, "hopper": 256, "blackwell": 256, "blackwell-ultra": 256, "gb202": 256,
    "gb202-geforce": 256, "gcn5": 128, "cdna1": 128, "cdna2": 256, "cdna3": 256, "cdna4": 256, "rdna2": 128,
    "rdna3": 256, "xe-hpc": 256, "xe-hpg": 256, "xe2-hpg": 256, "apple": 256, "cpu-32": 32, "cpu-64": 64, "cpu-amx": 64,
}  # fmt: skip

#: Kind of memory -> what one pin carries, in Gbit/s: from the slowest to the fastest that was built.
PIN = {
    "GDDR5": (6, 9), "GDDR5X": (10, 12), "GDDR6": (9.9, 20.2), "GDDR6X": (18.9, 24), "GDDR7": (27.9, 32),
    "HBM2": (1.4, 2.45), "HBM2e": (2.4, 3.7), "HBM3": (5.0, 6.5), "HBM3e": (5.8, 9.6),
    "DDR4": (2.1, 3.3), "DDR5": (4.7, 5.7), "LPDDR4": (3.1, 3.8), "LPDDR4X": (3.7, 4.3), "LPDDR5": (4.2, 6.5),
}  # fmt: skip

#: Those whose width of bus no source tells: bandwidth per bfloat16 (Apple: float32) peak, in bytes per 1000 operations.
BALANCE = {"gaudi": (2, 6), "tpu": (1.5, 16), "apple": (18, 40)}

#: File -> its content.
FILES: dict[str, dict[str, Any]] = {
    file.name: tomllib.loads(file.read_text(encoding="utf-8"))
    for file in files("thoplw.estimate.devices").iterdir()
    if file.name.endswith(".toml")
}


def entries() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for content in FILES.values():
        for name, entry in content["devices"].items():
            yield name, entry, content["sources"]


def peaks(entry: dict[str, Any]) -> Iterator[tuple[str, str, float, float]]:
    """``matrix`` or ``vector``, dtype, peak, and what units x clock x operations per clock give."""
    check = entry["check"]
    for dtype, rate in MATRIX.get(check["architecture"], {}).items():
        if dtype in entry.get("matrix", {}):
            clock = check["clock"] if dtype == "float64" else check.get("matrix_clock", check["clock"])
            yield "matrix", dtype, entry["matrix"][dtype], check["units"] * clock * rate / 1000
    if "float32" in entry.get("vector", {}):
        rate = VECTOR[check["architecture"]]
        yield "vector", "float32", entry["vector"]["float32"], check["units"] * check["clock"] * rate / 1000


def faults(entry: dict[str, Any], sources: dict[str, Any]) -> list[str]:
    """What is wrong with an entry, in words."""
    found = []
    for figure in FIGURES:
        if figure in entry and not entry["sources"].get(figure):
            found.append(f"{figure} has no source")
    for keys in entry["sources"].values():
        found += [f"source {key} is not listed" for key in keys if key.partition("@")[0] not in sources]
    check = entry["check"]
    for unit, dtype, peak, expected in peaks(entry):
        # The 44 TFLOP/s of an H20 are 11 % above its arithmetic, in all sources.
        if not 0.96 < peak / expected < (1.04 if unit == "matrix" else 1.12):
            found.append(f"{unit} peak of {dtype} is {peak}, not about {expected:.4g}")
    if "bus" in check:
        low, high = PIN[check["ram"]]
        pin = entry["bandwidth"] * 8 / check["bus"]
        if not low <= pin <= high:
            found.append(f"bandwidth is {pin:.3g} Gbit/s a pin, which {check['ram']} does not carry")
    else:
        low, high = BALANCE[check["architecture"]]
        peak = {**entry.get("vector", {}), **entry.get("matrix", {})}
        balance = entry["bandwidth"] / (peak.get("bfloat16") or peak["float32"])
        if not low <= balance <= high:
            found.append(f"bandwidth is {balance:.3g} bytes per 1000 operations")
    return found


ENTRIES = {name: (entry, sources) for name, entry, sources in entries()}


def how_often(entry: dict[str, Any], sources: dict[str, Any], figure: str) -> str:
    """How often a figure was read: ``twice``, ``once``, or once and ``computed`` from units and clock as well."""
    if len({sources[key.partition("@")[0]]["title"] for key in entry["sources"][figure]}) > 1:
        return "twice"
    if figure not in ("matrix", "vector"):
        return "once"
    agreeing = {
        dtype for unit, dtype, peak, expected in peaks(entry) if unit == figure and 0.98 < peak / expected < 1.02
    }
    return "computed" if agreeing == (set(entry["matrix"]) if figure == "matrix" else {"float32"}) else "once"


@pytest.mark.parametrize("name", ENTRIES)
def test_figures_have_sources_and_follow_from_the_architecture(name: str) -> None:
    assert faults(*ENTRIES[name]) == []


def test_every_peak_of_a_matrix_unit_is_computed_again() -> None:
    left = {
        (entry["check"]["architecture"], dtype)
        for entry, _ in ENTRIES.values()
        for dtype in entry.get("matrix", {})
        if dtype not in MATRIX.get(entry["check"]["architecture"], {})
    }
    # Google tells no clock, and Intel no rate but that of bfloat16: these were read from two sources each.
    assert {architecture for architecture, _ in left} <= {"tpu", "gaudi"}


def test_there_are_many_devices_and_no_name_twice() -> None:
    names = [name for name, _, _ in entries()]
    assert len(names) == len(set(names)) == len(devices()) >= 60
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


@pytest.mark.parametrize("file", FILES)
def test_every_figure_was_read_twice_or_is_listed_as_read_once(file: str) -> None:
    content = FILES[file]
    once = {
        f"{name}.{figure}"
        for name, entry in content["devices"].items()
        for figure in entry["sources"]
        if how_often(entry, content["sources"], figure) == "once"
    }
    assert once == set(content.get("once", ()))


def test_a_matrix_unit_is_no_slower_than_the_rest() -> None:
    for device in devices():
        for dtype in device.matrix.keys() & device.vector.keys():
            assert device.matrix[dtype] >= 0.99 * device.vector[dtype], (device.name, dtype)


def test_sources_have_address_date_and_whose_they_are() -> None:
    for device in devices():
        for sources in device.sources.values():
            for source in sources:
                assert source.url.startswith("https://"), device.name
                assert re.fullmatch(r"\d{4}-\d\d-\d\d", source.read), device.name
                assert source.by in ("vendor", "secondary"), device.name
                assert source.title, device.name


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        # An L4 with the bandwidth of an H100, as a table of torch has it.
        ("l4", {"bandwidth": 3350}, "140 Gbit/s a pin, which GDDR6 does not carry"),
        # The sparse peak of an H100, as the same table has it.
        ("h100-sxm", {"matrix": {"bfloat16": 1979}}, "matrix peak of bfloat16 is 1979, not about 989.4"),
        # Twice the peak of its sibling.
        ("a100-pcie-80gb", {"matrix": {"bfloat16": 624}}, "matrix peak of bfloat16 is 624, not about 311.9"),
        ("rtx-5090", {"matrix": {"float16": 419}}, "matrix peak of float16 is 419, not about 209.5"),
        ("mi300x", {"bandwidth": 10300}, "10.1 Gbit/s a pin, which HBM3 does not carry"),
        ("tpu-v5e", {"bandwidth": 8190}, "bytes per 1000 operations"),
        ("t4", {"sources": {}}, "bandwidth has no source"),
        ("t4", {"sources": {"bandwidth": ["nowhere@page"]}}, "source nowhere@page is not listed"),
    ],
)
def test_a_wrong_figure_is_refused(name: str, change: dict[str, Any], fault: str) -> None:
    entry, sources = copy.deepcopy(ENTRIES[name])
    entry.update(change)
    assert any(fault in found for found in faults(entry, sources)), faults(entry, sources)


def test_the_page_says_how_many_figures_have_how_many_sources() -> None:
    page = (Path(__file__).parents[3] / "benchmarks" / "devices.md").read_text(encoding="utf-8")
    counts = Counter(
        how_often(entry, sources, figure) for entry, sources in ENTRIES.values() for figure in entry["sources"]
    )
    vendors = sum(
        any(sources[key.partition("@")[0]]["by"] == "vendor" for key in keys)
        for entry, sources in ENTRIES.values()
        for keys in entry["sources"].values()
    )
    assert f"lists {len(devices())} devices" in page
    assert f"**{sum(counts.values())} figures**" in page
    assert f"**{counts['twice']} were read in two sources or more.**" in page
    assert f"{counts['computed']} peaks were read in one" in page
    assert f"{counts['once']} figures were read in one source only" in page
    assert f"{vendors} rest on what the maker" in page
