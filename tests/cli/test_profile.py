"""``thoplw profile``, and the command line as a whole: what is printed where, and which exit code ends it."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from checks.releases import working_transformers
from typer.testing import Result

import thoplw
from thoplw.pricing import CONVENTIONS
from thoplw.render import FORMATS, TABLES

Run = Callable[..., Result]
Write = Callable[..., str]


def resnet18(size: int = 224) -> tuple[torch.nn.Module, tuple[int, ...]]:
    with torch.device("meta"):
        return torchvision.models.resnet18(), (1, 3, size, size)


def test_the_main_job(run: Run) -> None:
    result = run("profile", "resnet18")
    _, _, layers = thoplw.profile(*resnet18())
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{layers.summary()}\n"


@pytest.mark.parametrize(
    ("kind", "fmt"),
    [(kind, fmt) for kind in FORMATS for fmt in ("raw", "grouped", "clever", "ratio")[: 4 if kind in TABLES else 1]],
)
def test_kinds_and_formats(kind: str, fmt: str, run: Run) -> None:
    _, _, layers = thoplw.profile(*resnet18())
    assert run("profile", "resnet18", "--kind", kind, "--fmt", fmt).stdout == f"{layers.summary(kind, fmt)}\n"


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_conventions(convention: str, run: Run) -> None:
    _, _, layers = thoplw.profile(*resnet18(), convention=convention)
    assert run("profile", "resnet18", "--convention", convention).stdout == f"{layers}\n"


def test_an_input_of_another_size(run: Run) -> None:
    _, _, layers = thoplw.profile(*resnet18(96))
    assert run("profile", "resnet18", "--input", "1,3,96,96").stdout == f"{layers}\n"


def test_several_inputs(run: Run, write: Write) -> None:
    name = write("class Net(nn.Bilinear):\n    def __init__(self): super().__init__(3, 4, 5)")
    result = run("profile", f"{name}:Net", "--input", "2,3", "--input", "2, 4", "--kind", "csv")
    _, _, layers = thoplw.profile(torch.nn.Bilinear(3, 4, 5), (torch.zeros(2, 3), torch.zeros(2, 4)))
    assert result.exit_code == 0
    assert list(csv.reader(result.stdout.splitlines()))[-1][2:] == ["3, 4", "5", str(layers.total_macs), "65"]


TAKES_NAMES = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.fc = nn.Embedding(10, 4), nn.Linear(4, 3)
    def forward(self, ids, mask=None, scale=None):
        x = self.embed(ids)
        if mask is not None: x = x[mask] if mask.all() else x[:0]
        return self.fc(x if scale is None else x * scale)
"""


@pytest.mark.parametrize(
    ("inputs", "macs"),
    [
        (["1,5:int64"], 5 * 3 * (4 + 1)),
        (["ids=1,5:int64"], 5 * 3 * (4 + 1)),
        (["scale=7,5,4:float16", "ids=1,5:int32"], 7 * 5 * 3 * (4 + 1)),
        (["ids=2,5:int64", "mask=2,5:bool"], 2 * 5 * 3 * (4 + 1)),  # true: all are kept
        (["scale=7,5,4", "1,5:int32", "1,5:bool"], 7 * 5 * 3 * (4 + 1)),  # ids and mask by their order
    ],
)
@pytest.mark.parametrize("execute", [[], ["--execute"]])
def test_inputs_by_name_and_dtype(inputs: list[str], macs: int, execute: list[str], run: Run, write: Write) -> None:
    typed = [part for text in inputs for part in ("--input", text)]
    result = run("profile", f"{write(TAKES_NAMES)}:Net", *typed, *execute, "--kind", "csv")
    assert (result.exit_code, result.stdout.splitlines()[-1].split(",")[-2:]) == (0, [str(macs), "55"])


@pytest.mark.parametrize("name", ["resnet18", "timm:resnet18", "hf:bert"])
def test_a_batch_of_a_zoo_scales_the_total(name: str, run: Run) -> None:
    def macs(*options: str) -> int:
        return int(run("profile", name, "--kind", "csv", *options).stdout.splitlines()[-1].split(",")[-2])

    assert macs("--batch", "3") == 3 * macs()


