"""Guards: what watches a position. Levels are pure functions of a guard, its limits and a mark.

A guard watches the position as a whole (owner "") by limits of the account or the instrument, or one strategy's part of
it by limits of the strategy and by the stop and target of its own wish. It is armed with the fill that opens and lives
in the state, so a restart finds it as it was. Marks bring low and high since the one before: no stop is stepped over.
Where one mark touches stop and target, the stop counts.
"""

from decimal import Decimal
from enum import StrEnum
from math import sqrt
from typing import NamedTuple

from schemas.control import Scope
from schemas.record import Part
from schemas.risk import Limit
from schemas.scalars import SECOND_US
from streams.accounts.risk.bounds import Compiled


class Stage(StrEnum):
    """How far a guard has come: watching, or closing by a limit order, by a market order, or calling for a person."""

    ARMED = "ARMED"
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    ALERT = "ALERT"


class Guard(Part, frozen=True):
    """One guard of one position.

    owner: strategy instance, empty for the whole position
    sign: 1 long, -1 short
    opened_us: when the position was opened
    best: best mark since, in the position's favour
    stop_price, target_price: of the wish itself, where it had them
    deviation: of daily returns when it was armed; absent until it is known
    stage: armed, or how far closing has come
    code: what triggered
    exit_id: order that closes; exit_us: when it was sent or last tried; attempt: how many were
    unprotected: whether people were told that nothing protects the position
    """

    owner: str
    sign: int
    opened_us: int
    best: Decimal
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    deviation: float | None = None
    stage: Stage = Stage.ARMED
    code: str = ""
    exit_id: str = ""
    exit_us: int = 0
    attempt: int = 0
    unprotected: bool = False


class Watch(NamedTuple):
    """The bounds that one guard enforces; None where there is none. Fractions, multiples, seconds."""

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_stop: Decimal | None = None
    trailing_stop_after: Decimal | None = None
    volatility_stop: Decimal | None = None
    time_stop: Decimal | None = None

    @property
    def empty(self) -> bool:
        """Whether it enforces nothing."""
        return self == NOTHING


NOTHING = Watch()

WATCHED = Watch._fields


class Trigger(NamedTuple):
    """Why a guard closes: code, the price that decided and the level that it touched."""

    code: str
    value: Decimal
    level: Decimal


def watch_of(limits: Compiled, owner: str, instrument_id: str) -> Watch:
    """What a guard enforces: for a strategy's part the limits of the strategy, else those of instrument and account."""
    found: dict[str, Decimal] = {}
    for name in WATCHED:
        inside = limits.inside.get(name, {})
        if owner:
            limit: Limit | None = inside.get((Scope.STRATEGY, owner))
        else:
            limit = inside.get((Scope.INSTRUMENT, instrument_id)) or limits.own.get(name)
        if limit is not None:
            found[name] = limit.value
    return Watch(**found) if found else NOTHING


def levels(guard: Guard, watch: Watch, average: Decimal) -> list[tuple[str, Decimal]]:
    """(code, price) of every stop of the guard, in the order in which they are told.

    Fractions are of the absolute price, so that they mean the same where prices are negative. While the deviation is
    unknown a volatility stop has no level.
    """
    sign = guard.sign
    found: list[tuple[str, Decimal]] = []
    if guard.stop_price is not None:
        found.append(("STOP_PRICE", guard.stop_price))
    if watch.stop_loss is not None:
        found.append(("STOP_LOSS", average - sign * watch.stop_loss * abs(average)))
    best = guard.best
    if watch.trailing_stop is not None and _risen(guard, watch, average):
        found.append(("TRAILING_STOP", best - sign * watch.trailing_stop * abs(best)))
    if watch.volatility_stop is not None and guard.deviation is not None:
        distance = watch.volatility_stop * Decimal(repr(guard.deviation)) * abs(best)
        found.append(("VOLATILITY_STOP", best - sign * distance))
    return found


def targets(guard: Guard, watch: Watch, average: Decimal) -> list[tuple[str, Decimal]]:
    """(code, price) of every target of the guard."""
    found: list[tuple[str, Decimal]] = []
    if guard.target_price is not None:
        found.append(("TARGET_PRICE", guard.target_price))
    if watch.take_profit is not None:
        found.append(("TAKE_PROFIT", average + guard.sign * watch.take_profit * abs(average)))
    return found


def _risen(guard: Guard, watch: Watch, average: Decimal) -> bool:
    """Whether the trailing stop is armed: at once, or after the rise that it waits for."""
    after = watch.trailing_stop_after
    return after is None or guard.sign * (guard.best - average) >= after * abs(average)


def touched(guard: Guard, watch: Watch, average: Decimal, low: Decimal, high: Decimal) -> Trigger | None:
    """What a mark with this low and high triggers, by the levels as they were before it; None for nothing."""
    worst, best = (low, high) if guard.sign > 0 else (high, low)
    for code, level in levels(guard, watch, average):
        if guard.sign * (worst - level) <= 0:
            return Trigger(code, worst, level)
    for code, level in targets(guard, watch, average):
        if guard.sign * (best - level) >= 0:
            return Trigger(code, best, level)
    return None


def improved(guard: Guard, low: Decimal, high: Decimal) -> Decimal:
    """The best mark, this one's included."""
    return max(guard.best, high) if guard.sign > 0 else min(guard.best, low)


def out_of_time(guard: Guard, watch: Watch, now_us: int) -> bool:
    """Whether the position is older than it may be."""
    return watch.time_stop is not None and now_us - guard.opened_us >= watch.time_stop * SECOND_US


def deviation_of(variance: float, returns: int, returns_min: int) -> float | None:
    """Standard deviation of returns per day; None before enough returns were seen."""
    return sqrt(variance) if returns >= returns_min and variance > 0 else None
