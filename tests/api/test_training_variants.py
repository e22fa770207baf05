"""Ways to train: counted without running, and multiplied out by the oracle while really running."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the imports below name
from checks.releases import file_since

file_since("2.5")

import pytest
from checks.training_oracle import training_macs
from checks.training_variants import VARIANTS, total

import thoplw


@pytest.mark.filterwarnings("ignore")  # torch's own, about ways that it thinks old
@pytest.mark.parametrize("name", VARIANTS)
def test_every_phase_is_what_the_oracle_counts(name: str) -> None:
    variant = VARIANTS[name]
    model, inputs = variant.build()
    report = thoplw.profile_training(model, inputs, loss=total, verbose=False, **variant.options)
    expected = training_macs(lambda: variant.step(model, inputs), second_order=variant.second_order)
    assert report.by_phase() == expected
    assert not report.uncounted


def test_there_are_many() -> None:
    assert len(VARIANTS) >= 60
