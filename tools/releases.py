"""Run the tests and count models on the releases of torch that thoplw says to run with, and write a page of that.

::

    python tools/releases.py run                  # all, one environment after the other
    python tools/releases.py run 2.0.1 2.6.0      # some
    python tools/releases.py run 2.0.1 --folder F # keep the environment in F/2.0.1
    python tools/releases.py again 2.0.1 F        # in there, run the files that had failed, after mending
    python tools/releases.py page                 # write benchmarks/releases.md from what is known

Each release gets an environment of its own, made with pip, filled with several gigabytes, and deleted before the next
is made, unless a folder to keep it in is named. What is found goes into ``benchmarks/releases.jsonl``, a line a
release, which replaces the one before.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple
from xml.etree import ElementTree

import typer

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

FOUND = ROOT / "benchmarks" / "releases.jsonl"
PAGE = ROOT / "benchmarks" / "releases.md"

#: Reports of runs of the tests, beside the environment, in the order of their names.
REPORTS = "tests-*.xml"


class Release(NamedTuple):
    """What an environment holds.

    Attributes:
        torch: its release.
        torchvision: the one that goes with it.
        python: the interpreter, which has to be there.
        others: what else has to be of a certain release.
    """

    torch: str
    torchvision: str
    python: str
    others: tuple[str, ...] = ()


#: torch up to 2.2 was built with NumPy 1, which pyarrow takes up to 25.
_OLD_NUMPY = ("numpy<2", "pyarrow<26")

RELEASES = (
    Release("2.0.1", "0.15.2", "3.10", _OLD_NUMPY),
    Release("2.1.2", "0.16.2", "3.11", _OLD_NUMPY),
    Release("2.2.2", "0.17.2", "3.11", _OLD_NUMPY),
    Release("2.3.1", "0.18.1", "3.11"),
    Release("2.4.1", "0.19.1", "3.11"),
    Release("2.5.1", "0.20.1", "3.12"),
    Release("2.6.0", "0.21.0", "3.13"),
    Release("2.9.1", "0.24.1", "3.13"),
    Release("2.14.1", "0.29.1", "3.11"),
)

#: The models of torchvision that are counted with every release: one at least of each kind.
MODELS = """
    alexnet vgg16_bn resnet18 resnet152 wide_resnet50_2 resnext50_32x4d densenet121 googlenet inception_v3
    squeezenet1_0 mobilenet_v2 mobilenet_v3_small mnasnet1_0 shufflenet_v2_x1_0 efficientnet_b0 efficientnet_v2_s
    regnet_y_400mf convnext_tiny vit_b_16 swin_t swin_v2_t maxvit_t fcn_resnet50 deeplabv3_resnet50
    lraspp_mobilenet_v3_large fasterrcnn_resnet50_fpn ssd300_vgg16 r3d_18 mvit_v1_b s3d
"""

#: What CI runs on the oldest release: the 33 models, ``count``, ``compare``, ``summary`` and the command line.
CORE = """
    tests/checks/test_results.py tests/api/test_count.py tests/api/test_compare.py tests/report/test_layer_info.py
    tests/cli/test_compare.py tests/capture/test_scripted.py tests/capture/test_scopes.py
"""

#: Models whose own code has changed, so that releases may differ.
CHANGED = {
    "fasterrcnn_resnet50_fpn": "torchvision 0.15 and 0.16 work out the size of a picture with tensors, which is 9 "
    "FLOPs (`models/detection/transform.py`)",
}

CONVENTIONS = ("thoplw", "macs", "flops")

INTRODUCTION = """# Releases of PyTorch

