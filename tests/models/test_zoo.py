"""A spread of the zoos: no error, nothing unpriced, and the multiply-accumulates that real execution confirmed."""

from __future__ import annotations

import warnings

import pytest
from checks.zoo import ESTIMATES, MACS, skip_without_package

import thoplw
from thoplw.models.registry import load


@pytest.mark.parametrize("name", MACS)
def test_model(name: str) -> None:
    skip_without_package(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # models warn of much that is none of our business
        loaded = load(name)
        macs, params, info = thoplw.profile(loaded.model, loaded.inputs, convention="macs", verbose=False)
    assert macs == MACS[name]
    assert (info.uncounted, bool(info.assumptions)) == ({}, name in ESTIMATES)
    assert (sum(row.macs for row in info), sum(row.params for row in info)) == (macs, params)
