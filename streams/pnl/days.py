"""Days: an account's equity from day to day, as running sums, so that the newest statistics cost the same for ever.

A daily return is the day's last equity, less what was paid in since, over the last equity of the day before; days on
which nothing was said are not counted. The first day has no return; the present day counts with its newest equity, so
that the newest statistics are those of the whole series. Definitions and 252 days a year are those of
`streams.pnl.performance.statistics`; a statistic that is not defined is absent. A day is that of UTC to which its last
microsecond belongs, so a daily bar that ends at midnight closes its own day.
"""

import math
from decimal import Decimal

from msgspec.structs import replace

from schemas.position import PerformanceSnapshot
from schemas.record import Part
from schemas.scalars import DAY_US, ZERO

DAYS_A_YEAR = 252
_EPSILON = 2.0**-52


class Days(Part, frozen=True):
    """Running sums over daily returns.

    day: the present day, days since 1970-01-01; -1 before the first
    close: newest equity of the present day
    deposits: net deposits at that time
    base, base_deposits: the same at the end of the day before; no base on the first day
    count: daily returns so far
    mean, squares: their mean, and the sum of squared distances from it
    short: sum of squares of the negative ones
    largest: size of the largest one
    growth, peak: compounded value of 1, and its highest
    lowest: deepest drawdown, zero or below
    """

    day: int = -1
    close: Decimal = ZERO
    deposits: Decimal = ZERO
    base: Decimal | None = None
    base_deposits: Decimal = ZERO
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    short: float = 0.0
    largest: float = 0.0
    growth: float = 1.0
    peak: float = 1.0
    lowest: float = 0.0


def day_of(time_us: int) -> int:
    """The day to which the time belongs."""
    return (time_us - 1) // DAY_US


def told(days: Days, time_us: int, equity: Decimal, deposits: Decimal) -> Days:
    """Take a newer equity; the same object where nothing is new."""
    day = day_of(time_us)
    if day <= days.day:
        if equity == days.close and deposits == days.deposits:
            return days
        return replace(days, close=equity, deposits=deposits)
    closed = days if days.day < 0 else _closed(days)
    return replace(closed, day=day, close=equity, deposits=deposits)


def _closed(days: Days) -> Days:
    """The sums with the present day's return, where it has one."""
    base = replace(days, base=days.close, base_deposits=days.deposits)
    if days.base is None or days.base <= ZERO:
        return base
    result = float((days.close - (days.deposits - days.base_deposits)) / days.base - 1)
    count = days.count + 1
    distance = result - days.mean
    mean = days.mean + distance / count
    # Below zero there is nothing left that could grow: debts are equity's to tell, not growth's.
    growth = days.growth * max(0.0, 1.0 + result)
    peak = max(days.peak, growth)
    return replace(
        base,
        count=count,
        mean=mean,
        squares=days.squares + distance * (result - mean),
        short=days.short + min(result, 0.0) ** 2,
        largest=max(days.largest, abs(result)),
        growth=growth,
        peak=peak,
        lowest=min(days.lowest, growth / peak - 1.0),
    )


def performance(days: Days, account_id: str, event_time_us: int) -> PerformanceSnapshot | None:
    """The statistics of all days, the present one so far included; None where it has no return."""
    before, days = days.count, _closed(days)
    count, year = days.count, math.sqrt(DAYS_A_YEAR)
    if count == before:
        return None
    deviation = math.sqrt(days.squares / (count - 1)) if count > 1 else 0.0
    steady = deviation <= 4.0 * _EPSILON * days.largest
    downside = math.sqrt(days.short / count)
    sharpe = sortino = volatility = calmar = None
    if count > 1:
        volatility = deviation * year
        sharpe = None if steady else days.mean / deviation * year
        sortino = None if not downside else days.mean / downside * year
    if days.lowest < 0.0 and days.growth > 0.0:
        calmar = (days.growth ** (DAYS_A_YEAR / count) - 1.0) / -days.lowest
    return PerformanceSnapshot(
        event_time_us=event_time_us,
        account_id=account_id,
        days=count,
        total_return=days.growth - 1.0,
        sharpe=sharpe,
        sortino=sortino,
        calmar=calmar,
        volatility=volatility,
        max_drawdown=days.lowest,
    )