thoplw runs with torch 2.0 and newer, and torchvision 0.15 and newer. `tools/releases.py` makes an environment for each
release below, checks that `pip install .` leaves that torch in place, runs the test suite, and counts 30 models. A test
of something that an older torch does not have says which release it needs, and is left out before that. `core` are the
tests that CI runs on torch 2.0.1: the 33 models of the results, `count`, `compare`, `summary` and the command line.
`tests` is the whole suite; where folders of it are named, no others were run. Where it says `again`, all of that was
run, then once more the files in which a test had failed, or which were changed; each counts as it was run last."""

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help="releases of torch; all if left out")] = None,
    folder: Annotated[Path | None, typer.Option(help="where environments are kept; deleted if left out")] = None,
    only: Annotated[str, typer.Option(help="which tests, as for pytest -m")] = "not browser",
    tests: Annotated[str, typer.Option(help="files and folders of tests; core: those of CI")] = "tests",
    index: Annotated[str, typer.Option(help="packages to take torch from, as for pip --index-url")] = "",
) -> None:
    """Make an environment for each release, test in it, and write down what was found."""
    chosen = [release for release in RELEASES if not names or release.torch in names]
    if unknown := {*(names or ())} - {release.torch for release in RELEASES}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: known are {', '.join(r.torch for r in RELEASES)}")
    for release in chosen:
        kept = nullcontext(folder.resolve() / release.torch) if folder else TemporaryDirectory(prefix="torch-")
        with kept as place:
            python = _environment(release, Path(place), index)
            found = _figures(python)
            _run_tests(python, Path(place) / "tests-00.xml", only, (CORE if tests == "core" else tests).split())
            about = {**release._asdict(), "date": date.today().isoformat(), "only": only, "tests": tests}
            _keep({**about, **found, **_outcomes(Path(place))})
    page()


@app.command()
def again(
    name: Annotated[str, typer.Argument(help="a release of torch")],
    folder: Annotated[Path, typer.Argument(help="where its environment was kept")],
    files: Annotated[list[str] | None, typer.Argument(help="files of tests; those with failures if left out")] = None,
) -> None:
    """Run files of tests once more, in an environment that was kept; the figures stay."""
    place, line = folder.resolve() / name, _known()[name]
    chosen = files or sorted({test.partition("::")[0] for test in line["failed"]})
    _run_tests(_python(place), place / f"tests-{len([*place.glob(REPORTS)]):02}.xml", line["only"], chosen)
    _keep({**line, **_outcomes(place)})
    page()


def _environment(release: Release, place: Path, index: str) -> Path:
    """Install a release, then thoplw as a user does, which has to leave it in place; then what the tests need."""
    name = f"python{release.python}"
    interpreter = shutil.which(name)
    if interpreter is None:
        raise typer.BadParameter(f"torch {release.torch} is tested with {name}, which is not on the PATH")
    subprocess.run([interpreter, "-m", "venv", place / "env"], check=True)
    python = _python(place)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pinned = [f"torch=={release.torch}", f"torchvision=={release.torchvision}", *release.others]
    subprocess.run([*pip, *pinned, *(["--index-url", index] if index else [])], check=True)
    subprocess.run([*pip, ROOT], check=True)
    installed = _output([python, "-c", "import torch; print(torch.__version__)"]).partition("+")[0]
    if installed != release.torch:
        raise RuntimeError(f"pip install . has replaced torch {release.torch} by {installed}")
    constraints = place / "constraints.txt"
    constraints.write_text("\n".join(pinned))
    subprocess.run([*pip, "-c", constraints, "-e", f"{ROOT}[dev]"], check=True)
    return python


def _python(place: Path) -> Path:
    return place / "env" / "bin" / "python"


def _run_tests(python: Path, report: Path, only: str, tests: list[str]) -> None:
    command = [python, "-m", "pytest", "-q", "-m", only, "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    with_files = ["-o", "junit_family=xunit1", f"--junitxml={report}"]
    subprocess.run([*command, *with_files, *tests], cwd=ROOT, env=_plain(), check=False)


def _outcomes(place: Path) -> dict[str, Any]:
    """How many tests passed, which failed, and how many were left out for which reason.

    Of a file that was run again, the last report counts.
    """
    files: dict[str, list[ElementTree.Element]] = {}
    repeated: set[str] = set()
    for report in sorted(place.glob(REPORTS)):
        cases = defaultdict(list)
        for case in ElementTree.parse(report).iter("testcase"):
            cases[str(case.get("file"))].append(case)
        repeated |= files.keys() & cases.keys()
        files.update(cases)
    passed, failed, skipped = 0, [], Counter[str]()
    for file, cases in files.items():
        for case in cases:
            kinds = {child.tag: child for child in case}
            if "failure" in kinds or "error" in kinds:
                failed.append(f"{file}::{case.get('name')}")
            elif "skipped" in kinds:
                skipped[_reason(kinds["skipped"])] += 1
            else:
                passed += 1
    typer.echo(f"{place.name}: {passed} passed, {len(failed)} failed")
    left_out = dict(skipped.most_common())
    return {"passed": passed, "failed": sorted(failed), "skipped": left_out, "again": sorted(repeated)}


def _reason(skipped: ElementTree.Element) -> str:
    """Why a test, or a whole file of tests, was left out."""
    message = skipped.get("message") or ""
    if message == "collection skipped":  # the text is a tuple of file, line and reason
        message = (skipped.text or "").rpartition("Skipped: ")[2].rstrip("')\"")
    return message.splitlines()[0]


def _figures(python: Path) -> dict[str, Any]:
    """The figures of the models, counted by another interpreter."""
    return {"figures": json.loads(_output([python, "-W", "ignore", __file__, "figures"]).splitlines()[-1])}


@app.command()
def figures() -> None:
    """Count the models with the torch that is installed, and print JSON: model, convention, cost and parameters."""
    import thoplw
    from thoplw.models.registry import load

    counted: dict[str, dict[str, list[int]]] = {}
    for name in MODELS.split():
        loaded = load(name)
        reports = thoplw.compare(loaded.model, loaded.inputs, CONVENTIONS)
        counted[name] = {each: [reports[each].total_macs, reports[each].total_params] for each in CONVENTIONS}
    typer.echo(json.dumps(counted))


def _output(command: list[Any]) -> str:
    return subprocess.run(command, cwd=ROOT, env=_plain(), check=True, stdout=subprocess.PIPE, text=True).stdout


def _plain() -> dict[str, str]:
    """The variables of this process without those that have another Python search elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _known() -> dict[str, dict[str, Any]]:
    """What was found, by release, the oldest first."""
    lines = FOUND.read_text(encoding="utf-8").splitlines() if FOUND.exists() else []
    found = {line["torch"]: line for line in map(json.loads, lines)}
    return {release.torch: found[release.torch] for release in RELEASES if release.torch in found}


