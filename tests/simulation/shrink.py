"""Shrink: from a plan that fails, a smaller one that fails as well: records and faults are left out while it fails."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.simulation.histories import run
from tests.simulation.plan import Plan
from tests.simulation.run import Report

_One = TypeVar("_One")
Fails = Callable[[Plan], Report | None]

SCHEDULES = 6
"""Schedules tried for each smaller plan: with less to do everything falls at other moments."""


def failing(plan: Plan, run_plan: Callable[[Plan], Report] = run) -> Report | None:
    """The report of the first of some schedules under which the plan fails; None where it does not."""
    for attempt in range(SCHEDULES):
        report = run_plan(replace(plan, schedule=plan.schedule + attempt))
        if not report.ok:
            return report
    return None


def shrunk(report: Report, seconds: float = 60.0, fails: Fails = failing) -> Report:
    """The smallest failing plan found within so much time, with its report."""
    give_up = time.monotonic() + seconds
    smaller: Report | None = report
    while smaller is not None and time.monotonic() < give_up:
        report, smaller = smaller, None
        for plan in _smaller(report.plan):
            smaller = fails(plan)
            if smaller is not None or time.monotonic() > give_up:
                break
    return report


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with less in them, boldest first."""
    for faults in _fewer(plan.faults):
        yield replace(plan, faults=tuple(faults))
    for sent in _fewer(plan.sent):
        yield replace(plan, sent=tuple(sent))
    if plan.workers > 1:
        yield replace(plan, workers=plan.workers - 1)
    if plan.preempt:
        yield replace(plan, preempt=0.0)


def _fewer(things: Sequence[_One]) -> Iterator[list[_One]]:
    """Without a half, a quarter, and so on down to one."""
    size = (len(things) + 1) // 2
    while size:
        for start in range(0, len(things), size):
            yield [*things[:start], *things[start + size :]]
        size = size // 2
