"""The formats of oracle files, and the part of the product that computes each.

An adapter takes the whole document and yields one `Outcome` for each case. What the product does not compute is an
Outcome that differs, with the reason; a case is never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.oracles import backtests, lifecycle, performance, positions

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case: it agrees when `why` is None. `got` is what the product says, as JSON."""

    case: str
    expected: Any
    got: Any = None
    why: str | None = None


Adapter = Callable[[Document], Iterable[Outcome]]


def performance_stats(document: Document) -> Iterator[Outcome]:
    """Every case through `streams.pnl.performance.statistics` and `streams.pnl.performance.relative`."""
    for number, case in enumerate(document["cases"], 1):
        name = performance.title(number, case)
        try:
            got = performance.compute(case, document["series"])
        except (performance.NotComputed, ValueError, TypeError) as refusal:
            yield Outcome(name, case.get("expected"), None, str(refusal))
            continue
        same = performance.agrees(case.get("expected"), got, case)
        yield Outcome(name, case.get("expected"), performance.as_json(got), None if same else "the numbers differ")


def position_pnl(document: Document) -> Iterator[Outcome]:
    """Every case through `streams.accounts.positions`."""
    for case in document["cases"]:
        name = str(case["id"])
        try:
            wrong = [{"at": at, "expected": wanted, "got": got} for at, wanted, got in positions.differences(case)]
        except (positions.Unknown, KeyError, ValueError, ArithmeticError) as refusal:
            yield Outcome(name, case.get("steps"), None, str(refusal))
            continue
        yield Outcome(
            name,
            [one["expected"] for one in wrong] if wrong else "all numbers",
            wrong or "all numbers",
            "the numbers differ" if wrong else None,
        )


def order_lifecycle(document: Document) -> Iterator[Outcome]:
    """Every scenario through `streams.accounts.orders`."""
    for scenario in document["scenarios"]:
        name = str(scenario["id"])
        try:
            wrong = [{"at": at, "expected": wanted, "got": got} for at, wanted, got in lifecycle.differences(scenario)]
        except (lifecycle.Unknown, KeyError, ValueError, ArithmeticError) as refusal:
            yield Outcome(name, scenario.get("steps"), None, str(refusal))
            continue
        yield Outcome(
            name,
            [one["expected"] for one in wrong] if wrong else "all reports",
            wrong or "all reports",
            "the order differs" if wrong else None,
        )


def backtest_expectation(document: Document) -> Iterator[Outcome]:
    """Every expected number of the backtest, through all rooms."""
    expected = document["expected"]
    try:
        got = backtests.compute(document["inputs"])
    except (backtests.Unknown, KeyError, ValueError, ArithmeticError) as refusal:
        got, why = {}, str(refusal)
    else:
        why = "the numbers differ"
    for name, value in expected.items():
        same = name in got and got[name] == value
        yield Outcome(name, value, got.get(name), None if same else why)


ADAPTERS: dict[str, Adapter] = {
    "performance-stats/1": performance_stats,
    "position-pnl/1": position_pnl,
    "order-lifecycle/1": order_lifecycle,
    "backtest-expectation/1": backtest_expectation,
}
