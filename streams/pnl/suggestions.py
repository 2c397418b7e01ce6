"""Suggestions: what a strategy's results say to its owner, with the figures behind it. Pure; nobody acts on them here.

Rules are looked at when a day has closed. What was suggested is not repeated while its rule still holds.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

from schemas.position import Evidence, SuggestedChange
from schemas.scalars import ZERO, rounded

FALL_MAX = Decimal("0.1")
"""Share of the account's equity that a strategy may fall below its best before it had better stop."""
TRIPS_MIN = 30
"""Round trips below which wins and losses say nothing."""
COSTS_MAX = Decimal("0.5")
"""Share of what was realised that fees may take."""
HALF = Decimal("0.5")


class Seen(NamedTuple):
    """A strategy at the end of a day; money in the base currency.

    pnl, best: result after fees, and the best at the end of any day
    realised, fees: before fees, and fees
    trips, wins: round trips, and those won after fees
    equity: of the account
    """

    pnl: Decimal
    best: Decimal
    realised: Decimal
    fees: Decimal
    trips: int
    wins: int
    equity: Decimal


class Rule(NamedTuple):
    """One rule. `holds` returns the figure that decides, or None where it does not hold; `factor` is for RESIZE."""

    code: str
    change: SuggestedChange
    holds: Callable[[Seen], Evidence | None]
    reason: str
    factor: Decimal | None = None


def _fallen(seen: Seen) -> Evidence | None:
    if seen.equity <= ZERO or seen.best <= seen.pnl:
        return None
    fall, bound = seen.best - seen.pnl, rounded(seen.equity * FALL_MAX)
    return Evidence(name="fall", value=fall, limit=bound) if fall > bound else None


def _losing(seen: Seen) -> Evidence | None:
    if seen.trips < TRIPS_MIN or seen.realised >= seen.fees:
        return None
    return Evidence(name="realised_after_fees", value=seen.realised - seen.fees, limit=ZERO)


def _costly(seen: Seen) -> Evidence | None:
    if seen.trips < TRIPS_MIN or seen.realised <= ZERO or seen.fees <= seen.realised * COSTS_MAX:
        return None
    return Evidence(name="fees_of_realised", value=rounded(seen.fees / seen.realised), limit=COSTS_MAX)


def results(seen: Seen) -> Iterator[Evidence]:
    """The figures that come with every suggestion."""
    for name, value in (
        ("pnl", seen.pnl), ("best", seen.best), ("fees", seen.fees), ("equity", seen.equity),
        ("trips", Decimal(seen.trips)), ("wins", Decimal(seen.wins)),
    ):  # fmt: skip
        yield Evidence(name=name, value=value)


RULES = (
    Rule("FALLEN", SuggestedChange.PAUSE, _fallen, "it fell further below its best than its account can well bear"),
    Rule("LOSING", SuggestedChange.RESIZE, _losing, "its round trips lose money after fees", HALF),
    Rule("COSTLY", SuggestedChange.REPARAMETERISE, _costly, "fees take most of what it earns: it trades too often"),
)
"""Every rule, gravest first."""