def test_execute_runs_a_model_of_a_zoo_for_real(run: Run) -> None:
    assert run("profile", "resnet18", "--execute").stdout == run("profile", "resnet18").stdout


def test_format_is_another_name_of_kind(run: Run) -> None:
    assert run("profile", "resnet18", "--format", "md").stdout == run("profile", "resnet18", "--kind", "md").stdout


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--depth", "1"], {"depth": 1}),
        (["--columns", "name,flops,share"], {"columns": ["name", "flops", "share"]}),
        (["--sort", "params", "--top", "3"], {"sort": "params", "top": 3}),
        (["--cumulative"], {"own": False}),
        (["--own"], {}),
    ],
)
def test_what_a_table_shows(arguments: list[str], options: dict[str, Any], run: Run) -> None:
    _, _, layers = thoplw.profile(*resnet18())
    assert run("profile", "resnet18", *arguments).stdout == f"{layers.summary(**options)}\n"


def test_json_has_exact_figures(run: Run) -> None:
    document = json.loads(run("profile", "resnet18", "--kind", "json").stdout)
    assert (document["totals"]["macs"], document["totals"]["params"]) == (1824010216, 11699112)


@pytest.mark.parametrize("option", ["-o", "--output"])
def test_a_file_takes_the_table(option: str, run: Run) -> None:
    result = run("profile", "resnet18", option, "table.md", "--kind", "md")
    _, _, layers = thoplw.profile(*resnet18())
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert Path("table.md").read_text(encoding="utf-8") == f"{layers.summary('md')}\n"


@pytest.mark.parametrize(
    ("name", "begins"),
    [("table.md", "| Name"), ("table.csv", "Name,Class"), ("data.json", "{"), ("page.HTML", "<!doctype"), ("raw", "|")],
)
def test_the_name_of_a_file_chooses_the_format(name: str, begins: str, run: Run) -> None:
    assert run("profile", "resnet18", "-o", name).exit_code == 0
    assert Path(name).read_text(encoding="utf-8").lower().startswith(begins.lower())


@pytest.mark.parametrize(
    ("arguments", "endings"),
    [
        (["profile", "resnet18", "-o", "x.png"], ".speedscope.json"),
        (["diff", "resnet18", "resnet34", "-o", "x.html"], ".csv, .json, .log, .md, .tex, .txt;"),
        (["compare", "resnet18", "-o", "x.svg"], ".csv"),
    ],
)
def test_a_name_that_stands_for_no_format_is_refused(arguments: list[str], endings: str, run: Run) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "stands for no format" in result.stderr
    assert endings in " ".join(result.stderr.replace("│", "").split())
    assert not Path(arguments[-1]).exists()


