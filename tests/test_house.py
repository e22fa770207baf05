"""Rules of the house that a tool can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from checks.releases import since

import thoplw
from thoplw.formulas import FORMULAS
from thoplw.pricing import CONVENTIONS
from thoplw.render import FORMATS
from thoplw.shapes import RULES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


#: Registered where torch lacks what it stands in for.
ELSEWHERE = {"transformers.grouped_mm_fallback"}


def is_operator(target: str) -> bool:
    library, _, name = target.partition(".")
    packets = getattr(torch.ops, library)
    name, _, overload = name.partition(".")
    packet = getattr(packets, name, None) or getattr(packets, f"{name}_", None)
    return packet is not None and (not overload or overload in packet.overloads())


@since("2.14")
@pytest.mark.parametrize("table", [FORMULAS, RULES, *(each.operators for each in CONVENTIONS.values())])
def test_every_row_is_a_real_operator(table: dict[str, object]) -> None:
    for name in ("torch.nn.attention.varlen", "torch.nn.modules.linear_cross_entropy", "torchvision"):
        import_module(name)  # registers operators

    assert {target for target in table if not is_operator(target)} <= ELSEWHERE


def test_the_oldest_python_can_read_the_package() -> None:
    declared = re.search(r'^requires-python = ">=3\.(\d+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared is not None
    for path in (ROOT / "src").rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), path.name, feature_version=(3, int(declared[1])))


def test_public_names_are_sorted_and_exist() -> None:
    assert sorted(thoplw.__all__) == thoplw.__all__
    assert [name for name in thoplw.__all__ if not hasattr(thoplw, name)] == []


def test_errors_are_drawn_in_the_tree() -> None:
    drawn = set(re.findall(r"\b(\w+Error)\b", thoplw.errors.__doc__ or ""))
    made = {name for name in vars(thoplw.errors) if name.endswith("Error")}
    assert made <= drawn


@pytest.mark.parametrize("name", [*CONVENTIONS, *FORMATS])
def test_the_readme_names_every_convention_and_format(name: str) -> None:
    assert re.search(rf"[`\"]{name}[`\"]", README)


def test_imports_are_light() -> None:
    code = (
        "import sys, thoplw; print([m for m in ('torchvision', 'timm', 'transformers', 'typer') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- the tree ----------------------------------------------------------------------------------------------------------

STAGES = "api capture cli estimate formulas models pricing record render report shapes traffic"


def test_folders_are_stages() -> None:
    package = ROOT / "src" / "thoplw"
    assert " ".join(sorted(path.name for path in package.iterdir() if any(path.rglob("*.py")))) == STAGES
    assert len(list(package.glob("*.py"))) <= 6


def imported(path: Path) -> set[str]:
    """The packages that a file imports from."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("folder", ["tests", "tools", "benchmarks", "checks"])
def test_what_surrounds_the_package_imports_only_checks(folder: str) -> None:
    around = {".", "tests", "tools", "benchmarks"}  # a relative import would be one of the same folder
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    assert {path.name: found for path in files if (found := imported(path) & around)} == {}


def test_the_package_imports_nothing_that_surrounds_it() -> None:
    around = {"tests", "tools", "benchmarks", "checks"}
    found = {path.name: imported(path) & around for path in (ROOT / "src").rglob("*.py")}
    assert {name: names for name, names in found.items() if names} == {}


def test_private_names_of_torch_stand_in_one_file() -> None:
    private = re.compile(r"torch\._|_compiled_call_impl")
    files = (ROOT / "src").rglob("*.py")
    found = {path.name for path in files if private.search(path.read_text(encoding="utf-8"))}
    assert found == {"torch_internals.py"}


# -- messages ----------------------------------------------------------------------------------------------------------


#: Files whose messages still end with one.
STOPS = {"attempt.py"}


def end(message: ast.expr) -> str:
    """The last letters of a message, as far as the source tells them."""
    if isinstance(message, ast.BinOp):
        return end(message.right)
    last = message.values[-1] if isinstance(message, ast.JoinedStr) else message
    return last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else ""


def test_errors_end_without_a_full_stop() -> None:
    found = [
        f"{path.name}:{call.lineno}"
        for path in (ROOT / "src").rglob("*.py")
        if path.name not in STOPS
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and call.args and ast.unparse(call.func).endswith(("Error", "BadParameter"))
        if end(call.args[0]).endswith(".")
    ]
    assert found == []
