"""``thoplw check``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from checks.releases import since
from typer.testing import Result

Run = Callable[..., Result]
Write = Callable[..., str]


def test_limits_that_are_kept(run: Run) -> None:
    result = run("check", "resnet18", "--max-macs", "2G", "--max-params", "12M")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "1824010216" in result.stdout
    assert "11699112" in result.stdout


def test_a_broken_limit_is_exit_code_1_and_names_the_largest_layers(run: Run) -> None:
    result = run("check", "resnet18", "--max-macs", "1.8G", "--max-params", "12M")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: resnet18: MACs: 1824010216 (1.82 G) is 24010216 (24.01 M) more than the limit allows, "
        "which is 1800000000 (1.80 G)\n"
    )
    assert "conv1" in result.stdout
    assert "(all others)" in result.stdout


def test_a_limit_is_exact(run: Run) -> None:
    assert run("check", "resnet18", "--max-macs", "1824010216").exit_code == 0
    assert run("check", "resnet18", "--max-macs", "1824010215").exit_code == 1


NETS = """
def small(): return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4))
def large(): return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 6))
"""


@pytest.fixture
def baseline(run: Run, write: Write) -> str:
    """The name of the module whose ``small`` is the baseline, by contractions alone: 96 MACs."""
    name = write(NETS)
    run(
        "profile", f"{name}:small", "--input", "1,8", "--convention", "macs", "--kind", "json", "-o", "base.json"
    )  # fmt: skip
    return name


@pytest.mark.parametrize(("tolerance", "code"), [("0%", 1), ("16%", 1), ("17%", 0)])
def test_a_baseline(tolerance: str, code: int, baseline: str, run: Run) -> None:
    # 112 MACs, which is 16.7 % more; and 126 parameters against 108, which is 16.7 % more as well.
    result = run(
        "check", f"{baseline}:large", "--input", "1,8", "--baseline", "base.json", "--tolerance", tolerance
    )  # fmt: skip
    assert result.exit_code == code
    assert ("MACs: 112" in result.stderr) is bool(code)


def test_the_layers_that_grew(baseline: str, run: Run) -> None:
    result = run("check", f"{baseline}:large", "--input", "1,8", "--baseline", "base.json")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in result.stdout.splitlines()]
    assert ["1", "Linear", "32", "48", "+16"] in rows
    assert ["0", "Linear", "64", "64", "+0"] not in rows


def test_a_baseline_of_another_convention(baseline: str, run: Run) -> None:
    arguments = ("check", f"{baseline}:large", "--input", "1,8", "--baseline", "base.json")
    result = run(*arguments, "--convention", "flops")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: --convention flops: base.json was counted by macs, and figures of")
    assert "leave --convention out" in result.stderr


def test_github(baseline: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("# Before\n", encoding="utf-8")
    result = run("check", f"{baseline}:large", "--input", "1,8", "--baseline", "base.json", "--github")
    assert result.exit_code == 1
    annotations = [line for line in result.stdout.splitlines() if line.startswith("::")]
    assert len(annotations) == 2
    assert annotations[0].startswith(f"::error title=thoplw::{baseline}:large: MACs: 112 is 16 more than")
    summary = Path("summary.md").read_text(encoding="utf-8")
    assert summary.startswith(f"# Before\n### thoplw: {baseline}:large\n\n| Figure")
    assert "| 1            | Linear" in summary


def test_an_annotation_is_one_line(run: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from thoplw.cli.check import _escaped

    assert _escaped("50 %\r\nmore") == "50 %25%0D%0Amore"


def test_a_name_does_no_harm_in_a_job_summary(run: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    evil = "<img onerror=alert(1)>\n# `x`\x1b[31m.py"
    Path(write("class Net(nn.Linear):\n    def __init__(self): super().__init__(3, 3)") + ".py").rename(evil)
    result = run("check", f"./{evil}:Net", "--input", "1,3", "--max-macs", "1", "--github")
    (annotation,) = (line for line in result.stdout.split("\n") if line.startswith("::"))
    assert r"onerror=alert(1)>\n# `x`\x1b[31m.py:Net: MACs" in annotation
    (head, *_) = Path("summary.md").read_text(encoding="utf-8").split("\n")
    assert head == r"### thoplw: ./&lt;img onerror=alert(1)>\\n# \`x\`\\x1b\[31m.py:Net"


def test_github_without_a_summary(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    result = run("check", "resnet18", "--max-macs", "2G", "--github")
    assert result.exit_code == 0
    assert result.stderr == "thoplw: no job summary, as GITHUB_STEP_SUMMARY is not set\n"
    assert "::" not in result.stdout


def test_uncounted_operators_fail_unless_allowed(run: Run, write: Write) -> None:
    library = torch.library.Library("thoplw_check", "DEF")
    library.define("scan(Tensor x) -> Tensor")
    library.impl("scan", lambda x: torch.empty_like(x), "Meta")
    name = write("class Net(nn.Module):\n    def forward(self, x): return torch.ops.thoplw_check.scan(x)")
    arguments = ("check", f"{name}:Net", "--input", "1,3", "--max-macs", "1k")
    strict = run(*arguments)
    assert strict.exit_code == 1
    assert "the figures are too low, as these operators are not counted: thoplw_check.scan.default" in strict.stderr
    lenient = run(*arguments, "--allow-uncounted")
    assert (lenient.exit_code, lenient.stderr) == (0, "")
    assert "Not counted: thoplw_check.scan.default." in lenient.stdout


def test_assumptions_are_said(run: Run, write: Write) -> None:
    name = write("class Net(nn.Module):\n    def forward(self, x): return x[x > 0]")
    result = run("check", f"{name}:Net", "--input", "1,3", "--max-macs", "1k", "--github")
    assert result.exit_code == 0
    assert "Assumed: every candidate is kept" in result.stdout
    assert f"::warning title=thoplw::{name}:Net: Assumed: every candidate is kept" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet19", "--max-macs", "2G"], "unknown torchvision model 'resnet19'"),
        (["resnet18", "--baseline", "none.json"], "--baseline: cannot read none.json: No such file"),
        (["resnet18", "--baseline", "old.json"], "--baseline: old.json has schema 2, but this version of"),
        (["torch.nn:Identity", "--max-macs", "2G"], "torch.nn:Identity has no default inputs"),
        (["resnet18", "--max-macs", "2G", "--input", "1,4,9,9"], "RuntimeError: Given groups=1"),
    ],
)
def test_what_could_not_be_run_is_one_line_and_exit_code_2(arguments: list[str], message: str, run: Run) -> None:
    Path("old.json").write_text(json.dumps({"schema": 2}), encoding="utf-8")
    result = run("check", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["resnet18"], "nothing to check; add --max-macs, --max-params, --max-memory, --max or --baseline"),
        (["resnet18", "--max-macs", "2GB"], "'2GB' is not an amount"),
        (["resnet18", "--max-macs", "2G", "--convention", "mac"], "unknown convention 'mac'. Did you mean 'macs'?"),
        (["resnet18", "--max", "params=1", "--max-params", "2"], "params has two limits, 1 and 2"),
        (["resnet18", "--max-params", "0.5"], "'0.5' is not a whole number; write one, or a number with"),
        (["resnet18", "--max-macs", "2G", "--tolerance", "0.01"], "'0.01' is not a tolerance; write a percentage"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], message: str, run: Run) -> None:
    result = run("check", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_execute(run: Run, write: Write) -> None:
    name = write(
        "class Net(nn.Linear):\n    def __init__(self): super().__init__(3, 4)\n"
        "    def forward(self, x): return super().forward(x) if x.sum() == 0 else x"
    )
    arguments = ("check", f"{name}:Net", "--input", "1,3", "--max-macs", "16")
    without = run(*arguments)
    assert without.exit_code == 2
    assert without.stderr.endswith("--execute counts it on real tensors\n")
    assert run(*arguments, "--execute").exit_code == 0


def test_help(run: Run) -> None:
    assert "thoplw check resnet18 --max-macs 2G --max-params 12M" in run("check", "--help").stdout


def test_the_largest_size_that_keeps_the_limits(run: Run) -> None:
    result = run("check", "resnet18", "--max-macs", "100G", "--solve", "batch")
    assert (result.exit_code, result.stderr) == (0, "")
    largest = 100 * 10**9 // 1824010216
    assert f"The largest batch that keeps the limits is {largest}.\n" in result.stdout
    assert str(largest * 1824010216) in result.stdout
    result = run("check", "resnet18", "--max-macs", "1T", "--solve", "batch=1:10")
    assert "is 10, the end of the range (1 … 10)." in result.stdout


@since("2.4")
def test_the_largest_batch_that_fits_into_memory(run: Run) -> None:
    result = run("check", "resnet18", "--max-memory", "1GB", "--solve", "batch")
    # Weights and buffers, and for each picture itself and twice 64 maps of 112 x 112.
    largest = (10**9 - 46_796_608) // (4 * (3 * 224**2 + 2 * 64 * 112**2))
    assert f"The largest batch that keeps the limits is {largest}.\n" in result.stdout
    assert result.exit_code == 0


def test_no_size_keeps_the_limits(run: Run) -> None:
    result = run("check", "resnet18", "--max-macs", "1G", "--solve", "batch")
    assert result.exit_code == 1
    assert "No batch keeps the limits: macs is above 1000000000 for every batch: at batch=1 it is 1824010216.\n" in (
        result.stdout
    )


@pytest.mark.parametrize("more", [["--input", "1,3,9,9"], ["--execute"], ["--baseline", "base.json"]])
def test_solve_takes_limits_and_a_model_of_a_zoo(more: list[str], run: Run) -> None:
    result = run("check", "resnet18", "--max-macs", "1G", "--solve", "batch", *more)
    assert result.exit_code == 2
    assert "--solve takes one variable of a model of a zoo, and limits" in result.stderr


def test_a_limit_of_any_figure_counts(run: Run) -> None:
    result = run("check", "resnet18", "--max", "params=11699111", "--max", "macs=2G")
    assert result.exit_code == 1
    assert "Params: 11699112 (11.70 M) is 1 more than the limit allows" in result.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--solve", "seq"], "--solve: unknown variable of resnet18 'seq'. Known: batch, resolution"),
        (["--solve", "batch", "--seq", "4"], "--seq: unknown variable of resnet18 'seq'. Known: batch, resolution"),
        (["--convention", "6n", "--solve", "batch"], "in which it runs: batch=FIRST:LAST:STEP"),
    ],
)
def test_what_cannot_be_solved_for_is_said_by_its_option(more: list[str], message: str, run: Run) -> None:
    result = run("check", "resnet18", "--max-macs", "1G", *more)
    assert result.exit_code == 2
    assert message in result.stderr


def test_solve_builds_the_model_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    usual = torchvision.models.ResNet.__init__

    def counted(self: torchvision.models.ResNet, *args: Any, **options: Any) -> None:
        built.append(self)
        usual(self, *args, **options)

    monkeypatch.setattr(torchvision.models.ResNet, "__init__", counted)
    assert run("check", "resnet18", "--max-macs", "100G", "--solve", "batch").exit_code == 0
    assert len(built) == 1


def test_solve_names_no_option_that_check_has_not(run: Run) -> None:
    result = run("check", "torch.nn:Identity", "--max-memory", "1GB", "--solve", "batch")
    assert result.exit_code == 2
    assert "thoplw.formula(...).largest(...) takes a model of your own" in result.stderr
    assert "--vars" not in result.stderr


@pytest.mark.parametrize("forward", ["import sys; sys.exit(1)", "import os, signal; raise SystemExit(0)"])
def test_a_model_that_ends_the_process_is_no_verdict(forward: str, run: Run, write: Write) -> None:
    name = write(f"class Net(nn.Module):\n    def forward(self, x):\n        {forward}")
    result = run("check", f"{name}:Net", "--input", "1,3", "--max-macs", "1G")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: the code of the model ends the process, with sys.exit(")