def test_what_never_ran_is_said_once(run: Run) -> None:
    text = run("profile", "googlenet")
    assert (text.stdout.count("Never ran: aux1"), text.stderr) == (1, "")
    table = run("profile", "googlenet", "--kind", "csv")
    assert ("Never ran" in table.stdout, table.stderr.count("Never ran: aux1")) == (False, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet19"], "unknown torchvision model 'resnet19'. Did you mean 'resnet1"),
        (["timm:resnet19"], "unknown timm model 'resnet19'. Did you mean 'resnet1"),
        (
            ["torch.nn:ReLU", "--input", "y=1,3"],
            "--input: missing a required argument: 'input'; the forward of ReLU takes",
        ),
        (
            ["torch.nn:ReLU", "--input", "1", "--input", "2"],
            "--input: too many positional arguments; the forward of ReLU",
        ),
        (["no_such_package:build"], "unknown zoo or Python module 'no_such_package'."),
        (["resnet18", "--input", "1,4,224,224"], "RuntimeError: Given groups=1"),
        (
            ["torch.nn:Identity"],
            "torch.nn:Identity has no default inputs: add --input for each input of its forward (input), as in "
            "--input 1,3,224,224",
        ),
        (["torch.nn:Linear"], "torch.nn:Linear cannot be called without arguments (missing a required argument: 'in_f"),
        (["resnet18", "--input", "x=1,3,224,224", "--input", "x=1,3"], "--input: 'x' is given more than once"),
        (
            ["resnet18", "--input", "9,999999999,999999999,999999999"],
            "--input: torch cannot make a tensor 9,999999999,99",
        ),
        (
            ["resnet18", "--input", "99999999999999999999"],
            "--input: torch cannot make a tensor 99999999999999999999:float32",
        ),
        (["resnet18", "--input", "1,3:uint3"], "--input: torch cannot make a tensor 1,3:uint3; give another"),
        (["model.pt"], "model.pt is a file of weights"),
        (["mynet.Kw"], "mynet.Kw is not a model of torchvision; for Kw in the Python module mynet write mynet:Kw"),
        (["./mynet.py:Kw"], "there is no file mynet.py, and no other Python file in its folder"),
        (["resnet18", "--input", "1,3,224,224", "--batch", "2"], "--input already sets the shape that --batch would"),
        (["resnet18", "--seq", "4"], "--seq: only for hf: models"),
        (["torch.nn:Identity", "--batch", "4"], "--batch: only for models of a zoo"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(arguments: list[str], message: str, run: Run) -> None:
    result = run("profile", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_an_unknown_module_is_told_where_modules_lie(run: Run) -> None:
    said = run("profile", "no_such_package:build").stderr
    assert said.endswith(" known names is similar: a module must be installed, or lie in this folder\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise SystemExit(0)", "written_for_cli cannot be imported (SystemExit: 0); make `python -c "),
        ("def build(): raise KeyError('mine')", "KeyError: 'mine'"),
        ("def build(): assert False", "AssertionError; raised in written_for_cli:build\n"),
        ("import sys\ndef build(): sys.exit(1)", "written_for_cli:build ends the process, with sys.exit(1)"),
    ],
)
def test_a_mistake_in_the_module_of_the_user(text: str, message: str, run: Run, write: Write) -> None:
    result = run("profile", f"{write(text)}:build")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("package", "name"), [("torchvision", "resnet18"), ("timm", "timm:resnet18")])
def test_a_missing_zoo(package: str, name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = run("profile", name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(f"pip install {package}\n")


def test_an_operator_without_a_price(run: Run, write: Write) -> None:
    library = torch.library.Library("thoplw_cli", "DEF")
    library.define("scan(Tensor x) -> Tensor")
    library.impl("scan", lambda x: torch.empty_like(x), "Meta")
    name = write("class Net(nn.Module):\n    def forward(self, x): return torch.ops.thoplw_cli.scan(x)")
    lenient = run("profile", f"{name}:Net", "--input", "1,3")
    assert (lenient.exit_code, lenient.stderr) == (0, "")
    assert "Not counted: thoplw_cli.scan" in lenient.stdout
    strict = run("profile", f"{name}:Net", "--input", "1,3", "--strict")
    assert (strict.exit_code, strict.stdout) == (1, "")
    assert strict.stderr.startswith("error: Not counted: thoplw_cli.scan")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["profile"], "Missing argument"),
        (
            ["profile", "resnet18", "--input", "1,3,x"],
            "'1,3,x' is not a shape; write sizes with commas, as in 1,3,224,224",
        ),
        (["profile", "resnet18", "--input", ""], "'' is not a shape"),
        (["profile", "resnet18", "--input", "x=1,y"], "'x=1,y' is not a shape"),
        (["profile", "resnet18", "--input", "=1,3"], "'' cannot be the name of an argument"),
        (["profile", "resnet18", "--input", "1,3:int46"], "unknown dtype 'int46'. Did you mean"),
        (["profile", "resnet18", "--batch", "0"], "--batch"),
        (["profile", "resnet18", "--kind", "texd"], "unknown kind 'texd'. Did you mean 'text'"),
        (["profile", "resnet18", "--fmt", "cleverr"], "unknown fmt 'cleverr'. Did you mean 'clever'?"),
        (["profile", "resnet18", "--convention", "mac"], "unknown convention 'mac'. Did you mean 'macs'?"),
        (["profile", "resnet18", "--columns", "name,mac"], "unknown column 'mac'. Did you mean"),
        (["profile", "resnet18", "--sort", "macz"], "unknown sort 'macz'. Did you mean 'macs'?"),
        (
            ["profile", "resnet18", "--top", "1", "--sort", "name"],
            "--top shows the largest layers: sort by a number, such as --sort params, not",
        ),
        (
            ["profile", "resnet18", "--top", "1", "--cumulative"],
            "--top with --cumulative would count a module inside another one twice: leave one of them out, or give "
            "--depth to",
        ),
        (
            ["profile", "resnet18", "--kind", "json", "--top", "1"],
            "takes only --depth; --fmt, --columns, --sort, --top and --cumulative work only with",
        ),
        (
            ["profile", "resnet18", "--kind", "tree", "--sort", "macs"],
            "--sort, --top and --cumulative work only with csv, latex, md, text; use --depth for a smaller tree",
        ),
        (["profile", "resnet18", "--input", "1,-3"], "'1,-3' is not a shape"),
        (["profile", "resnet18", "resnet34"], "unexpected extra argument"),
        (["profile", "resnet18", "--knid", "md"], "No such option: --knid"),
        (["porfile", "resnet18"], "No such command 'porfile'"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], message: str, run: Run) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.replace("│", "").split())


