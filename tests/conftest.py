"""Marks that follow from what a test uses."""

from __future__ import annotations

import os

import pytest
import torch
from checks.releases import working_transformers

if "PYTEST_XDIST_WORKER" in os.environ:  # processes share the cores, which threads of torch would fight for
    torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What opens a page in a browser is marked so."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What is told of a model of transformers is left out where that does not work with this torch."""
    given = getattr(item, "callspec", None)
    if given is not None and any(str(value).startswith("hf:") for value in given.params.values()):
        working_transformers()
