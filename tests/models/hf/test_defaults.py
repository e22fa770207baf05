"""What completes a configuration is of a model type that there is."""

from __future__ import annotations

from checks.releases import working_transformers

from thoplw.models.hf.defaults import COMPLETE

transformers = working_transformers()


def test_every_row_is_of_a_model_type() -> None:
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    assert COMPLETE
    assert [name for name in COMPLETE if name not in known] == []
