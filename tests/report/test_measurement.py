from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import thoplw
from thoplw import Device, InputError, UnknownNameError
from thoplw.record import Span
from thoplw.report.measurement import Measurement


def spans(scale: float) -> tuple[Span, ...]:
    """A model that calls two layers: 1 + 2 + 4 units of time."""
    return (
        Span(module="", start=0, seconds=7 * scale, own=1 * scale),
        Span(module="0", start=0.5 * scale, seconds=2 * scale, own=2 * scale),
        Span(module="2", start=2.5 * scale, seconds=4 * scale, own=4 * scale),
    )


#: Its float32 peak, and its bandwidth.
PEAK, BANDWIDTH = 1e6, 1e6


@pytest.fixture
def measured() -> Measurement:
    return measurement()


@pytest.fixture
def beside() -> Measurement:
    """The same beside a device."""
    mine = Device(name="mine", vector={"float32": PEAK}, matrix={"float16": 1e7}, bandwidth=BANDWIDTH)
    return replace(measurement(mine), roof="mine", peaks={"float32": PEAK, "float16": 1e7}, bandwidth=BANDWIDTH)


def measurement(device: Device | None = None) -> Measurement:
    model = nn.Sequential(nn.Linear(4, 8), nn.Sequential(), nn.Linear(8, 2))
    layers = thoplw.profile(model, torch.zeros(3, 4), verbose=False)[2]
    return Measurement(
        profile=(layers if device is None else layers.on(device)).profile,
        untouched=(0.007, 0.0071, 0.009, 0.0069, 0.0072),
        # The fastest and the slowest of five are left out.
        timed=tuple(map(spans, (0.001, 0.0011, 0.5, 0.0009, 0.0001))),
        on="cpu",
        hardware="an abacus",
    )


def test_rows_and_what_lies_between_add_up_to_a_run(measured: Measurement) -> None:
    assert [row.name for row in measured.rows] == ["0", "2"]
    assert [row.latency for row in measured.rows] == pytest.approx([0.002, 0.004])
    assert measured.between == pytest.approx(0.001)
    assert measured.accounted == pytest.approx(0.007)
    assert measured.latency == 0.0071


def test_a_rate_is_the_flops_of_the_layer_by_its_time(measured: Measurement) -> None:
    first, second = measured.rows
    assert first.row.macs == 3 * (4 + 1) * 8  # with the bias
    assert first.achieved == pytest.approx(first.row.flops / 0.002)
    assert second.achieved == pytest.approx(second.row.flops / 0.004)
    with pytest.raises(InputError, match="floor needs a device"):
        _ = second.of_roof


def test_the_floor_is_the_part_of_the_roof_that_a_layer_reaches(beside: Measurement) -> None:
    row = beside.rows[0]
    moved = 4 * (3 * 4 + 4 * 8 + 8 + 3 * 8)  # inputs, weights, biases and outputs, at a byte a microsecond
    assert row.row.floor == pytest.approx(moved / BANDWIDTH)
    assert row.of_roof == pytest.approx(moved / BANDWIDTH / 0.002)
    assert row.row.bound == "memory"
    assert "Of roof" in beside.summary("md")
    assert "No run takes less than the floor on mine, if its figures are right." in beside.notes
    assert beside.plot().axes[0].get_xscale() == "log"


def test_a_module_that_calls_others_reaches_its_roof_with_these(beside: Measurement) -> None:
    table = beside.table(columns=["name", "latency", "floor", "of roof", "bound"])
    assert table.footer[:2] == ("Total", "7.100")
    assert float(table.footer[2]) == pytest.approx(1e3 * beside.profile.total.floor, abs=1e-3)
    assert table.rows[-1][2:] == ("", "", "")  # between layers


def test_modules_that_were_not_called_count_for_what_ran_them(measured: Measurement) -> None:
    alone = replace(measured, timed=(spans(1)[:1],))
    (row,) = alone.rows
    assert (row.name, row.row.flops, row.row.params) == ("", alone.profile.flops, alone.profile.params)
    assert alone.between == 0


def test_what_a_gpu_waits_for_lies_between_layers() -> None:
    """Layers take 6 ms of the 7 that the GPU is at work, and Python takes 10 to launch it all."""
    late = replace(measurement(), on="cuda", untouched=(0.010, 0.010, 0.010))
    assert late.between == pytest.approx(0.010 - 0.006)
    assert late.accounted == pytest.approx(late.latency)
    early = replace(late, untouched=(0.0069, 0.0069, 0.0069))  # timers made it slower
    assert early.between == pytest.approx(0.001)
    assert early.accounted > early.latency