def test_help(run: Run) -> None:
    assert "profile" in run("--help").stdout
    text = run("profile", "--help").stdout
    for word in ("--input", "--output", "-o", "--strict", "raw", "clever", "ratio", *FORMATS, *CONVENTIONS):
        assert word in text
    assert "thoplw profile timm:vit_base_patch16_224 --fmt clever" in text


@pytest.mark.parametrize("command", ["profile", "compare", "diff", "check", "models", "survey"])
def test_help_is_readable_at_80_columns(command: str) -> None:
    environment = {**os.environ, "TERMINAL_WIDTH": "80", "NO_COLOR": "1"}
    shown = [sys.executable, "-m", "thoplw", command, "--help"]
    text = subprocess.run(shown, env=environment, capture_output=True, text=True, check=True).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"<(bool|str|list)", text)
    assert not re.search(r"\[\[|\.\.\.\}|\]\.\.\.\]", text)  # [[WORDS]...]
    assert "BOOLEAN" not in text
    # What an option does has at least half of the line, and its name is never broken.
    starts = [len(line) - len(line.lstrip("│ ")) for line in text.splitlines() if re.match(r"│ {30,}\w", line)]
    assert max(starts, default=0) <= 44
    if command != "models":
        assert "─ Counting ─" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["profile", "resnet18", "--input", "1,3,8,8", "--kind", "texd"],
        ["profile", "resnet18", "--fmt", "cleverr"],
        ["profile", "resnet18", "--columns", "name,mac"],
        ["profile", "resnet18", "--sort", "macz"],
        ["profile", "resnet18", "--top", "1", "--sort", "name"],
        ["profile", "resnet18", "--kind", "json", "--fmt", "clever"],
        ["profile", "resnet18", "--convention", "mac"],
        ["profile", "resnet18", "-o", "."],
        ["profile", "resnet18", "-o", "no/such/folder"],
        ["profile", "resnet18", "--columns", "name,floor"],
        ["profile", "resnet18", "--on", "h100-sxm", "--dtype", "int32"],
        ["profile", "resnet18", "--execute", "--sort", "peak"],
        ["train", "resnet18", "--sort", "floor"],
        ["train", "resnet18", "--clip", "0"],
        ["train", "resnet18", "--optimizer", "sgdd"],
        ["memory", "resnet18", "--optimizer", "adamv"],
        ["check", "resnet18", "--max-macs", "1G", "--solve", "batch=0:4"],
        ["survey", "resnet18", "--scheduler", "cluster"],
        ["train", "resnet18", "--scaler"],
        ["memory", "resnet18", "--device", "cuda"],
        ["generate", "hf:gpt2", "--kv-dtype", "fp9"],
        ["generate", "hf:gpt2", "--on", "rtx-3090", "--dtype", "fp8"],
        ["measure", "resnet18", "--device", "abacus"],
        ["measure", "resnet18", "--sort", "floor"],
        ["measure", "resnet18", "--kind", "json", "--top", "3"],
        ["mfu", "resnet18", "--seconds", "nan", "--device", "h100-sxm"],
        ["mfu", "resnet18", "--seconds", "1", "--device", "h100-sxm", "--dtype", "int32"],
        ["check", "resnet18", "--max-macs", "1G", "--convention", "mac"],
        ["check", "resnet18", "--max-macs", "1G", "--tolerance", "1%"],
        ["check", "resnet18", "--max-macs", "1G", "--solve", "batch", "--batch", "3"],
        ["check", "resnet18", "--max-memory", "1GB", "--execute"],
        ["formula", "resnet18", "--plot", "cost.txt"],
        ["formula", "resnet18", "--depth", "1", "--kind", "json"],
        ["formula", "resnet18", "--input", "B,3,32,32"],
        ["devices", "--measure", "abacus"],
        ["survey", "resnet18", "-o", "zoo.xlsx"],
        ["survey", "resnet18", "-o", "no/such/folder/zoo.csv"],
        ["compare", "resnet18", "--conventions", "macs,fvcor"],
        ["compare", "resnet18", "--explain", "macs", "tho"],
        ["compare", "resnet18", "--fmt", "ratio"],
        ["diff", "resnet18", "resnet34", "--kind", "html"],
    ],
)
def test_wrong_usage_is_refused_before_torch_is_imported(arguments: list[str]) -> None:
    code = "import sys; from thoplw.cli import main; sys.modules['torch'] = None; main(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Invalid value" in done.stderr


