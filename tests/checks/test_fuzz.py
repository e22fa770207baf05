"""A small draw of the module fuzzer: no difference."""

from __future__ import annotations

from collections import Counter

from checks.fuzz import examined
from checks.releases import since

SEEDS = 160


@since("2.1", "kernels lay some results out otherwise before")
def test_modules_drawn_at_random_run_abstractly_as_for_real() -> None:
    found = [examined(seed) for seed in range(SEEDS)]
    assert [finding for finding in found if finding.result not in ("equal", "refused")] == []
    assert Counter(finding.result for finding in found)["equal"] > 0.9 * SEEDS
