"""Read the files of devices.

Figures stand in them as on data sheets: peaks in TFLOP/s, ``bandwidth`` and ``link`` in GB/s, ``memory`` in GiB and
``cache`` in MiB.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from thoplw.errors import UnknownNameError
from thoplw.estimate.devices.hardware import Device, Source

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Figure -> what its unit in the files is in bytes, FLOP/s or bytes per second.
_UNITS = {"matrix": 10**12, "vector": 10**12, "bandwidth": 10**9, "memory": 2**30, "cache": 2**20, "link": 10**9}


def devices() -> tuple[Device, ...]:
    """All devices that are known by name."""
    return tuple(_catalogue().values())


def device(device: str | Device) -> Device:
    """Look up a device by name, in upper or lower case and with spaces or hyphens; a device is returned as it is.

    Raises:
        UnknownNameError: the name is unknown; the message suggests similar ones. No other device ever stands in.
    """
    if isinstance(device, Device):
        return device
    known = _catalogue()
    try:
        return known["-".join(device.lower().split())]
    except (KeyError, AttributeError):
        raise UnknownNameError("device", device, known) from None


@cache
def _catalogue() -> Mapping[str, Device]:
    found: dict[str, Device] = {}
    for file in sorted(files(__package__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            found |= read(file.read_text(encoding="utf-8"))
    return found


def read(text: str) -> dict[str, Device]:
    """Name -> device, from the text of a file: see ``nvidia.toml`` for its form."""
    content = tomllib.loads(text)
    return {name: _device(name, entry, content["sources"]) for name, entry in content["devices"].items()}


def _device(name: str, entry: Mapping[str, Any], sources: Mapping[str, Any]) -> Device:
    return Device(
        name=name,
        title=entry["title"],
        sources={figure: tuple(_source(key, sources) for key in keys) for figure, keys in entry["sources"].items()},
        note=entry.get("note", ""),
        **{figure: _scaled(entry[figure], unit) for figure, unit in _UNITS.items() if figure in entry},
    )


def _source(key: str, sources: Mapping[str, Any]) -> Source:
    """``"lockwood@h100"``: the page ``h100`` of the source ``lockwood``."""
    key, _, page = key.partition("@")
    source = sources[key]
    return Source(
        title=source["title"],
        url=source["url"] + page,
        read=str(source["read"]),
        by=source["by"],
        via=source.get("via", ""),
    )


def _scaled(figure: Any, unit: int) -> Any:
    """A figure of a file in bytes, FLOP/s or bytes per second, all of which are whole."""
    if isinstance(figure, dict):
        return {dtype: float(round(peak * unit)) for dtype, peak in figure.items()}
    return round(figure * unit)
