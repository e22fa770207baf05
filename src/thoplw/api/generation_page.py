"""What the page of a generation shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from thoplw.render.page.generation import generation_page
from thoplw.render.table import Table
from thoplw.render.units import clever_format, quantity, share
from thoplw.render.words import count

if TYPE_CHECKING:
    from thoplw.api.generation import Generation
    from thoplw.report.layer_info import LayerInfo


def page_of(report: Generation) -> str:
    """Write a generation as one HTML file: totals, notes, cost and cache against positions, calls, and layers.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    sentence = (
        f"{count(report.new, 'token')} after a prompt of {count(report.prompt, 'position')}, "
        f"{count(report.batch, 'sequence')} at once"
    )
    calls = dict(_calls(report))
    tables = {"Calls": report.table("grouped"), "Bytes": _bytes(calls)}
    if report.cache_bytes():
        tables["Cache"] = _cache(report)
    if report.has_memory:
        tables["Memory"] = _memory(calls)
    curves = [report.curve("cost"), report.curve("cache")] if len(report.parts) and report.new > 2 else []
    return generation_page(
        report.about,
        sentence,
        list(_totals(report)),
        report.notes,
        curves,
        {**tables, "Layers": _layers(report, calls)},
    )


def _calls(report: Generation) -> Iterator[tuple[str, LayerInfo]]:
    yield "Prefill", report.prefill
    if report.new > 1:
        yield "First step", report.decode()
    if report.new > 2:
        yield "Last step", report.decode(report.last)


def _totals(report: Generation) -> Iterator[tuple[str, str, str]]:
    unit = f"{report.about['unit']}s"
    end = report.prompt + report.new - 1
    for label, value in (
        (f"All {unit}", report.total_macs),
        *(
            (("The same, absorbed", report.total_macs_absorbed),)
            if report.total_macs_absorbed != report.total_macs
            else ()
        ),
        *((f"{unit} of the {name.lower()}", info.total_macs) for name, info in _calls(report)),
        ("Active parameters", report.active_params),
    ):
        yield label, clever_format(value, "%.2f").strip(), f"{value:,}"
    for label, held in (
        ("Cache at the end", report.cache_bytes(end)),
        ("The same in whole pages", report.reserved_bytes(end)),
    ):
        yield label, quantity(held, "B"), f"{held:,} bytes"


def _bytes(calls: dict[str, LayerInfo]) -> Table:
    """What each call moves between memory and processor."""
    return Table(
        columns=("Call", "Moved", "Compulsory", "FLOPs per byte moved"),
        rows=tuple(
            (name, f"{info.total_moved:,}", f"{info.compulsory:,}", f"{info.intensity or 0:.2f}")
            for name, info in calls.items()
        ),
    )


def _cache(report: Generation) -> Table:
    """What holds the cache, after the prompt and at the end."""
    end = report.prompt + report.new - 1
    prompt, last = (report.cache_bytes(at, by="class") for at in (report.prompt, end))
    return Table(
        columns=("Class", "Bytes after the prompt", "Bytes at the end"),
        rows=tuple((name, f"{prompt.get(name, 0):,}", f"{last.get(name, 0):,}") for name in {**prompt, **last}),
        footer=("Total", *(f"{report.cache_bytes(at):,}" for at in (report.prompt, end))),
    )


def _memory(calls: dict[str, LayerInfo]) -> Table:
    """What the peak of each call consists of."""
    kinds = {name: info.memory.by_kind for name, info in calls.items()}
    return Table(
        columns=("Bytes at the peak", *calls),
        rows=tuple(
            (kind, *(f"{held.get(kind, 0):,}" for held in kinds.values()))
            for kind in dict.fromkeys(kind for held in kinds.values() for kind in held)
        ),
        footer=("Total", *(f"{info.memory.peak:,}" for info in calls.values())),
    )


def _layers(report: Generation, calls: dict[str, LayerInfo]) -> Table:
    """What each layer costs in each of the calls, and its part of them."""
    costs = {name: {row.name: row.macs for row in info.rows} for name, info in calls.items()}
    classes = {row.name: row.cls for info in calls.values() for row in info.rows}
    totals = {name: info.total_macs for name, info in calls.items()}
    rows = []
    for layer, cls in classes.items():
        own = {name: known.get(layer, 0) for name, known in costs.items()}
        if any(own.values()):
            cells = ((clever_format(cost, "%.2f"), share(cost, totals[name])) for name, cost in own.items())
            rows.append((layer, cls, *(cell for pair in cells for cell in pair)))
    whole = ((clever_format(total, "%.2f"), share(total, total)) for total in totals.values())
    return Table(
        columns=("Name", "Class", *(column for name in calls for column in (name, "%"))),
        rows=tuple(rows),
        footer=("Total", "", *(cell for pair in whole for cell in pair)),
    )
