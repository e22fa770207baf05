"""Notes that say in words what the figures of a profile leave out."""

from __future__ import annotations

from collections.abc import Mapping

from thoplw.render.words import count, named, some
from thoplw.report.figures import in_seconds
from thoplw.report.rows import Assumed, Gaps


def notes(gaps: Gaps, convention: str) -> tuple[str, ...]:
    """One line for each kind of gap, with the modules where it occurs.

    Args:
        gaps: of a profile.
        convention: name of the convention that counted.
    """
    found = []
    for what, places in (("Not counted", gaps.uncounted), (f"Nothing to {convention}", gaps.unseen)):
        if places:
            operators = (
                f"{name} ({count(each.calls, 'call')} in {some(map(named, each.modules))})"
                for name, each in places.items()
            )
            found.append(f"{what}: {some(operators)}.")
    found += assumed("Assumed", gaps.assumptions)
    if gaps.not_executed:
        modules = [f"{path} ({count(size, 'parameter')})" for path, size in gaps.not_executed.items() if size]
        rest = len(gaps.not_executed) - len(modules)
        modules += [count(rest, "module") + " without parameters"] if rest else []
        found.append(f"Never ran: {some(modules)}.")
    if gaps.unused:
        found.append(f"custom_ops: {some(gaps.unused)} never ran.")
    if gaps.unread:
        found.append(f"Never read: {some(gaps.unread)}. The forward has no such input, and takes any in **kwargs.")
    return tuple(found)


def on_device(roof: str, floors: Mapping[str, int], *, assumed: bool) -> tuple[str, ...]:
    """Say what device times are of, in lines; there are none if no device was named.

    Args:
        roof: the device and its peaks.
        floors: of phases, in picoseconds.
        assumed: whether figures rest on something that values decide.
    """
    phases = ", ".join(f"{phase} {in_seconds(floor)}" for phase, floor in floors.items() if floor)
    lines = {
        f"On {roof}.": roof,
        f"Floors of phases by themselves: {phases}.": phases,
        "Floors are estimates, as they rest on what is assumed.": roof and assumed,
    }
    return tuple(line for line, there in lines.items() if there)


def assumed(head: str, assumptions: Mapping[str, Assumed]) -> tuple[str, ...]:
    """One line for each assumption, with the modules that made it."""
    return tuple(
        f"{head}: {said} ({some(each.operators)}, {count(each.calls, 'call')} in {some(map(named, each.modules))})."
        for said, each in assumptions.items()
    )


def brief(gaps: Gaps, where: str = "") -> tuple[str, ...]:
    """One line for each gap that makes totals too low or an estimate, without the modules, to compare two profiles.

    Args:
        gaps: of a profile.
        where: what to call the profile, as in " before".
    """
    uncounted = (f"Not counted{where}: {', '.join(gaps.uncounted)}.",) if gaps.uncounted else ()
    return (*uncounted, *(f"Assumed{where}: {statement}." for statement in gaps.assumptions))
