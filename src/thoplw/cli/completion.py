"""Complete names of models in the shell, from a file made at first use, as the shell asks at every key press."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import redirect_stderr, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: Packages that the names come from: a new version of one has other names.
ZOOS = ("timm", "torchvision", "transformers")


def model_names(incomplete: str) -> list[str]:
    """The names of models that begin with the typed text."""
    return [name for name in _names() if name.startswith(incomplete)]


def cache() -> Path:
    """The file of all names, for the versions of the zoos that are installed."""
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    versions = " ".join(f"{zoo} {_version(zoo)}" for zoo in ZOOS)
    return Path(home, "thoplw", f"models-{hashlib.sha256(versions.encode()).hexdigest()[:16]}.txt")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _names() -> list[str]:
    with suppress(OSError):
        return cache().read_text(encoding="utf-8").splitlines()
    from thoplw.errors import MissingExtraError
    from thoplw.models.registry import available

    names: list[str] = []
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere), suppress(MissingExtraError):
        names, _ = available()
    with suppress(OSError):  # Without a file, the next press takes as long.
        path = cache()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            file.write("".join(f"{name}\n" for name in names))
        Path(file.name).replace(path)
    return names
