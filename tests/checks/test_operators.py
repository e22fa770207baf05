"""A small draw of the operators that PyTorch tests; ``tools/operators.py`` tries them all."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the import below needs
import random
import re
from pathlib import Path

import pytest
from checks.releases import file_since

pytest.importorskip("expecttest")
file_since("2.14")  # samples of other releases differ

from checks import operators

PAGE = (Path(__file__).parents[2] / "benchmarks" / "operators.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("operator", random.Random(0).sample(operators.operators(), 40), ids=" ".join)
def test_results_are_equal(operator: tuple[str, str]) -> None:
    line = operators.tried(*operator)
    wrong = [note for note in line.notes if not note.endswith(operators.META) and not note.startswith("refused")]
    assert wrong == []


@pytest.mark.parametrize(
    ("operator", "note"),
    [
        (("equal", ""), "refused, as values decide: aten.equal.default"),
        (("to_sparse", ""), "refused: aten._to_sparse.default has no meta kernel"),
    ],
)
def test_differences_are_found_and_worded(operator: tuple[str, str], note: str) -> None:
    assert note in operators.tried(*operator).notes


def test_the_page_lists_every_operator() -> None:
    listed = set(re.findall(r"^\| `(.*?)` \|", PAGE, re.MULTILINE))
    known = {" ".join(each).strip() for each in operators.operators()}
    assert listed <= known
    assert len(known - listed) < 15  # of which there are no samples for the CPU
