"""The formats of oracle files, and the part of the product that computes each.

An adapter takes the whole document and yields one `Outcome` for each case. What the product does not compute is an
Outcome that differs, with the reason; a case is never left out. To plug a part in, replace its entry in `ADAPTERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.oracles import lifecycle, performance, positions

Document = Mapping[str, Any]

NOT_COMPUTED = "not computed by the product"


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


def not_computed(list_name: str | None) -> Adapter:
    """Every case of that list differs; without a list the document is one case."""

    def adapter(document: Document) -> Iterator[Outcome]:
        for number, case in enumerate([document] if list_name is None else document[list_name], 1):
            name = str(case.get("id", f"{document['format']} {number}"))
            yield Outcome(name, case.get("expected"), None, NOT_COMPUTED)

    return adapter


ADAPTERS: dict[str, Adapter] = {
    "performance-stats/1": performance_stats,
    "position-pnl/1": position_pnl,
    "order-lifecycle/1": order_lifecycle,
    "backtest-expectation/1": not_computed(None),
}
