"""Saved profiles with a damage: they are refused in one line that names the place, and what is no damage is read.

Two others say which is which: the JSON schema by way of the package jsonschema, and sums taken here.
"""

from __future__ import annotations

import copy
import json
import random
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
from checks.attacks.saved import saved
from checks.attacks.tries import Tries, told

from thoplw.errors import InputError
from thoplw.report.document import read, schema, to_document

#: What is put in place of something.
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 2.0, float("nan"), float("inf"), 2**70, "", "16", "NaN", [], {}, [[]], [["1"]], {"a": 1}
)  # fmt: skip

#: Keys and indices that lead to something in a document.
_Path = tuple[str | int, ...]


def tries(count: int, seed: int) -> Tries:
    """Damages of one document: a place is drawn, and what becomes of it; every tenth time, the text of the file."""
    draw = random.Random(seed)
    whole = saved()
    places = list(_places(whole))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "saved.json")
        for number in range(count):
            if number % 10 == 9:
                what, text = _damaged_text(json.dumps(whole), draw)
                keys = [""]
            else:
                place = draw.choice(places)
                what, text = _damaged(whole, place, draw)
                # Of a sum that is wrong the message names what adds up, not what was changed.
                keys = [step for step in place if isinstance(step, str)][-2:]
            file.write_bytes(text)
            yield what, told(partial(_judged, file, keys))


def _damaged(whole: dict[str, Any], place: _Path, draw: random.Random) -> tuple[str, bytes]:
    """What is done, and the text of the file then."""
    document = copy.deepcopy(whole)
    node: Any = document
    for step in place[:-1]:
        node = node[step]
    last = place[-1]
    said = ".".join(map(str, place))
    way = draw.randrange(4)
    if way == 0:
        del node[last]
        said = f"{said} taken away"
    elif way == 1 and isinstance(node[last], dict):
        node[last]["added"] = value = draw.choice(_VALUES)
        said = f"{said}.added is {value!r}"
    elif way == 2 and type(node[last]) is int:
        node[last] += draw.choice((-1, 1, 2**60))
        said = f"{said} is {node[last]}"
    else:
        node[last] = value = draw.choice(_VALUES)
        said = f"{said} is {value!r}"
    return said, json.dumps(document).encode()


def _damaged_text(text: str, draw: random.Random) -> tuple[str, bytes]:
    at = draw.randrange(1, len(text))
    return draw.choice(
        (
            (f"cut after {at} bytes", text[:at].encode()),
            (f"a byte at {at} that is no UTF-8", text[:at].encode() + b"\xff" + text[at:].encode()),
            (f"another file from byte {at} on", (text[:at] + text[: len(text) - at]).encode()),
            ("nothing", b""),
        )
    )


def _judged(file: Path, keys: list[str]) -> str:
    is_damage = _is_damage(file.read_bytes())
    try:
        profile = read(file)
    except InputError as error:
        message = str(error)
        if not is_damage:
            return f"refused, and nothing is wrong: {message}"
        if "\n" in message or len(message) > 2_000:
            return f"not in one line: {message}"
        named = any(key in message for key in keys)
        return "" if named else f"the message does not name {' or '.join(keys)}: {message}"
    if is_damage:
        return "it was read"
    same = _without_empty(to_document(profile)) == _without_empty(json.loads(file.read_bytes()))
    return "" if same else "it was read as something else"


def _without_empty(document: dict[str, Any]) -> dict[str, Any]:
    """Without those lists that are left out where they are empty."""
    layers = [{**each, "other_calls": each.get("other_calls", [])} for each in document["layers"]]
    return {**document, "layers": layers, "unused": document.get("unused", [])}


def _is_damage(text: bytes) -> bool:
    try:
        document = json.loads(text)
        jsonschema.validate(document, schema(), jsonschema.Draft202012Validator)
    except (ValueError, jsonschema.ValidationError):
        return True
    return bool(_disagreements(document)) or "NaN" in json.dumps(document).replace('"NaN"', "")


def _disagreements(document: dict[str, Any]) -> list[str]:
    """What does not fit together, though each is right by itself."""
    layers, totals = document["layers"], document["totals"]
    numbers = ("macs", "flops", "params", "trainable", "moved", "activations")
    # The schema lets some figures be missing: each is in all rows, or in none.
    having = {name: sum(name in each for each in (totals, *layers)) for name in numbers}
    found = [name for name in numbers if 0 < having[name] <= len(layers)]
    found += [name for name in numbers if totals.get(name, 0) != sum(each.get(name, 0) for each in layers)]
    for name in ("bytes", "active"):
        kinds = {kind for each in layers for kind in each[name]}
        found += [name] * ({kind: sum(each[name].get(kind, 0) for each in layers) for kind in kinds} != totals[name])
    found += ["compulsory"] * (totals["compulsory"] != layers[0]["compulsory"])
    found += [side for side in ("inputs", "outputs") if document[side] != layers[0][side]]
    found += ["operators" for each in layers if sum(each["operators"].values()) != each["macs"]]
    found += ["trainable" for each in layers if each["trainable"] > each["params"]]
    names = [each["name"] for each in layers]
    found += ["name"] * (len({*names}) < len(names))
    depths = [each["depth"] for each in layers]
    found += ["depth"] * (depths[0] != 0)
    found += ["depth" for before, now in pairwise(depths) if not 0 < now <= before + 1]
    # Floats of whole numbers are integers to the schema, and no counts.
    found += ["float"] * any(type(value) is float for value in _leaves(document))
    return found


def _places(value: Any, before: _Path = ()) -> Iterator[_Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*before, key)
        yield from _places(inner, (*before, key))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value
