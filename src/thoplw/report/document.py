"""Turn a profile into the plain values that JSON holds, and back; ``schema.json`` describes the document."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from thoplw.errors import InputError
from thoplw.render.words import shown
from thoplw.report.figures import Figure, Value, shown_in, total
from thoplw.report.profile import About, Profile, batch_of
from thoplw.report.rows import Assumed, Gaps, Row, Shape, Uncounted

T = TypeVar("T")

#: Version of the document; it changes when a reader would have to.
SCHEMA = 1

#: The largest number in a document. Shares and short forms of figures are floats, which cannot hold every integer.
MOST = 10**100

#: What :func:`to_document` gives.
Document = dict[str, Any]


def schema() -> dict[str, Any]:
    """The JSON schema of the document, with every figure of the registry."""
    base: dict[str, Any] = json.loads((resources.files("thoplw.report") / "schema.json").read_text(encoding="utf-8"))
    layer, totals = base["$defs"]["layer"], base["properties"]["totals"]
    for figure in _figures():
        base["$defs"].setdefault(figure.name, _schema_of(figure))
        for node in (layer, totals) if figure.has_total else (layer,):
            if figure.name not in node["properties"]:
                node["properties"][figure.name] = {"$ref": f"#/$defs/{figure.name}"}
                if not figure.may_lack:
                    node["required"].append(figure.name)
    return base


def _schema_of(figure: Figure) -> dict[str, Any]:
    number = {"$ref": "#/$defs/figure"}
    values = {"type": "object", "additionalProperties": number} if figure.parts else number
    return {"description": figure.description, **values}


def _figures() -> tuple[Figure, ...]:
    return shown_in("document")


# -- writing -----------------------------------------------------------------------------------------------------------


def to_document(profile: Profile) -> Document:
    """Copy everything in a profile into plain values; later changes to one do not touch the other."""
    root = profile.total
    return {
        "schema": SCHEMA,
        **profile.about.to_dict(),
        "inputs": _lists(root.input_shapes),
        "outputs": _lists(root.output_shapes),
        "totals": {figure.name: _plain(figure.value(root)) for figure in _figures_of(root) if figure.has_total},
        "layers": [to_layer(row) for row in profile.modules],
        "uncounted": _places(profile.gaps.uncounted),
        "unseen": _places(profile.gaps.unseen),
        "assumptions": _assumptions(profile.gaps.assumptions),
        **({"assumptions_of_bytes": _assumptions(profile.gaps.of_bytes)} if profile.gaps.of_bytes else {}),
        "not_executed": dict(profile.gaps.not_executed),
        **{name: list(getattr(profile.gaps, name)) for name in _RARE if getattr(profile.gaps, name)},
    }


def to_layer(row: Row) -> dict[str, Any]:
    """One module, as the document has it."""
    others = [{"inputs": _lists(given), "outputs": _lists(returned)} for given, returned in row.other_shapes]
    return {
        "name": row.name,
        "class": row.cls,
        "depth": row.depth,
        "inputs": _lists(row.input_shapes),
        "outputs": _lists(row.output_shapes),
        **({"other_calls": others} if others else {}),
        **{figure.name: _plain(figure.value(row)) for figure in _figures_of(row)},
        "operators": dict(row.operators),
    }


def _figures_of(row: Row) -> list[Figure]:
    return [figure for figure in _figures() if figure.known(row) is not None]


def _plain(value: Value) -> int | dict[str, int]:
    return dict(value) if isinstance(value, Mapping) else value


def _places(operators: Mapping[str, Uncounted]) -> dict[str, Any]:
    return {
        name: {**asdict(each), "shapes": [_lists(shapes) for shapes in each.shapes]} for name, each in operators.items()
    }


def _assumptions(assumptions: Mapping[str, Assumed]) -> dict[str, Any]:
    return {statement: asdict(each) for statement, each in assumptions.items()}


def _lists(shapes: Iterable[Shape]) -> list[list[int]]:
    return [list(shape) for shape in shapes]


# -- reading -----------------------------------------------------------------------------------------------------------


def read(path: Path) -> Profile:
    """Read what ``summary("json")`` or ``thoplw profile --kind json`` wrote.

    Raises:
        InputError: the file does not exist, is not a profile, has another version of the schema, or is damaged; the
            message names the place.
    """
    # A name of anything else, such as that of a file of Python given by mistake, must not be written over.
    to = path if path.suffix == ".json" else path.with_name("profile.json")
    again = f"write it with `thoplw profile MODEL --kind json -o {to}`"
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_with_keys)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no JSON, or no UTF-8
        raise InputError(f"{path} is not a profile: it is not JSON ({error}); {again}") from error
    if not isinstance(document, dict) or "schema" not in document:
        raise InputError(f"{path} is not a profile: it has no 'schema'; {again}")
    if document["schema"] != SCHEMA or type(document["schema"]) is not int:
        raise InputError(
            f"{path} has schema {shown(document['schema'])}, but this version of thoplw reads schema {SCHEMA}; {again}"
        )
    try:
        return from_document(document)
    except InputError as error:
        raise InputError(f"{path} is not a profile: {error}; {again}") from None


def from_document(document: Mapping[str, Any]) -> Profile:
    """Read a profile from a document.

    Raises:
        InputError: a field is missing, unknown or of another type, or figures do not add up; the message names the
            place, such as ``layers[3].macs``.
    """
    optional = ("assumptions_of_bytes", "device", "roof", *_RARE)
    fields = _fields(document, "", required=_KEYS, optional=optional)
    layers = _list(fields["layers"], "layers")
    if not layers:
        raise InputError("layers is empty: its first entry must be the model itself")
    held = _held(layers)
    modules = tuple(_row(each, f"layers[{index}]", held) for index, each in enumerate(layers))
    _check_tree(modules)
    for index, row in enumerate(modules):
        _check_row(row, f"layers[{index}]")
    unit = _text(fields["unit"], "unit")
    if unit not in ("MAC", "FLOP"):
        raise InputError(f"unit is {unit!r}, neither 'MAC' nor 'FLOP'")
    shapes = _shapes(fields["inputs"], "inputs"), _shapes(fields["outputs"], "outputs")
    _check_shapes(modules[0], shapes)
    profile = Profile(
        about=About(
            unit=unit,
            **{key: _text(fields[key], key) for key in ("model", "convention", "torch", "thoplw")},
            **{key: _text(fields[key], key) for key in ("device", "roof") if key in fields},
        ),
        modules=modules,
        gaps=Gaps(
            uncounted=_map(fields["uncounted"], "uncounted", _uncounted),
            unseen=_map(fields["unseen"], "unseen", _uncounted),
            assumptions=_map(fields["assumptions"], "assumptions", _assumed),
            of_bytes=_map(fields.get("assumptions_of_bytes", {}), "assumptions_of_bytes", _assumed),
            not_executed=_map(fields["not_executed"], "not_executed", _number),
            **{name: tuple(_names(fields.get(name, []), name)) for name in _RARE},
        ),
        batch=batch_of(*shapes),
    )
    _check_totals(profile, fields["totals"], held)
    return profile


_KEYS = (
    "schema thoplw torch model convention unit inputs outputs totals layers uncounted unseen assumptions not_executed"
).split()


#: Gaps that few profiles have, as names.
_RARE = ("unused", "unread")


def _held(layers: Iterable[Any]) -> list[Figure]:
    """The figures that a document has: those that every document has, and those of one of its layers."""
    found = {key for each in layers if isinstance(each, Mapping) for key in each}
    return [figure for figure in _figures() if not figure.may_lack or figure.name in found]


def _row(value: Any, where: str, held: Sequence[Figure]) -> Row:
    required = ["name", "class", "depth", "inputs", "outputs", *(figure.name for figure in held), "operators"]
    fields = _fields(value, where, required=required, optional=("other_calls",))
    return Row(
        name=_text(fields["name"], f"{where}.name"),
        cls=_text(fields["class"], f"{where}.class"),
        depth=_number(fields["depth"], f"{where}.depth"),
        input_shapes=_shapes(fields["inputs"], f"{where}.inputs"),
        output_shapes=_shapes(fields["outputs"], f"{where}.outputs"),
        other_shapes=tuple(
            _other_call(each, f"{where}.other_calls[{index}]")
            for index, each in enumerate(_list(fields.get("other_calls", []), f"{where}.other_calls"))
        ),
        figures={figure.name: _value(figure, fields, where) for figure in held},
        operators=_map(fields["operators"], f"{where}.operators", _number),
    )


def _other_call(value: Any, where: str) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
    fields = _fields(value, where, required=("inputs", "outputs"))
    return _shapes(fields["inputs"], f"{where}.inputs"), _shapes(fields["outputs"], f"{where}.outputs")


def _value(figure: Figure, fields: Mapping[str, Any], where: str) -> Value:
    value, place = fields[figure.name], f"{where}.{figure.name}"
    return _map(value, place, _number) if figure.parts else _number(value, place)


def _uncounted(value: Any, where: str) -> Uncounted:
    fields = _fields(value, where, required=("calls", "modules", "shapes"))
    return Uncounted(
        calls=_number(fields["calls"], f"{where}.calls"),
        modules=_names(fields["modules"], f"{where}.modules"),
        shapes=[_shapes(each, f"{where}.shapes") for each in _list(fields["shapes"], f"{where}.shapes")],
    )


def _assumed(value: Any, where: str) -> Assumed:
    fields = _fields(value, where, required=("operators", "calls", "modules"))
    return Assumed(
        operators=_names(fields["operators"], f"{where}.operators"),
        calls=_number(fields["calls"], f"{where}.calls"),
        modules=_names(fields["modules"], f"{where}.modules"),
    )


def _with_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, of which no key may stand twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {shown(twice)} stands twice in one object")
    return found


def _check_tree(modules: tuple[Row, ...]) -> None:
    """Check that the first row is the model, that no row is deeper than the next level, and that each has its path."""
    before = -1
    seen: dict[str, int] = {}
    for index, row in enumerate(modules):
        if seen.setdefault(row.name, index) != index:
            raise InputError(f"layers[{index}].name is {shown(row.name)}, as layers[{seen[row.name]}].name is")
        if row.depth > before + 1 or (index > 0) != (row.depth > 0):
            raise InputError(f"layers[{index}].depth is {row.depth}, which does not follow a depth of {max(before, 0)}")
        before = row.depth


def _check_row(row: Row, where: str) -> None:
    """Check that the figures of a module agree with each other."""
    found = sum(row.operators.values())
    if found != row.macs:
        raise InputError(f"{where}.operators add up to {found}, and {where}.macs is {row.macs}")
    if row.trainable > row.params:
        raise InputError(f"{where}.trainable is {row.trainable}, more than {where}.params, {row.params}")


def _check_shapes(model: Row, shapes: tuple[tuple[Shape, ...], tuple[Shape, ...]]) -> None:
    """Check that the shapes of the whole are those of the model."""
    of_model = model.input_shapes, model.output_shapes
    for name, said, found in zip(("inputs", "outputs"), shapes, of_model, strict=True):
        if said != found:
            raise InputError(f"{name} are {shown(_lists(said))}, and layers[0].{name} are {shown(_lists(found))}")


def _check_totals(profile: Profile, value: Any, held: Sequence[Figure]) -> None:
    adding = [figure for figure in held if figure.has_total]
    fields = _fields(value, "totals", required=[figure.name for figure in adding])
    for figure in adding:
        said = _value(figure, fields, "totals")
        rows = profile.modules if figure.adds_up else profile.modules[:1]
        found = total(figure.value(row) for row in rows)
        if said != found:
            raise InputError(f"totals.{figure.name} is {shown(said)}, and the layers add up to {shown(found)}")


def _fields(value: Any, where: str, *, required: Iterable[str], optional: Iterable[str] = ()) -> Mapping[str, Any]:
    required = list(required)
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is {shown(value)}, not an object")
    prefix = f"{where} has" if where else "it has"
    lacking = [key for key in required if key not in value]
    if lacking:
        raise InputError(f"{prefix} no {', '.join(sorted(map(repr, lacking)))}")
    unknown = [key for key in value if key not in {*required, *optional}]
    if unknown:
        raise InputError(f"{prefix} {shown(unknown[0])}, which no profile has")
    return value


def _number(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{where} is {shown(value)}, not a whole number of 0 or more")
    if value > MOST:
        raise InputError(f"{where} is {shown(value)}, more than 10^100, which no figure reaches")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where} is {shown(value)}, not a string")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{where} is {shown(value)}, not a list")
    return value


def _names(value: Any, where: str) -> list[str]:
    return [_text(each, f"{where}[{index}]") for index, each in enumerate(_list(value, where))]


def _shapes(value: Any, where: str) -> tuple[Shape, ...]:
    return tuple(
        tuple(_number(size, f"{where}[{index}]") for size in _list(shape, f"{where}[{index}]"))
        for index, shape in enumerate(_list(value, where))
    )


def _map(value: Any, where: str, each: Callable[[Any, str], T]) -> dict[str, T]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is {shown(value)}, not an object")
    return {key: each(item, f"{where}[{shown(key)}]") for key, item in value.items()}