@pytest.mark.parametrize("kind", ["text", "md", "csv", "latex"])
def test_tables_end_with_what_lies_between_layers_and_the_untouched_run(measured: Measurement, kind: str) -> None:
    lines = measured.summary(kind).splitlines()
    between = next(number for number, line in enumerate(lines) if "(between layers)" in line)
    total = next(number for number, line in enumerate(lines) if "Total" in line)
    assert between < total
    assert "1.000" in lines[between]
    assert "7.100" in lines[total]


def test_the_largest_rows_come_first_and_the_others_are_summed(measured: Measurement) -> None:
    table = measured.table(top=1, columns=["name", "latency", "flops"])
    assert [row[0] for row in table.rows] == ["2", "(1 more)", "(between layers)"]
    assert [row[1] for row in table.rows] == ["4.000", "2.000", "1.000"]
    assert table.values["ms"] == (4_000_000, 2_000_000, 1_000_000, 7_100_000)
    assert table.footer[1] == "7.100"


def test_notes_say_how_far_rows_are_from_the_untouched_run(measured: Measurement) -> None:
    assert "5 runs with timers, and 5 without, on an abacus" in measured.notes[0]
    assert measured.notes[0].endswith("the model without timers 7.1 ms: -1.4 %.")


def test_json_has_seconds(measured: Measurement) -> None:
    document = json.loads(measured.summary("json"))
    assert document["latency"] == 0.0071
    assert [layer["latency"] for layer in document["layers"]] == pytest.approx([0.002, 0.004])


def test_a_chrome_trace_has_every_call_within_the_one_that_made_it(measured: Measurement) -> None:
    trace = json.loads(measured.summary("chrome"))
    model, *calls = (event for event in trace["traceEvents"] if event["ph"] == "X")
    assert (model["name"], model["ts"], model["dur"]) == ("(model)", 0, 7000)
    assert [call["name"] for call in calls] == ["0", "2"]
    assert all(model["ts"] <= call["ts"] and call["ts"] + call["dur"] <= model["dur"] for call in calls)
    assert calls[0]["args"]["macs"] == 3 * (4 + 1) * 8  # with the bias


def test_a_chrome_trace_shows_no_call_longer_than_the_one_that_made_it(measured: Measurement) -> None:
    """What timers cost is an estimate: the model may seem to take less than its layers."""
    short = replace(measured, timed=((replace(spans(1)[0], seconds=3), *spans(1)[1:]),))
    events = short.to_chrome()["traceEvents"]
    assert [(event["ts"], event["dur"]) for event in events if event["ph"] == "X"] == [
        (0, 3e6),
        (0.5e6, 2e6),
        (2.5e6, 0.5e6),
    ]


def test_a_page_has_a_dot_for_every_layer_under_the_roof_of_the_device(
    measured: Measurement, beside: Measurement
) -> None:
    page = beside.summary("html")
    titles = re.findall(r"<circle [^>]*><title>(.*?)</title>", page)
    assert [title.partition(":")[0] for title in titles] == ["2", "0"]  # the slower one first, to lie below
    assert titles[1].startswith("0: 2 ms, 108.00 KFLOP/s, ")
    assert ">float32</text>" in page
    assert "(between layers)" in page
    assert not re.search("https?://", page)
    assert "<circle" not in measured.summary("html")  # without a device there is no roof


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"kind": "txt"}, UnknownNameError, "unknown kind 'txt'. Did you mean 'text'"),
        ({"columns": ["latency", "flop"]}, UnknownNameError, "unknown column 'flop'. Did you mean 'flops'"),
        ({"sort": "name"}, UnknownNameError, "unknown sort 'name'"),
        ({"columns": ["of roof"]}, InputError, "needs a device: measure"),
        ({"sort": "floor"}, InputError, "sort 'floor' needs a device: measure"),
        ({"top": 0}, InputError, "top=0: give 1 or more"),
        ({"kind": "chrome", "top": 3}, InputError, "always holds everything"),
    ],
)
def test_options_that_cannot_be_are_refused(
    measured: Measurement, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        measured.summary(**options)
