"""Devices as people read them: a table of many, one with its sources."""

from __future__ import annotations

from collections.abc import Iterable

from thoplw.estimate.devices.hardware import DTYPES, Device, Source
from thoplw.render.table import Table
from thoplw.render.units import aligned, clever_format


def table(devices: Iterable[Device]) -> Table:
    """A row a device: its bfloat16 (or else float16) peak on matrix units, float32 on the others, and its memory."""
    rows = [
        (
            device.name,
            device.title,
            (_largest(device), device.vector.get("float32", 0), device.bandwidth, device.memory),
        )
        for device in devices
    ]
    headings = ("16-bit FLOP/s", "float32 FLOP/s", "B/s", "Bytes")
    return Table(
        columns=("Name", "Device", *headings),
        rows=tuple(
            (name, title, *(aligned(each) if each else "" for each in figures)) for name, title, figures in rows
        ),
        values={heading: tuple(round(row[2][at]) for row in rows) for at, heading in enumerate(headings)},
    )


def _largest(device: Device) -> float:
    return max(device.matrix.get("bfloat16", 0), device.matrix.get("float16", 0))


def described(device: Device) -> str:
    """All figures of a device, and below them where they were read."""
    lines = [f"{device.name}: {device.title}"]
    for unit in ("matrix", "vector"):
        peaks = getattr(device, unit)
        lines += [
            f"  {unit} {dtype:9}{clever_format(peaks[dtype]):>10}{'OP' if dtype.startswith('int') else 'FLOP'}/s"
            for dtype in DTYPES
            if dtype in peaks
        ]
    for figure, unit in (("bandwidth", "B/s"), ("memory", "B"), ("cache", "B"), ("link", "B/s")):
        value = getattr(device, figure)
        lines.append(f"  {figure:16}{clever_format(value):>10}{unit}" if value else f"  {figure:16}   unknown")
    if device.note:
        lines.append(f"  {device.note}")
    read: dict[Source, list[str]] = {}
    for figure, sources in device.sources.items():
        for source in sources:
            read.setdefault(source, []).append(figure)
    for source, figures in read.items():
        where = f", {source.url}" if source.url else ""
        how = f" in {source.via}" if source.via and source.url else ""
        lines.append(f"  {', '.join(figures)}: {source.title}{where}, read {source.read}{how}")
    return "\n".join(lines)
