"""Flame graphs, for the viewers that draw them: a module is a frame, what it costs by itself is its weight."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def collapsed(document: Mapping[str, Any]) -> str:
    """Collapsed stacks, as flamegraph.pl and its kin take them: a line for every module with MACs of its own."""
    return "\n".join(
        f"{';'.join(_frame(layer).replace(';', ':') for layer in stack)} {stack[-1]['macs']}"
        for stack in _stacks(document)
        if stack[-1]["macs"]
    )


def speedscope(document: Mapping[str, Any]) -> str:
    """A file for https://www.speedscope.app, in which one can switch between figures."""
    layers = document["layers"]
    places = {layer["name"]: index for index, layer in enumerate(layers)}
    stacks = [[places[layer["name"]] for layer in stack] for stack in _stacks(document)]
    figures = {
        f"{document['unit']}s": [layer["macs"] for layer in layers],
        "Parameters": [layer["params"] for layer in layers],
        "Bytes of parameters": [sum(layer["bytes"].values()) for layer in layers],
    }
    return json.dumps(
        {
            "$schema": _SCHEMA,
            "name": f"{document['model']}, counted by {document['convention']}",
            "exporter": f"thoplw@{document['thoplw']}",
            "activeProfileIndex": 0,
            "shared": {"frames": [{"name": _frame(layer)} for layer in layers]},
            "profiles": [
                _profile(name, "bytes" if name.startswith("Bytes") else "none", stacks, weights)
                for name, weights in figures.items()
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


def _stacks(document: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
    """For every module, those that hold it and itself."""
    stack: list[Mapping[str, Any]] = []
    for layer in document["layers"]:
        stack = [*stack[: layer["depth"]], layer]
        yield stack


def _frame(layer: Mapping[str, Any]) -> str:
    name = layer["name"].rpartition(".")[2]
    return f"{name} ({layer['class']})" if name else str(layer["class"])
