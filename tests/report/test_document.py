"""Profiles from files."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

import thoplw
from thoplw.errors import InputError
from thoplw.report.document import from_document, read, schema, to_document


def document() -> dict[str, Any]:
    return thoplw.profile(torch.nn.Linear(3, 4), (1, 3), verbose=False)[2].to_dict()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    file.write_text(thoplw.profile(torch.nn.Linear(3, 4), (1, 3), verbose=False)[2].summary("json"), encoding="utf-8")
    assert to_document(read(file)) == document()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "saved.json is not a profile: it is not JSON"),
        ("[1]", "saved.json is not a profile: it has no 'schema'; write it with `thoplw profile MODEL --kind json"),
        ('{"schema": 99}', "saved.json has schema 99, but this version of thoplw reads schema 1"),
        ('{"schema": true}', "saved.json has schema True, but this version of thoplw reads schema 1"),
        (
            json.dumps({**document(), "schema": "1"}),
            "saved.json has schema '1', but this version of thoplw reads schema 1",
        ),
        (json.dumps({k: v for k, v in document().items() if k not in ("totals", "layers")}), "no 'layers', 'totals'"),
    ],
)
def test_what_is_no_profile(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(file)
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "to"), [("net.py", "profile.json"), ("base.json", "base.json")])
def test_nobody_is_told_to_write_over_a_file_that_is_no_profile(name: str, to: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("import torch", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert str(caught.value).endswith(f"--kind json -o {tmp_path / to}`")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory"):
        read(tmp_path / "saved.json")


def test_the_schema_is_that_of_the_registry() -> None:
    written = json.loads((resources.files("thoplw.report") / "schema.json").read_text(encoding="utf-8"))
    assert schema() == written


def edit(path: str, value: Any) -> Any:
    """The document with another value at a place such as ``layers.1.macs``; None takes the field away."""
    changed = document()
    *places, last = path.split(".")
    node: Any = changed
    for place in places:
        node = node[int(place) if place.isdigit() else place]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("layers.0.operators", {"aten.linear": 11}, "layers[0].operators add up to 11, and layers[0].macs is 16"),
        ("layers.0.trainable", 17, "layers[0].trainable is 17, more than layers[0].params, 16"),
        ("inputs", [[1, 4]], "inputs are [[1, 4]], and layers[0].inputs are [[1, 3]]"),
        ("layers.0.outputs", [], "outputs are [[1, 4]], and layers[0].outputs are []"),
        ("layers.0.macs", -1, "layers[0].macs is -1, not a whole number of 0 or more"),
        ("layers.0.macs", 1.0, "layers[0].macs is 1.0, not a whole number of 0 or more"),
        ("layers.0.macs", float("nan"), "layers[0].macs is nan, not a whole number of 0 or more"),
        ("layers.0.params", "16", "layers[0].params is '16', not a whole number of 0 or more"),
        ("layers.0.params", True, "layers[0].params is True, not a whole number of 0 or more"),
        ("layers.0.bytes", 64, "layers[0].bytes is 64, not an object"),
        ("layers.0.bytes.float32", -4, "layers[0].bytes['float32'] is -4, not a whole number"),
        ("layers.0.name", 7, "layers[0].name is 7, not a string"),
        ("layers.0.depth", 1, "layers[0].depth is 1, which does not follow a depth of 0"),
        ("layers.0.inputs", [["1"]], "layers[0].inputs[0] is '1', not a whole number"),
        ("layers.0.operators", [], "layers[0].operators is [], not an object"),
        ("layers.0.calls", None, "layers[0] has no 'calls'"),
        ("layers.0.more", 1, "layers[0] has 'more', which no profile has"),
        ("layers", [], "layers is empty"),
        ("layers", {}, "layers is {}, not a list"),
        ("unit", "Mac", "unit is 'Mac', neither 'MAC' nor 'FLOP'"),
        ("model", 3, "model is 3, not a string"),
        ("totals.macs", 13, "totals.macs is 13, and the layers add up to 16"),
        ("totals.bytes", {"int8": 64}, "totals.bytes is {'int8': 64}, and the layers add up to {'float32': 64}"),
        ("uncounted", {"a": {"calls": 1, "modules": [""]}}, "uncounted['a'] has no 'shapes'"),
        ("assumptions", {"a": 1}, "assumptions['a'] is 1, not an object"),
        ("not_executed", {"head": "10"}, "not_executed['head'] is '10', not a whole number"),
        ("extra", 1, "it has 'extra', which no profile has"),
        ("layers.0.macs", 10**100 + 1, "000001, more than 10^100, which no figure reaches"),
        ("layers.0.inputs", [[9 * 10**4299]], "more than 10^100, which no figure reaches"),
    ],
)
def test_a_damaged_profile_is_refused_with_the_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_document(edit(path, value))
    assert message in str(caught.value)


def test_two_layers_of_one_name_are_refused() -> None:
    document = thoplw.profile(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.ReLU()), (1, 4))[2].to_dict()
    document["layers"][2]["name"] = "0"
    with pytest.raises(InputError, match=r"^layers\[2\].name is '0', as layers\[1\].name is$"):
        from_document(document)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    path.write_text('{"schema": 1, "model": "A", "model": "B"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"it is not JSON \(the key 'model' stands twice in one object\)"):
        read(path)


@pytest.mark.parametrize("depth", [900, 1_000, 100_000])
def test_a_value_that_is_nested_is_refused_with_the_place(depth: int, tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    nested = f"{'[' * depth}{']' * depth}"
    file.write_text(json.dumps(document()).replace('"Linear"', nested, 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"is not a profile: (model is \[\[|it is not JSON)"):
        read(file)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "x" * 10**6),
        ("inputs", [[1]] * 10**5),
        ("not_executed", {"x" * 10**6: "10"}),
        ("totals.bytes", {f"float{number}": number for number in range(10**4)}),
    ],
)
def test_the_message_is_short_whatever_the_document_holds(path: str, value: Any, tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    file.write_text(json.dumps(edit(path, value)), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(file)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300


def test_a_document_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    file.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(InputError, match="is not a profile: it is not JSON"):
        read(file)