def test_errors_name_the_options_of_the_command_line(run: Run, write: Write) -> None:
    name = write("class Net(nn.Module):\n    def forward(self, x): return x if x.sum() > 0 else -x")
    result = run("profile", f"{name}:Net", "--input", "1,3")
    assert result.exit_code == 1
    assert result.stderr.endswith("--execute counts it on real tensors\n")


def test_what_a_model_says_is_left_as_it_is(run: Run, write: Write) -> None:
    name = write("def build(): raise ValueError('depth=3 is odd\\x1b[31m\\a')")
    assert (
        run("profile", f"{name}:build").stderr
        == f"error: ValueError: depth=3 is odd\\x1b[31m\\x07; raised in {name}:build\n"
    )


def test_who_types_a_model_for_a_command_is_told(run: Run) -> None:
    result = run("resnet18")
    assert result.exit_code == 2
    assert "For a model write: thoplw profile resnet18" in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("command", [(), ("profile",), ("survey",)])
def test_a_short_option_shows_the_help_too(command: tuple[str, ...], run: Run) -> None:
    assert run(*command, "-h").stdout == run(*command, "--help").stdout
    assert not re.search(r"<(bool|str|list)", run(*command, "-h").stdout)


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"thoplw {thoplw.__version__}\n"


# -- as a process of its own ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_modules_in_the_current_folder_are_found_from_a_script_elsewhere(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "thoplw"
    script.parent.mkdir()
    script.write_text("from thoplw.cli import main\nmain()\n", encoding="utf-8")
    (tmp_path / "mine.py").write_text("import torch\ndef build(): return torch.nn.Linear(3, 4)\n", encoding="utf-8")
    command = [sys.executable, str(script), "profile", "mine:build", "--input", "1,3", "--kind", "csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "Total,Linear,3,4,16,16"


@pytest.mark.parametrize("command", [["-m", "thoplw"], ["-c", "from thoplw.cli import main; main()"]])
def test_code_in_a_folder_with_a_configuration_never_runs(command: list[str], tmp_path: Path) -> None:
    working_transformers()
    for name in ("torch", "scipy", "sklearn", "PIL", "mine"):
        (tmp_path / f"{name}.py").write_text(f"open('{name}.ran', 'w')", encoding="utf-8")
    config = {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    flags = [] if command[0] == "-m" else ["-P"]  # as a script, which has its own folder in front
    done = subprocess.run(
        [sys.executable, *flags, *command, "profile", "hf:.", "--kind", "csv"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, list(tmp_path.glob("*.ran"))) == (0, [])


def test_help_and_completion_do_not_wait_for_torch() -> None:
    code = "import sys, thoplw.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_a_reader_that_goes_away_gets_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "thoplw", "profile", "resnet18"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_tree_has_colours_for_who_looks_at_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run("profile", "resnet18", "--kind", "tree", "--depth", "1")
    monkeypatch.setattr(sys.modules["thoplw.cli.profile"], "is_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    drawn = run("profile", "resnet18", "--kind", "tree", "--depth", "1")
    assert (plain.exit_code, drawn.exit_code) == (0, 0)
    assert "layer1" in plain.stdout
    assert "layer1" in drawn.stdout
    assert "\x1b[" not in plain.stdout
    assert "\x1b[" in drawn.stdout


@pytest.fixture
def look(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command as on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("check", "profile", "compare", "diff", "survey"):
        monkeypatch.setattr(sys.modules[f"thoplw.cli.{command}"], "is_terminal", lambda: True)
    return run


def test_a_table_fits_the_terminal_and_ends_with_totals(look: Run) -> None:
    lines = look("profile", "resnet18").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].split() == ["conv1", "Conv2d", "3x224x224", "64x112x112", "118.01", "M", "9.41", "K"]
    assert lines[3].endswith("  3.21 M       256")
    # 11,689,512 of all are weights and biases; the rest are the statistics of the norms, of two numbers a channel more.
    assert lines[-1] == "1.82 GMACs, 3.64 GFLOPs, 11.70 M parameters (11.69 M trainable), 46.8 MB"


def test_a_table_that_fits_has_whole_figures(look: Run) -> None:
    lines = look("profile", "resnet18", "--depth", "1", "--columns", "name,macs,params").stdout.splitlines()
    assert lines[2].split() == ["conv1", "118,013,952", "9,408"]
    assert lines[-3].split() == ["Total", "1,824,010,216", "11,699,112"]


@pytest.mark.parametrize("fmt", ["raw", "ratio", "clever", "grouped"])
def test_a_format_that_is_asked_for_is_shown_on_a_terminal(fmt: str, look: Run) -> None:
    lines = look("profile", "resnet18", "--columns", "name,macs", "--fmt", fmt).stdout.splitlines()
    expected = {"raw": "118013952", "ratio": "6.47 %", "clever": "118.01 M", "grouped": "118,013,952"}[fmt]
    assert lines[2].split(maxsplit=1) == ["conv1", expected]


@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "resnet18"],
        ["compare", "resnet18", "--explain", "thop", "macs", "--by-layer"],
        ["diff", "resnet18", "resnet34"],
        ["check", "resnet18", "--max-macs", "2G"],
    ],
)
def test_other_tables_fit_the_terminal_too(arguments: list[str], look: Run) -> None:
    result = look(*arguments)
    table = result.stdout.split("\n\n")[0]
    assert result.exit_code == 0
    assert max(map(len, table.splitlines())) <= 80
    assert "1.81 G" in result.stdout or "1.82 G" in result.stdout or "9.92 M" in result.stdout


def test_a_diff_leaves_room_for_classes(look: Run) -> None:
    lines = look("diff", "resnet18", "resnet34").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[4].split()[:2] == ["layer1.2.bn1", "BatchNorm2d"]


def test_a_check_is_as_readable_as_other_tables(look: Run) -> None:
    result = look("check", "resnet18", "--max-macs", "1G", "--max-params", "12M")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert ["MACs", "1.82", "G", "1.00", "G", "limit", "-824.01", "M", "NO"] in lines
    assert ["conv1", "Conv2d", "118.01", "M"] in lines


def test_on_a_terminal_a_file_gets_the_text_as_ever(look: Run) -> None:
    _, _, layers = thoplw.profile(*resnet18())
    assert look("profile", "resnet18", "-o", "table.txt").stdout == ""
    assert Path("table.txt").read_text(encoding="utf-8") == f"{layers.summary()}\n"
