"""A small draw of the module fuzzer: no difference but a listed one."""

from __future__ import annotations

from collections import Counter

import pytest
from checks.fuzz import KNOWN, Finding, examined, known
from checks.releases import since

SEEDS = 160


@since("2.1", "kernels lay some results out otherwise before")
def test_modules_drawn_at_random_run_abstractly_as_for_real() -> None:
    found = [examined(seed) for seed in range(SEEDS)]
    assert [finding for finding in found if finding.result not in ("equal", "refused") and known(finding) is None] == []
    assert Counter(finding.result for finding in found)["equal"] > 0.9 * SEEDS


@pytest.mark.parametrize("kind", KNOWN, ids=lambda kind: kind.name)
def test_a_listed_difference_is_known_by_what_it_is(kind: object) -> None:
    name, result, *_ = kind
    assert known(Finding(0, name, result)) is kind
    assert known(Finding(0, name, "shape (abstract)")) is None
