from __future__ import annotations

from pathlib import Path

import pytest

from thoplw import InputError, UnknownNameError
from thoplw.capture.timing import machine
from thoplw.capture.timing.machine import measured


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_BUDGET", 0.001)
    monkeypatch.setattr(machine, "_CONVOLUTIONS", ((1, 16, 14, 3),))
    monkeypatch.setattr(machine, "_caches", lambda folder: 2**20)


@pytest.mark.usefixtures("quick")
def test_the_machine_is_measured_in_every_dtype_that_it_multiplies() -> None:
    found = measured("cpu")
    assert {"float32", "float64"} <= found.products.keys()
    assert all(1e6 < rate < 1e15 for rate in found.products.values())
    assert 1e6 < found.bandwidth < 1e13
    assert found.cache == 2**20
    assert "passes over 256 MiB on a CPU with " in found.how


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"(there is no device|runs are timed on .* not on) '{name}'"):
        measured(name)


def test_caches_from_the_second_level_on_count_once_each(tmp_path: Path) -> None:
    def cache(cpu: int, index: int, level: int, size: str, shared: str) -> None:
        folder = tmp_path / f"cpu{cpu}" / "cache" / f"index{index}"
        folder.mkdir(parents=True)
        for name, content in (("level", str(level)), ("size", size), ("shared_cpu_list", shared)):
            (folder / name).write_text(f"{content}\n")

    for cpu in (0, 1):
        cache(cpu, 0, 1, "32K", str(cpu))
        cache(cpu, 2, 2, "512K", str(cpu))
        cache(cpu, 3, 3, "16384K", "0-1")
    assert machine._caches(tmp_path) == 1024 * (2 * 512 + 16384)
    assert machine._caches(tmp_path / "nowhere") == 0


def test_a_processor_goes_by_the_name_that_linux_has(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: AMD EPYC 7763 64-Core Processor\n")
    assert machine._name_of_processor(tmp_path / "cpuinfo") == "AMD EPYC 7763 64-Core Processor"
    assert machine._name_of_processor(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("folder", "most", "now"),
    [
        ("sys/fs/cgroup", "memory.max", "memory.current"),
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_free_memory_is_what_machine_and_control_group_leave(tmp_path: Path, folder: str, most: str, now: str) -> None:
    assert machine.free_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 5000 kB\n")
    assert machine.free_memory(tmp_path) == 5000 * 1024
    group = tmp_path / folder
    group.mkdir(parents=True)
    (group / most).write_text("max\n")
    (group / now).write_text("700000\n")
    assert machine.free_memory(tmp_path) == 5000 * 1024
    (group / most).write_text("1000000\n")
    assert machine.free_memory(tmp_path) == 300000
    (group / "memory.stat").write_text("anon 5\ninactive_file 50000\ntotal_inactive_file 60000\n")
    assert machine.free_memory(tmp_path) == 350000


@pytest.mark.usefixtures("quick")
def test_convolutions_count_where_they_are_faster_than_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_convolution", lambda dtype, clock: 1e20)
    assert measured("cpu").products["float32"] == 1e20


@pytest.mark.usefixtures("quick")
def test_the_clock_may_be_that_of_the_process() -> None:
    assert measured("cpu", "process").products["float32"] > 1e6
    with pytest.raises(UnknownNameError, match="unknown clock 'cpu'"):
        measured("cpu", "cpu")
