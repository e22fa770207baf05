"""Devices as people read them."""

from __future__ import annotations

from thoplw import Device
from thoplw.estimate.devices import devices
from thoplw.estimate.devices.hardware import Source
from thoplw.estimate.devices.listing import described, table

PAGE = Source(title="A sheet", url="https://a.example", read="2026-01-02", by="vendor", via="an archive")
PAPER = Source(title="A paper", url="", read="2026-01-03", by="secondary", via="a book")

MINE = Device(
    name="mine",
    title="Abacus",
    matrix={"bfloat16": 4e12, "float16": 5e12, "int8": 9e12, "float32": 8e12},
    vector={"float64": 1e12, "float32": 2e12},
    bandwidth=3e11,
    memory=2**33,
    sources={"matrix": (PAGE,), "bandwidth": (PAGE, PAPER)},
    note="Made of wood.",
)
PLAIN = Device(name="plain", vector={"float64": 1e9}, bandwidth=1e9)


def test_a_row_has_the_figures_of_a_device_as_numbers_too() -> None:
    found = table([MINE, PLAIN])
    assert [row[:2] for row in found.rows] == [("mine", "Abacus"), ("plain", "")]
    assert [cell.split() for cell in found.rows[0][2:]] == [
        ["5.00", "T"],
        ["2.00", "T"],
        ["300.00", "G"],
        ["8.59", "G"],
    ]
    assert found.rows[1][2:4] == ("", "")  # it has neither
    assert dict(found.values) == {
        "16-bit FLOP/s": (5 * 10**12, 0),
        "float32 FLOP/s": (2 * 10**12, 0),
        "B/s": (3 * 10**11, 10**9),
        "Bytes": (2**33, 0),
    }
    assert found.columns[2:] == tuple(found.values)


def test_all_figures_stand_above_where_they_were_read() -> None:
    head, *lines = described(MINE).splitlines()
    assert head == "mine: Abacus"
    words = [line.split() for line in lines]
    assert ["matrix", "int8", "9.00", "TOP/s"] in words
    assert ["vector", "float64", "1.00", "TFLOP/s"] in words
    assert ["memory", "8.59", "GB"] in words
    assert ["cache", "unknown"] in words
    assert [line.strip() for line in lines[-3:]] == [
        "Made of wood.",
        "matrix, bandwidth: A sheet, https://a.example, read 2026-01-02 in an archive",
        "bandwidth: A paper, read 2026-01-03",
    ]


def test_every_device_of_the_catalogue_has_a_row_and_a_page() -> None:
    known = devices()
    found = table(known)
    assert [row[0] for row in found.rows] == [device.name for device in known]
    for device in known:
        text = described(device)
        assert text.count("FLOP/s") + text.count("OP/s") - text.count("FLOP/s") == len(device.matrix) + len(
            device.vector
        )
        assert all(source.title in text for sources in device.sources.values() for source in sources)
