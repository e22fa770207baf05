"""What completes a configuration is of a model type that there is."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from checks.releases import working_transformers

from thoplw.models.hf.defaults import COMPLETE
from thoplw.models.hf.special import SPECIAL

transformers = working_transformers()


@pytest.mark.parametrize("table", [COMPLETE, SPECIAL], ids=["complete", "special"])
def test_every_row_is_of_a_model_type(table: Mapping[str, object]) -> None:
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    assert table
    assert [name for name in table if name not in known] == []
