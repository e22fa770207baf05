"""Flame graphs for viewers: a module is a frame, and its own cost is the weight of the frame."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from thoplw.render.outline import Outline, OutlineModule
from thoplw.render.words import visible

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def collapsed(outline: Outline) -> str:
    """Collapsed stacks, for flamegraph.pl and similar tools: a line for every module with cost of its own."""
    figure = outline.figures[0].name
    modules = outline.modules
    names = [visible(_frame(module)).replace(";", ":") for module in modules]
    return "\n".join(
        f"{';'.join(names[index] for index in stack)} {modules[stack[-1]].own[figure]}"
        for stack in _stacks(outline)
        if modules[stack[-1]].own[figure]
    )


def speedscope(outline: Outline) -> str:
    """A file for https://www.speedscope.app, in which one can switch between figures."""
    stacks = list(_stacks(outline))
    about = outline.about
    return json.dumps(
        {
            "$schema": _SCHEMA,
            "name": f"{about['model']}, counted by {about['convention']}",
            "exporter": f"thoplw@{about['thoplw']}",
            "activeProfileIndex": 0,
            "shared": {"frames": [{"name": _frame(module)} for module in outline.modules]},
            "profiles": [
                _profile(
                    figure.label,
                    "bytes" if figure.unit == "byte" else "none",
                    stacks,
                    [module.own[figure.name] for module in outline.modules],
                )
                for figure in outline.figures
                if figure.on_flame
            ],
        }
    )


def _profile(name: str, unit: str, stacks: list[list[int]], figures: list[int]) -> dict[str, Any]:
    weighed = [(stack, figure) for stack, figure in zip(stacks, figures, strict=True) if figure]
    return {
        "type": "sampled",
        "name": name,
        "unit": unit,
        "startValue": 0,
        "endValue": sum(figures),
        "samples": [stack for stack, _ in weighed],
        "weights": [figure for _, figure in weighed],
    }


def _stacks(outline: Outline) -> Iterator[list[int]]:
    """Return for every module the indices of those that hold it, and its own."""
    stacks: list[list[int]] = []
    for index, module in enumerate(outline.modules):
        stacks.append([*(stacks[module.parent] if module.parent >= 0 else ()), index])
        yield stacks[-1]


def _frame(module: OutlineModule) -> str:
    name = module.name.rpartition(".")[2]
    return f"{name} ({module.cls})" if name else module.cls