def _keep(line: dict[str, Any]) -> None:
    lines = {**_known(), line["torch"]: line}
    FOUND.write_text("".join(f"{json.dumps(each)}\n" for each in lines.values()), encoding="utf-8")


@app.command()
def page() -> None:
    """Write the page from what is known."""
    found = _known()
    PAGE.write_text("\n".join((*_tested(found), *_left_out(found), *_compared(found))) + "\n", encoding="utf-8")


def _tested(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield from (INTRODUCTION, "", "| torch | torchvision | Python | tests | passed | failed | left out | date |")
    yield "|---|---|---|---|---:|---:|---:|---|"
    for release in RELEASES:
        line = found.get(release.torch)
        if line is None:
            yield f"| {release.torch} | {release.torchvision} | {release.python} | not run | | | | |"
            continue
        numbers = f"{line['passed']:,} | {len(line['failed'])} | {sum(line['skipped'].values())}"
        tests = f"`{line['tests']} -m '{line['only']}'`" if line["only"] else f"`{line['tests']}`"
        if line.get("again"):
            tests += f"; again {len(line['again'])} files"
        known = f"{line['torchvision']} | {line['python']} | {tests}"
        yield f"| {release.torch} | {known} | {numbers} | {line['date']} |"
    for name, line in found.items():
        if line["failed"]:
            yield from ("", f"Failed on {name}:", "", *(f"- `{test}`" for test in line["failed"]))


def _left_out(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Why tests were left out: reason by release."""
    reasons = list(dict.fromkeys(reason for line in found.values() for reason in line["skipped"]))
    if not reasons:
        return
    yield from ("", "## Tests that were left out", "")
    yield f"| reason | {' | '.join(found)} |"
    yield f"|---|{'---:|' * len(found)}"
    for reason in sorted(reasons):
        yield f"| {reason} | {' | '.join(str(line['skipped'].get(reason, '')) for line in found.values())} |"


def _compared(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The figures of models: one in a cell where all releases agree, else one for each."""
    yield from ("", "## Figures", "", f"One figure in a cell: it is the same with torch {', '.join(found)}.", "")
    yield f"| model | {' | '.join(f'`{each}`' for each in CONVENTIONS)} | parameters (`macs`) |"
    yield f"|---|{'---:|' * (len(CONVENTIONS) + 1)}"
    for name in MODELS.split():
        cells = [_cell(found, name, convention, 0) for convention in CONVENTIONS]
        yield f"| {name} | {' | '.join(cells)} | {_cell(found, name, 'macs', 1)} |"
    yield from ("", *(f"{name}: {reason}." for name, reason in CHANGED.items()))


def _cell(found: dict[str, dict[str, Any]], name: str, convention: str, which: int) -> str:
    figures = {release: line["figures"][name][convention][which] for release, line in found.items()}
    if len({*figures.values()}) == 1:
        return f"{next(iter(figures.values())):,}"
    return ", ".join(f"{release}: {figure:,}" for release, figure in figures.items())


if __name__ == "__main__":
    app()
