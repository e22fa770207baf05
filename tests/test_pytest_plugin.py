"""The fixture for pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from torch import nn

from thoplw.errors import InputError
from thoplw.pytest_plugin import within

ROOT = Path(__file__).parents[1]


def test_a_budget_that_is_kept_gives_the_profile() -> None:
    assert within(nn.Linear(10, 20, bias=False), (1, 10), macs="0.2k", params=200).total_macs == 200


def test_a_broken_budget_fails_and_names_the_layers() -> None:
    with pytest.raises(pytest.fail.Exception) as caught:
        within(nn.Sequential(nn.Linear(10, 20, bias=False)), (1, 10), macs=199)
    assert "MACs: 200 is 1 more than the limit allows, which is 199" in str(caught.value)
    assert "| 0            | Linear" in str(caught.value)


def test_a_budget_without_a_limit() -> None:
    with pytest.raises(InputError, match="a budget needs a limit"):
        within(nn.Linear(1, 1), (1, 1))


@pytest.mark.slow
def test_in_a_run_of_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_cost.py").write_text(
        "import sys\n"
        "def test_pytest_starts_without_torch(): assert 'torch' not in sys.modules\n"
        "def test_kept(thoplw_budget):\n"
        "    from torch import nn\n"
        "    thoplw_budget(nn.Linear(3, 4), (1, 3), macs='1k')\n"
        "def test_broken(thoplw_budget):\n"
        "    from torch import nn\n"
        "    thoplw_budget(nn.Linear(3, 4), (1, 3), params=15)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-p", "thoplw.pytest_plugin", "-p", "no:cacheprovider", "test_cost.py"]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert "1 failed, 2 passed" in done.stdout
    assert "Params: 16 is 1 more than the limit allows, which is 15" in done.stdout


def test_the_entry_point_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    name = text.partition('[project.entry-points.pytest11]\nthoplw = "')[2].partition('"')[0]
    assert find_spec(name) is not None
