"""Flame graphs: every stack leads from the model to a module, and weighs what that costs by itself."""

from __future__ import annotations

import json

from thoplw.render.flame import collapsed, speedscope
from thoplw.render.outline import Outline, OutlineFigure, OutlineModule

#: Path, class, parent, MACs and bytes of each module.
MODULES = [
    ("", "Net", -1, 0, 8),
    ("body", "Sequential", 0, 0, 0),
    ("body.a;b", "Linear", 1, 2**60, 16),
    ("body.deep", "Block", 1, 3, 0),
    ("body.deep.fc", "Linear", 3, 5, 4),
    ("fc", "Linear", 0, 7, 0),
]

FIGURES = (
    OutlineFigure(name="macs", label="MACs", unit="MAC"),
    OutlineFigure(name="size", label="Bytes", unit="byte"),
    OutlineFigure(name="hidden", label="Hidden", unit="", on_flame=False),
)

OUTLINE = Outline(
    about={"model": "Net", "convention": "macs", "unit": "MAC", "thoplw": "1", "torch": "2"},
    figures=FIGURES,
    modules=tuple(
        OutlineModule(
            name=name,
            cls=cls,
            parent=parent,
            inputs=(),
            outputs=(),
            calls=1,
            own={"macs": macs, "size": size, "hidden": 1},
            all={},
            operators={},
        )
        for name, cls, parent, macs, size in MODULES
    ),
)


def test_stacks_are_paths_of_those_that_cost_something_and_semicolons_stand_between_frames_alone() -> None:
    assert collapsed(OUTLINE).splitlines() == [
        f"Net;body (Sequential);a:b (Linear) {2**60}",
        "Net;body (Sequential);deep (Block) 3",
        "Net;body (Sequential);deep (Block);fc (Linear) 5",
        "Net;fc (Linear) 7",
    ]


def test_speedscope_has_a_profile_for_each_figure_of_flame_graphs() -> None:
    found = json.loads(speedscope(OUTLINE))
    frames = [frame["name"] for frame in found["shared"]["frames"]]
    assert frames == ["Net", "body (Sequential)", "a;b (Linear)", "deep (Block)", "fc (Linear)", "fc (Linear)"]
    macs, size = found["profiles"]
    assert (macs["name"], macs["unit"], size["name"], size["unit"]) == ("MACs", "none", "Bytes", "bytes")
    assert (macs["samples"], macs["weights"]) == ([[0, 1, 2], [0, 1, 3], [0, 1, 3, 4], [0, 5]], [2**60, 3, 5, 7])
    assert (size["samples"], size["weights"]) == ([[0], [0, 1, 2], [0, 1, 3, 4]], [8, 16, 4])
    assert (macs["endValue"], size["endValue"]) == (2**60 + 15, 28)
