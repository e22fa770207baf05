"""``thoplw check``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thoplw.cli.formula import variables
from thoplw.cli.options import COUNTING, Batch, ConventionOfFile, Execute, Inputs, Model, Seq, amount, parsed, size
from thoplw.cli.run import run
from thoplw.cli.terminal import draw_table, is_terminal, say, show, told
from thoplw.errors import InputError, UnknownNameError
from thoplw.estimate import notation
from thoplw.render.words import visible
from thoplw.report.figures import FIGURES, need_memory, shown_in

if TYPE_CHECKING:
    from thoplw.api.budget import Budget, Verdict
    from thoplw.report.layer_info import LayerInfo
    from thoplw.report.profile import Profile


#: The largest batch that --solve looks at, unless it is told.
MOST_BATCH = 4096

#: Group of options in the help.
LIMITS = "Limits"


def _limit(text: str) -> tuple[str, int]:
    """``flops=4G`` as name and amount."""
    name, equals, most = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not a limit; write a figure and an amount, as in flops=4G")
    names = [figure.name for figure in shown_in("budget")]
    if name not in names:
        raise typer.BadParameter(str(UnknownNameError("figure", name, names)))
    return name, (size if FIGURES[name].unit == "byte" else amount)(most)


def _share(text: str) -> Any:
    from thoplw.api.budget import share

    return parsed(share, text)


def check(
    model: Model,
    max_macs: Annotated[
        int | None,
        typer.Option(
            metavar="AMOUNT", rich_help_panel=LIMITS, parser=amount, help="Most MACs allowed, as in 2G or 1.5M."
        ),
    ] = None,
    max_params: Annotated[
        int | None,
        typer.Option(
            metavar="AMOUNT", rich_help_panel=LIMITS, parser=amount, help="Most parameters allowed, as in 12M."
        ),
    ] = None,
    max_memory: Annotated[
        int | None,
        typer.Option(
            metavar="AMOUNT",
            rich_help_panel=LIMITS,
            parser=size,
            help="Most bytes allowed at the peak of a run, as in 24GB or 24GiB.",
        ),
    ] = None,
    # typer has no way to say that a parser makes something else than the annotated type.
    most: Annotated[
        list[Any] | None,
        typer.Option(
            "--max",
            metavar="FIGURE=AMOUNT",
            rich_help_panel=LIMITS,
            parser=_limit,
            help=f"Limit for any figure; may be repeated: {', '.join(figure.name for figure in shown_in('budget'))}.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=LIMITS,
            help="Allow no more than this saved profile (profile --kind json -o FILE).",
        ),
    ] = None,
    tolerance: Annotated[
        Any,
        typer.Option(
            metavar="PERCENT",
            rich_help_panel=LIMITS,
            parser=_share,
            help="How far above the baseline is still allowed.",
        ),
    ] = "0%",
    inputs: Inputs = None,
    seq: Seq = None,
    batch: Batch = None,
    execute: Execute = False,
    convention: ConventionOfFile = None,
    solve: Annotated[
        Any,
        typer.Option(
            metavar="VARIABLE",
            rich_help_panel=LIMITS,
            parser=variables,
            help="Find the largest batch, seq or resolution that keeps the limits, and check that: batch, or "
            "batch=1:1024 for a range.",
        ),
    ] = None,
    allow_uncounted: Annotated[
        bool,
        typer.Option(
            "--allow-uncounted",
            metavar="",
            rich_help_panel=COUNTING,
            help="Do not fail when an operator could not be counted.",
        ),
    ] = False,
    github: Annotated[
        bool,
        typer.Option(
            "--github",
            metavar="",
            rich_help_panel=LIMITS,
            help="Also write annotations and a job summary for GitHub Actions.",
        ),
    ] = False,
) -> None:
    """Fail when a model costs more than a limit, for continuous integration.

    The exit code is 0 when all limits are kept; 1 when one is broken, or an operator could not be counted; and 2 when
    the check itself failed. For a broken limit, the layers to look at are listed.

    For example:

    thoplw check resnet18 --max-macs 2G --max-params 12M

    thoplw profile resnet18 --kind json -o baseline.json

    thoplw check resnet18 --baseline baseline.json --tolerance 1% --github

    thoplw check resnet18 --max-macs 1T --solve batch
    """
    given = [*(most or ()), ("macs", max_macs), ("params", max_params), ("peak", max_memory)]
    limits = _limits([(name, limit) for name, limit in given if limit is not None])
    if not limits and baseline is None:
        raise typer.BadParameter("nothing to check; add --max-macs, --max-params, --max-memory, --max or --baseline")
    if tolerance and baseline is None:
        raise typer.BadParameter("--tolerance is of what a saved profile allows: name it with --baseline")
    if execute and need_memory(limits):
        raise typer.BadParameter(
            "--execute runs on real tensors, and a limit of memory (--max-memory, --max peak=) needs a run on abstract "
            "ones: leave one of them out"
        )
    if solve is not None and (baseline is not None or inputs or execute or len(solve) != 1):
        raise typer.BadParameter(
            "--solve takes one variable of a model of a zoo, and limits; leave --baseline, --input and --execute out"
        )
    if any(sizes is not None and sizes[0] < 1 for sizes in (solve or {}).values()):
        raise typer.BadParameter("--solve finds a size of 1 or more: begin its range there, as in batch=1:1024")
    fixed = {name: size for name, size in (("batch", batch), ("seq", seq)) if size is not None}
    for name in fixed.keys() & (solve or {}).keys():
        raise typer.BadParameter(f"--solve finds the {name}: leave --{name} out")
    with told(2):
        from thoplw.api.budget import Budget
        from thoplw.api.budget import check as verdict_on
        from thoplw.render.screen import clever

        before = None if baseline is None else _read(baseline)
        if before is not None and convention not in (None, before.about.convention):
            raise InputError(
                f"--convention {convention}: {baseline} was counted by {before.about.convention}, and figures of "
                "different conventions cannot be compared; leave --convention out, or save the baseline again"
            )
        counted = convention or ("thoplw" if before is None else before.about.convention)
        budget = Budget(
            limits=limits,
            baseline=before,
            tolerance=tolerance,
            allow_uncounted=allow_uncounted,
        )
        if solve is None:
            options: dict[str, Any] = {"convention": counted, "execute": execute, "memory": need_memory(limits)}
            found = run(model, inputs, seq=seq, batch=batch, **options)
        else:
            found = _solved(model, solve, budget, fixed, counted)
        verdict = verdict_on(found.profile, budget)
        if is_terminal():
            for part in verdict.parts():
                show(f"\n{part}\n") if isinstance(part, str) else draw_table([clever(part)])
        else:
            show(verdict.report())
        for problem in verdict.problems:
            say(f"error: {model}: {problem}")
        if github:
            _annotate(model, verdict)
        if verdict.problems:
            raise typer.Exit(1)


def _read(baseline: Path) -> Profile:
    """The saved profile.

    Raises:
        InputError: it cannot be read; the message begins with the option.
    """
    from thoplw.report.document import read

    try:
        return read(baseline)
    except InputError as error:
        raise InputError(f"--baseline: {error}") from error


def _limits(given: list[tuple[str, int]]) -> dict[str, int]:
    """Limits by figure.

    Raises:
        BadParameter: a figure has several.
    """
    limits: dict[str, int] = {}
    for name, limit in given:
        if name in limits:
            raise typer.BadParameter(f"{name} has two limits, {limits[name]} and {limit}: leave one of them out")
        limits[name] = limit
    return limits


def _solved(
    model: str, solve: dict[str, range | None], budget: Budget, fixed: dict[str, int], convention: str
) -> LayerInfo:
    """The profile at the largest size of a variable that keeps the limits; at the smallest, where none does."""
    from thoplw.api.natural import natural
    from thoplw.api.profile import profile
    from thoplw.models.registry import of_zoo
    from thoplw.models.sizes import scalable

    if not of_zoo(model):
        raise InputError(
            f"--solve makes inputs for models of a zoo only, and {model} has no default ones: in Python, "
            "thoplw.formula(...).largest(...) takes a model of your own"
        )
    ((variable, sizes),) = solve.items()
    at = scalable(model)
    for name in (variable, *fixed):
        if name not in at.ranges:
            option = "solve" if name == variable else name
            raise InputError(f"--{option}: {UnknownNameError(f'variable of {model}', name, at.ranges)}")
    if variable == "batch" and sizes is None:
        sizes = range(1, MOST_BATCH + 1)
    wanted = {variable: sizes, **{name: range(size, size + 1) for name, size in fixed.items()}}
    memory = need_memory(budget.limits)
    found = natural(at, wanted, convention=convention, memory=memory)
    known = found.domain[0].ranges[variable]
    try:
        largest = found.largest(variable, **fixed, **budget.limits)
        end = f", the end of the range ({notation.sizes(known)})" if largest == known[-1] else ""
        show(f"The largest {variable} that keeps the limits is {largest}{end}.\n")
    except InputError as error:
        largest = known[0]
        show(f"No {variable} keeps the limits: {error}.\n")
    chosen = {**fixed, variable: largest}
    module, inputs = at.model(chosen.get("resolution")), at.inputs(**chosen)
    return profile(module, inputs, verbose=False, convention=convention, memory=memory)[2]


def _annotate(model: str, verdict: Verdict) -> None:
    """Report to GitHub Actions: annotations on stdout, and Markdown in the file that GITHUB_STEP_SUMMARY names."""
    from thoplw.render.grid import escaped

    for level, texts in (("error", verdict.problems), ("warning", verdict.gaps)):
        for text in texts:
            show(f"::{level} title=thoplw::{_escaped(visible(f'{model}: {text}'))}")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary is None:
        say("thoplw: no job summary, as GITHUB_STEP_SUMMARY is not set")
        return
    try:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"### thoplw: {escaped(visible(model))}\n\n{verdict.report('md')}\n\n")
    except OSError as error:
        raise InputError(f"cannot write the job summary {summary}: {error.strerror}") from error


def _escaped(text: str) -> str:
    """Escape line ends and percent signs, as GitHub's annotations require."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
