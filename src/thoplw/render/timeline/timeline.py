"""Write memory over time as an HTML page."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

from thoplw.render.words import storable

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What the page shows; names stand in lists, and all else has their places there.

    Attributes:
        title: such as the class of the model.
        sentence: says how much the peak is, and where.
        notes: what the figures leave out.
        kinds: what storages are for.
        modules: paths.
        operators: names.
        phases: names.
        steps: of each operator that ran, in order: its name, its module, its phase.
        storages: of each: bytes, kind, the step that made it (-1: none), the step before which it went (-1: none).
        iterations: the first step of each.
        peak: the step at the peak.
    """

    title: str
    sentence: str
    notes: Sequence[str]
    kinds: Sequence[str]
    modules: Sequence[str]
    operators: Sequence[str]
    phases: Sequence[str]
    steps: Sequence[tuple[int, int, int]]
    storages: Sequence[tuple[int, int, int, int]]
    iterations: Sequence[int]
    peak: int


def timeline_page(timeline: Timeline) -> str:
    """One HTML file: the chart, and under it what is there at the moment that is chosen."""
    data = asdict(timeline)
    for name in ("title", "sentence", "notes"):
        del data[name]
    # In a script, only this could end it.
    written = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    page = Template((HERE / "timeline.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(timeline.title),
        sentence=html.escape(timeline.sentence),
        notes="".join(f"<p class=quiet>{html.escape(note)}</p>" for note in timeline.notes),
        data=written,
        script=(HERE / "timeline.js").read_text(encoding="utf-8"),
    )
    return storable(page)
