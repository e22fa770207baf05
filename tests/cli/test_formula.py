"""``thoplw formula``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from checks.releases import since
from typer.testing import Result

Run = Callable[..., Result]
Write = Callable[..., str]

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(8, 24)
    def forward(self, x): return self.up(x), x @ x.mT
"""
OWN = ("--vars", "B=1:8,S=1:64", "--input", "B,S,8", "--convention", "macs")


def test_a_model_of_the_zoo(run: Run) -> None:
    result = run("formula", "resnet18", "--vars", "batch,resolution=32:512:32", "--convention", "macs")
    assert (result.exit_code, result.stderr) == (0, "")
    # of the convolutions 1,813,561,344 MACs at 224 x 224, and 512,000 of the layer at the end
    assert f"{1813561344 // 49 // 1024}*batch*resolution^2 + 512000*batch" in result.stdout
    assert "Holds for batch = 1 … 64, resolution = 32, 64 … 512: fitted to " in result.stdout


def test_your_own_model(run: Run, write: Write) -> None:
    result = run("formula", f"{write(NET)}:Net", *OWN)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in result.stdout.splitlines()]
    assert ["MACs", "8*B*S^2 + 192*B*S"] in rows
    assert ["Params", "216"] in rows


def test_modules_and_formats(run: Run, write: Write) -> None:
    name = f"{write(NET)}:Net"
    assert "| up      | 192*B*S" in run("formula", name, *OWN, "--depth", "1").stdout
    assert "| MACs        | 192*B*S" in run("formula", name, *OWN, "--module", "up").stdout
    assert r"\mathrm{MACs} &= 8 B S^{2} + 192 B S" in run("formula", name, *OWN, "--kind", "latex").stdout
    python = run("formula", name, *OWN, "--kind", "python")
    assert "        return 8*B*S**2 + 192*B*S\n" in python.stdout
    assert python.stderr.startswith("thoplw: Holds for B = 1 … 8, S = 1 … 64: fitted to ")
    document = json.loads(run("formula", name, *OWN, "--kind", "json").stdout)
    assert document["figures"]["params"]["pieces"][0]["terms"] == [{"coefficient": "216", "powers": {}}]
    assert "MACs,8*B*S^2 + 192*B*S" in run("formula", name, *OWN, "--kind", "csv").stdout.splitlines()


def test_a_plot(run: Run, write: Write) -> None:
    result = run("formula", f"{write(NET)}:Net", *OWN, "--plot", "cost.svg")
    assert result.exit_code == 0
    assert "<svg" in Path("cost.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["resnet18", "--vars", "batch,seq"],
            "error: --vars: unknown variable of resnet18 'seq'. Known: batch, resolution",
        ),
        (["resnet19"], "unknown torchvision model 'resnet19'"),
        (["vgg11", "--vars", "resolution=8:64"], "the model cannot run at resolution=8: RuntimeError"),
        (["torch.nn:Identity"], "torch.nn:Identity has no default inputs"),
        (["torch.nn:Identity", "--vars", "B=1:3", "--input", "B,4"], "error: B has only 3 sizes (1 … 3): "),
        (["torch.nn:Identity", "--vars", "B=1:9,S=1:9", "--input", "B,4"], "use S in --input, or leave it out"),
        (
            ["resnet18", "--vars", "batch=4,resolution=64", "--module", "layer9"],
            "--module: unknown module 'layer9'. Did",
        ),
    ],
)
def test_what_has_no_formula_is_told_on_one_line(arguments: list[str], message: str, run: Run) -> None:
    result = run("formula", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet18", "--vars", "batch=1-9"], "'batch=1-9' is no variable; write a name, with its first and last size"),
        (["resnet18", "--vars", "batch=9:1"], "'batch=9:1' is no variable"),
        (["resnet18", "--vars", "batch,batch"], "'batch' is no variable"),
        (["resnet18", "--vars", "batch=1:9:0"], "'batch=1:9:0' is no variable"),
        (["resnet18", "--kind", "tree"], "unknown kind 'tree'"),
        (["torch.nn:Identity", "--input", "B,4"], "--input goes with its variables, as in"),
        (
            ["torch.nn:Identity", "--vars", "B", "--input", "B,4"],
            "'--vars': B has no sizes: with --input, give the first and the last, as in B=1:64",
        ),
        (["torch.nn:Identity", "--vars", "B=1:9", "--input", "b,4"], "'--input': unknown variable in b,4: 'b'"),
        (["torch.nn:Identity", "--vars", "B=1:9", "--input", "B,4:int46"], "'--input': unknown dtype 'int46'"),
        (["resnet18", "--plot", "none/cost.svg"], "'--plot': cannot write none/cost.svg: there is no folder none"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, run: Run) -> None:
    result = run("formula", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_no_formula_comes_with_the_runs(run: Run) -> None:
    """Below 32 a map is halved to nothing, at each size in another place."""
    result = run("formula", "resnet18", "--vars", "resolution=1:20,batch=1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "error: no polynomial, of a degree of 6 in each variable or less, gives the macs of"
    )
    assert "| resolution   | batch   | macs     |" in result.stderr


def test_help(run: Run) -> None:
    assert "thoplw formula hf:llama --vars batch,seq" in run("formula", "--help").stdout


@since("2.4")
def test_the_formula_of_the_peak_is_shown_where_it_is_asked_for(run: Run, write: Write) -> None:
    source = write(NET)
    assert "Peak" not in run("formula", f"{source}:Net", *OWN).stdout
    # Weights, the input, a row of 24 for each of its rows, and the products of all rows.
    result = run("formula", f"{source}:Net", *OWN, "--memory")
    assert f"{4}*B*S^2 + {4 * (8 + 24)}*B*S + {4 * (8 * 24 + 24)}" in result.stdout


def test_memory_that_no_table_would_show_is_refused(run: Run) -> None:
    result = run("formula", "resnet18", "--memory", "--depth", "1")
    assert result.exit_code == 2
    assert "for the peak of one, give --memory with --module" in " ".join(result.stderr.replace("│", "").split())
