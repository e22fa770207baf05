"""Formulas of the zoo: for every model that equals the oracle, one in its natural variables, checked at runs held out.

::

    python benchmarks/formulas.py --spread 300
    python benchmarks/formulas.py resnet50 timm:vit_base_patch16_224 hf:llama
    python benchmarks/formulas.py --table

What is found goes into ``benchmarks/formulas.jsonl`` at once; a model that has a line there is not done again. Writes
``benchmarks/formulas.md``. Each model has a limit of processor time, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from concurrent.futures import TimeoutError, as_completed
from contextlib import suppress
from datetime import date
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median

from pebble import ProcessExpired, ProcessPool

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.sweep import Record, read  # noqa: E402

import thoplw  # noqa: E402

ZOO, LINES, PAGE = (ROOT / "benchmarks" / name for name in ("zoo.jsonl", "formulas.jsonl", "formulas.md"))


def confirmed() -> dict[str, int]:
    """The models whose MACs equal the oracle's, with these."""
    records = [json.loads(line) for line in ZOO.read_text(encoding="utf-8").splitlines()]
    equal = (each for each in records if each.get("oracle") is not None and each["oracle"] == each["macs"])
    return {each["name"]: each["oracle"] for each in sorted(equal, key=lambda each: each["name"])}


def spread(names: list[str], count: int) -> list[str]:
    """So many of some names, as far from each other as they can be."""
    return names if count >= len(names) else [names[place * len(names) // count] for place in range(count)]


# -- in a worker -------------------------------------------------------------------------------------------------------


#: How much longer a model may take on the clock than on the processor, which other programs use as well.
_PATIENCE = 20


class OutOfTime(BaseException):
    """A model takes longer than allowed. No exception, as models catch those."""


def out_of_time(*_: object) -> None:
    raise OutOfTime


def limited(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    signal.signal(signal.SIGVTALRM, out_of_time)


def measure(name: str, timeout: float) -> Record:
    """Find the formula of a model in some seconds of the processor; what goes wrong is part of the record."""
    signal.setitimer(signal.ITIMER_VIRTUAL, timeout)
    try:
        return found(name)
    except OutOfTime:
        return {"name": name, "error": f"took longer than {timeout:.0f} s"}
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def found(name: str) -> Record:
    """Find the formula of a model; what goes wrong is part of the record."""
    from thoplw.api.natural import natural
    from thoplw.capture.nesting import tensors_in
    from thoplw.models.sizes import scalable

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    start = time.process_time()
    try:
        formula = natural(name, convention="macs", figures=())
    except Exception as error:  # a bad model must not stop the others
        text = " ".join(str(error).split("\n\n")[0].split())[:300]
        return {"name": name, "error": f"{type(error).__name__}: {text}"}
    seconds = time.process_time() - start
    sizes = scalable(name)
    own = {name: size for name, size in sizes.own.items() if name in formula.macs.variables}
    at_own: int | None = None
    if all(each.shape[-1] == each.shape[-2] for each in tensors_in(sizes.inputs()) if each.ndim > 3):  # as R x R is
        with suppress(thoplw.InputError):  # its own size is elsewhere
            at_own = formula(**own)
    held_out = [each for each in formula.evidence if each.held_out]
    return {
        "name": name,
        "error": None,
        "formula": str(formula.macs).partition(" for ")[0],
        "domain": str(formula.domain[0]),
        "pieces": len(formula.domain),
        "fitted": len(formula.evidence) - len(held_out),
        "held_out": len(held_out),
        "missed": sum(each.measured != each.formula for each in held_out),
        "notes": list(formula.notes),
        "at_own": at_own,
        "seconds": seconds,
    }


# -- the file ----------------------------------------------------------------------------------------------------------


def note(names: list[str], timeout: float, memory: int, workers: int) -> None:
    """Find the formulas of some models, and write down each at once."""
    spawn = get_context("spawn")  # A forked torch hangs when it had threads.
    with (
        LINES.open("a", encoding="utf-8") as file,
        ProcessPool(workers, context=spawn, initializer=limited, initargs=(memory,)) as pool,
    ):
        waiting = {pool.schedule(measure, args=(name, timeout), timeout=_PATIENCE * timeout): name for name in names}
        for done, future in enumerate(as_completed(waiting), 1):
            name = waiting[future]
            try:
                line = future.result()
            except TimeoutError:
                line = {"name": name, "error": f"took longer than {timeout:.0f} s"}
            except ProcessExpired as error:
                line = {"name": name, "error": f"its process ended: {error}"}
            file.write(json.dumps(line) + "\n")
            file.flush()
            print(f"{done}/{len(names)} {name}: {line['error'] or line['formula']}", file=sys.stderr, flush=True)


# -- the page ----------------------------------------------------------------------------------------------------------

HEAD = """\
# Formulas

The MACs of models as exact formulas in their natural variables: the batch *B*; and the number of tokens *S*, or the
resolution *R* where the model can be had at others. {tried} models were tried, drawn from the {all} that equal the
[oracle](zoo.md): {found} have a formula ({share:.1f} %), {wide} of them without a piece missing. Each was checked at
ten runs or more that were held out, with {missed} misses. At the sizes at which the oracle ran the model for real,
{equal} formulas give its number, and {other} another; the rest do not hold there. The median took {seconds:.1f} s of
one processor, loading included. {when}, with {versions}; {older} of them with torch 2.11.0 and torchvision 0.26.0, on a
machine of more processors. Written by `benchmarks/formulas.py`.

*Runs*: those that the formula was made of, and those held out. Of several pieces, such as residues of a resolution, the
first is shown.
"""

#: What an error has in it -> why a model has no formula; the first that fits.
REASONS = {
    "took longer": "Took longer than allowed: some of its runs take seconds",
    "DataDependentError": "Values decide what runs, so that it must be executed",
    "NoFormulaError": "No polynomial holds: see what it was tried with",
    "cannot run": "Cannot run at some size of every range that was tried",
}


def page(records: list[Record], oracle: dict[str, int]) -> str:
    good = [each for each in records if each["error"] is None]
    bad = [each for each in records if each["error"] is not None]
    head = HEAD.format(
        tried=len(records),
        all=len(oracle),
        found=len(good),
        share=100 * len(good) / len(records),
        wide=sum(each["pieces"] == 1 and not any("Narrower" in note for note in each["notes"]) for each in good),
        missed=sum(each["missed"] for each in good),
        equal=sum(each["at_own"] == oracle[each["name"]] for each in good),
        other=sum(each["at_own"] not in (None, oracle[each["name"]]) for each in good),
        seconds=median(each["seconds"] for each in good),
        older=sum("torch" in each for each in good),
        when=date.today().isoformat(),
        versions=", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm", "transformers")),
    )
    rows = [
        (
            each["name"],
            f"`{short(each['formula'])}`",
            short(each["domain"]).replace(" ", "\N{NO-BREAK SPACE}") + more(each),
            f"{each['fitted']} + {each['held_out']}".replace(" ", "\N{NO-BREAK SPACE}"),
        )
        for each in good
    ]
    parts = [head, markdown(("Model", "MACs", "For", "Runs"), rows)]
    if bad:
        counts = Counter(reason(each["error"]) for each in bad)
        parts += [
            "\n## Without a formula\n",
            markdown(("Reason", "Models"), [(text, str(count)) for text, count in counts.most_common()]),
            "",
            markdown(("Model", "Answer"), [(each["name"], cell(each["error"])) for each in bad]),
        ]
    return "\n".join(parts) + "\n"


def short(text: str) -> str:
    """The variables by their letters."""
    for name, letter in (("batch", "B"), ("seq", "S"), ("resolution", "R")):
        text = text.replace(name, letter)
    return text


def more(record: Record) -> str:
    return f"; and {record['pieces'] - 1} more pieces" if record["pieces"] > 1 else ""


def reason(error: str) -> str:
    return next((text for words, text in REASONS.items() if words in error), "Other")


def cell(text: str) -> str:
    return text[:200].replace("|", "\\|").replace("<", "&lt;")


def markdown(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="models; all that are confirmed if there are none")
    parser.add_argument("--spread", type=int, default=10**9, help="so many of them")
    parser.add_argument("--timeout", type=float, default=300, help="seconds of the processor for one model")
    parser.add_argument("--memory", type=float, default=8, help="gigabytes for one process")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="do those again that failed")
    parser.add_argument("--table", action="store_true", help="only write the page anew")
    options = parser.parse_args()
    known = read(LINES, "name")
    if not options.table:
        wanted = spread(options.names or list(confirmed()), options.spread)
        Random(0).shuffle(wanted)  # what is done when it is stopped is a spread as well
        todo = [name for name in wanted if name not in known or (options.again and known[name]["error"])]
        note(todo, options.timeout, int(options.memory * 1e9), options.workers)
    records = sorted(read(LINES, "name").values(), key=lambda each: each["name"])
    PAGE.write_text(page(records, confirmed()), encoding="utf-8")


if __name__ == "__main__":
    main()
