"""What tests need to know of the release of torch that they run with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

#: Which release of torch this is, such as ``(2, 4)``.
RELEASE = tuple(int(part) for part in torch.__version__.split(".")[:2])


def older(release: str) -> bool:
    """Whether torch is older than a release such as ``"2.4"``."""
    return tuple(int(part) for part in release.split(".")) > RELEASE


def since(release: str, why: str = "") -> pytest.MarkDecorator:
    """Mark a test of something that torch has since a release, or does right since then."""
    return pytest.mark.skipif(older(release), reason=f"needs torch {release}{why and f': {why}'}")


def file_since(release: str) -> None:
    """Pass over a whole file of tests, before it imports what torch has since a release."""
    if older(release):
        pytest.skip(f"needs torch {release}", allow_module_level=True)


@contextmanager
def plain_attention_layers() -> Iterator[None]:
    """Have attention layers run without the fast path, which runs a whole encoder layer in one kernel."""
    if older("2.3"):  # there is no switch, but tensors with functions of their own do not take the path
        torch.overrides.has_torch_function = _true_in_attention_layers
        try:
            yield
        finally:
            torch.overrides.has_torch_function = _HAS_TORCH_FUNCTION
        return
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def has_fast_path() -> bool:
    """Whether attention layers may take it."""
    if older("2.3"):
        return torch.overrides.has_torch_function is _HAS_TORCH_FUNCTION
    return bool(torch.backends.mha.get_fastpath_enabled())


_HAS_TORCH_FUNCTION = torch.overrides.has_torch_function


def _true_in_attention_layers(tensors: Any) -> bool:
    asks = sys._getframe(1).f_globals["__name__"]
    return asks in ("torch.nn.modules.activation", "torch.nn.modules.transformer") or _HAS_TORCH_FUNCTION(tensors)


def working_transformers() -> Any:
    """The package transformers; the test, or its file, is left out where there is none that works with this torch."""
    transformers = pytest.importorskip("transformers")
    if not transformers.is_torch_available():
        pytest.skip(f"transformers {transformers.__version__} needs a newer torch", allow_module_level=True)
    return transformers
