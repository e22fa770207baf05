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


# -- tests mirror the tree ---------------------------------------------------------------------------------------------

#: Files without tests of their own, as they hold no function that could be wrong.
WITHOUT_TESTS = {
    "capture/options.py": "fields",
    "record/span.py": "fields",
    "record/state.py": "fields",
    "render/outline.py": "fields",
    "version.py": "a number",
}

#: Files of tests that are of several files of the package at once, and what holds these together.
OF_SEVERAL = {
    "api/test_training_variants.py": "training steps, against an oracle",
    "capture/test_copied_inputs.py": "what becomes of inputs, in any run",
    "capture/test_memo_counts.py": "how often anything is worked out",
    "capture/test_memory_on_cuda.py": "memory of the kernels of a GPU",
    "checks/test_attacks.py": "checks/attacks/",
    "estimate/devices/test_figures.py": "the data files of devices",
    "estimate/test_floors_of_decoding.py": "a floor, from a model to seconds",
    "estimate/test_floors_of_training.py": "a floor, from a model to seconds",
    "formulas/test_loop_nest.py": "all formulas of products, against loops",
    "formulas/test_tables.py": "all tables of formulas and of shape rules",
    "models/hf/test_oracle.py": "models of transformers, against an oracle",
    "models/test_zoo.py": "models of all zoos, against recorded counts",
    "pricing/test_llama.py": "a large model, against algebra",
    "pricing/test_macs_flop_counter.py": "a convention, against torch's own counter",
    "shapes/test_rules.py": "all shape rules, against torch",
    "test_docs.py": "docs/",
    "test_house.py": "the tree",
    "test_readme.py": "the README",
}


def files_of(folder: Path) -> set[str]:
    """Its files of Python by their paths, without those that only make a package of a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.py") if path.name != "__init__.py"}


def mirrored(file: str) -> str:
    """``record/call.py`` is tested in ``record/test_call.py``, and ``__main__.py`` in ``test_main.py``."""
    path = Path(file)
    return path.with_name(f"test_{path.stem.strip('_')}.py").as_posix()


PACKAGE, TESTS = ROOT / "src" / "thoplw", files_of(ROOT / "tests")


def test_every_file_has_its_tests() -> None:
    assert {file for file in files_of(PACKAGE) if mirrored(file) not in TESTS} == WITHOUT_TESTS.keys()
    for file in WITHOUT_TESTS:
        tree = ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8")))
        assert not any(isinstance(node, (ast.FunctionDef, ast.Lambda)) for node in tree), file


def test_every_file_of_tests_is_of_a_file_or_of_a_whole_package() -> None:
    known = {mirrored(file) for file in files_of(PACKAGE)}
    known |= {f"checks/{mirrored(file)}" for file in files_of(ROOT / "checks")}
    packages = [path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
    known |= {f"{path.as_posix()}/test_{path.name}.py" for path in packages}
    found = {file for file in TESTS if Path(file).name.startswith("test_")}
    assert found - known == OF_SEVERAL.keys()


# -- messages ----------------------------------------------------------------------------------------------------------


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
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and call.args and ast.unparse(call.func).endswith(("Error", "BadParameter"))
        if end(call.args[0]).endswith(".")
    ]
    assert found == []
