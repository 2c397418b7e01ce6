"""Series of returns or equity, and what they become: returns, curves, bins. Pure.

A missing value is NaN inside and `None` outside. It is left out of means and deviations, and it still counts in the
length over which growth is annualised: a day without a figure was a day all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal, SupportsFloat

import numpy as np
from numpy.typing import NDArray

Values = Sequence[SupportsFloat | None] | NDArray[np.float64]
"""What callers may hand in: numbers (Decimal too) with `None` or NaN for missing."""
Floats = NDArray[np.float64]

DAY_US = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SeriesError(ValueError):
    """A series that has no defined statistics. `row` is the first bad row, counted from 1, or None for the whole."""

    def __init__(self, why: str, row: int | None = None) -> None:
        self.row = row
        super().__init__(f"row {row}: {why}" if row is not None else why)


class TimesOutOfOrder(SeriesError):
    """A time is earlier than the one before it."""


class DuplicateTime(SeriesError):
    """Two rows carry the same time, so one of them is not a period."""


class EquityNotPositive(SeriesError):
    """A return on equity of zero or less has no meaning."""


class ReturnBelowTotalLoss(SeriesError):
    """A return below -100 % cannot be compounded."""


class NotFinite(SeriesError):
    """An infinite value."""


class LengthsDiffer(SeriesError):
    """Two series that must be compared row by row have different lengths."""


class PeriodUnknown(SeriesError):
    """The times fit no known period, and none was given."""


class Period(StrEnum):
    """How often a series has a row. The number a year is the usual convention of each, not a count of the data."""

    DAILY = "daily"
    CALENDAR_DAILY = "calendar_daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"

    @property
    def per_year(self) -> float:
        return PERIODS_PER_YEAR[self]


PERIODS_PER_YEAR: dict[Period, float] = {
    Period.DAILY: 252.0,
    Period.CALENDAR_DAILY: 365.0,
    Period.WEEKLY: 52.0,
    Period.MONTHLY: 12.0,
    Period.QUARTERLY: 4.0,
    Period.YEARLY: 1.0,
}


def named_period(name: str) -> Period:
    """A period by its name. Raises PeriodUnknown."""
    try:
        return Period(name)
    except ValueError:
        raise PeriodUnknown(f"period {name!r} is not one of {', '.join(Period)}") from None


def per_year(period: Period | str | float) -> float:
    """Periods a year: of a name, or the number itself where the caller has their own. Raises PeriodUnknown."""
    if isinstance(period, str):
        return named_period(period).per_year
    if not period > 0:
        raise PeriodUnknown(f"{period} periods a year is not a number above zero")
    return float(period)


def as_floats(values: Values) -> Floats:
    """One array with NaN for missing. Raises NotFinite for an infinity and SeriesError for more than one dimension."""
    if isinstance(values, np.ndarray):
        array = values.astype(np.float64, copy=False)
    else:
        array = np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
    if array.ndim != 1:
        raise SeriesError("a series has one value in each row")
    infinite = np.flatnonzero(np.isinf(array))
    if infinite.size:
        raise NotFinite("the value is infinite", int(infinite[0]) + 1)
    return array


def known(values: Floats) -> Floats:
    """The values that are not missing."""
    return values[~np.isnan(values)]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Returns or equity in order of time. Made by `of_returns` and `of_equity`, which refuse what has no meaning.

    `times_us` are UTC microseconds, one for each value, or None where the caller knows only the order.
    """

    kind: Literal["return", "equity"]
    values: Floats
    times_us: tuple[int, ...] | None = None

    @classmethod
    def of_returns(cls, values: Values, times_us: Sequence[int] | None = None) -> Series:
        """Simple returns of each period (0.01 = 1 %). Raises SeriesError kinds, each with its row."""
        array = as_floats(values)
        ruined = np.flatnonzero(array < -1.0)
        if ruined.size:
            row = int(ruined[0])
            raise ReturnBelowTotalLoss(f"a return of {array[row]:g} loses more than everything", row + 1)
        return cls("return", array, _ordered(times_us, array.size))

    @classmethod
    def of_equity(cls, values: Values, times_us: Sequence[int] | None = None) -> Series:
        """Equity at the end of each period, above zero. Raises SeriesError kinds, each with its row."""
        array = as_floats(values)
        worthless = np.flatnonzero(array <= 0.0)
        if worthless.size:
            row = int(worthless[0])
            raise EquityNotPositive(f"equity of {array[row]:g} has no return; statistics need equity > 0", row + 1)
        return cls("equity", array, _ordered(times_us, array.size))

    def as_returns(self) -> Series:
        """Returns, each at the time of the period's end.

        A missing equity makes that period's return missing, and the next known one spans the gap, so that the
        compounded total is right. The first equity is the start, so n equities are n - 1 returns.
        """
        if self.kind == "return":
            return self
        times = None if self.times_us is None else self.times_us[1:]
        return Series("return", simple_returns(self.values), times)

    def at(self, times_us: Sequence[int]) -> Series:
        """The values at these times, missing where this series has none. Needs times."""
        if self.times_us is None:
            raise SeriesError("a series without times cannot be matched by time")
        value_at = dict(zip(self.times_us, self.values.tolist(), strict=True))
        matched = np.array([value_at.get(time_us, np.nan) for time_us in times_us], dtype=np.float64)
        return Series(self.kind, matched, tuple(times_us))


def _ordered(times_us: Sequence[int] | None, length: int) -> tuple[int, ...] | None:
    if times_us is None:
        return None
    if len(times_us) != length:
        raise LengthsDiffer(f"{len(times_us)} times for {length} values")
    times = np.asarray(times_us, dtype=np.int64)
    backwards = np.flatnonzero(np.diff(times) <= 0)
    if backwards.size:
        row = int(backwards[0]) + 1
        if times[row] == times[row - 1]:
            raise DuplicateTime(f"{iso_time(times_us[row])} is already the time of row {row}", row + 1)
        raise TimesOutOfOrder(f"{iso_time(times_us[row])} is before {iso_time(times_us[row - 1])}", row + 1)
    return tuple(times_us)


def simple_returns(equity: Values) -> Floats:
    """value / last known value - 1, one fewer than the values; missing where the value, or all before it, is."""
    values = as_floats(equity)
    present = np.flatnonzero(~np.isnan(values))
    result = np.full(max(values.size - 1, 0), np.nan)
    if present.size > 1:
        result[present[1:] - 1] = values[present[1:]] / values[present[:-1]] - 1.0
    return result


def growth_curve(returns: Values, start: float = 1.0) -> Floats:
    """Value after each period of `start` compounded; a missing return leaves it as it was. Same length as returns."""
    factors = 1.0 + np.nan_to_num(as_floats(returns), nan=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(start * np.cumprod(factors), dtype=np.float64)


ROUNDING = 1e-11
"""Relative error that compounding some ten thousand returns may leave in a curve."""


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall below a former peak. Positions count periods from the start, which is 0.

    `depth` is trough / peak - 1, below zero. `recovery` is None while the peak has not been reached again, and then
    `duration` runs to the last row.
    """

    peak: int
    trough: int
    recovery: int | None
    depth: float
    duration: int


def drawdown_curve(curve: Floats) -> Floats:
    """value / highest so far - 1 at each point; missing points are missing."""
    filled = np.where(np.isnan(curve), -np.inf, curve)
    peak = np.maximum.accumulate(filled) if filled.size else filled
    safe = np.where(np.isfinite(peak) & (peak > 0.0), peak, np.nan)
    return curve / safe - 1.0


def drawdowns(curve: Floats) -> list[Drawdown]:
    """Every drawdown of a curve without missing points, in order of time.

    A peak counts as reached again within the rounding that compounding leaves.
    """
    below = drawdown_curve(curve)
    return list(_episodes(np.where(below < -ROUNDING, below, 0.0)))


def _episodes(below: Floats) -> Iterator[Drawdown]:
    under = below < 0.0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], under, [False])).astype(np.int8)))
    last = below.size - 1
    for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        trough = first + int(np.argmin(below[first:after]))
        recovery = after if after <= last else None
        end = last if recovery is None else recovery
        yield Drawdown(first - 1, trough, recovery, float(below[trough]), end - (first - 1))


def compounded_by(returns: Series, bins: NDArray[np.int64]) -> Series:
    """Returns compounded within runs of equal bins, each at its last time; a bin with no known return is missing."""
    if returns.times_us is None:
        raise SeriesError("a series without times cannot be binned by time")
    if bins.size == 0:
        return returns
    first = np.concatenate(([0], np.flatnonzero(np.diff(bins)) + 1))
    last = np.concatenate((first[1:], [bins.size])) - 1
    factors = 1.0 + np.nan_to_num(returns.values, nan=0.0)
    grown = np.multiply.reduceat(factors, first) - 1.0
    seen = np.add.reduceat((~np.isnan(returns.values)).astype(np.int64), first)
    return Series("return", np.where(seen > 0, grown, np.nan), tuple(returns.times_us[i] for i in last.tolist()))


def daily(returns: Series) -> Series:
    """Returns of a finer series compounded into UTC days."""
    return compounded_by(returns, days_of(returns.times_us or ()))


def monthly(returns: Series) -> dict[tuple[int, int], float | None]:
    """Compounded return of each calendar month (UTC) by (year, month); None where no return is known."""
    months = np.asarray(returns.times_us or (), dtype="datetime64[us]").astype("datetime64[M]").astype(np.int64)
    binned = compounded_by(returns, months)
    return {
        (1970 + month // 12, month % 12 + 1): None if np.isnan(value) else value
        for month, value in zip(np.unique(months).tolist(), binned.values.tolist(), strict=True)
    }


def days_of(times_us: Sequence[int]) -> NDArray[np.int64]:
    """The UTC day of each time, counted since 1970-01-01, which was a Thursday."""
    return np.asarray(times_us, dtype=np.int64) // DAY_US


def weekend_rows(times_us: Sequence[int]) -> int:
    """How many of the times are on a Saturday or Sunday (UTC)."""
    return int(np.sum((days_of(times_us) + 3) % 7 >= 5))


SPACING_DAYS: tuple[tuple[Period, float, float], ...] = (
    (Period.DAILY, 0.9, 4.5),
    (Period.WEEKLY, 4.5, 10.0),
    (Period.MONTHLY, 25.0, 35.0),
    (Period.QUARTERLY, 80.0, 100.0),
    (Period.YEARLY, 350.0, 380.0),
)
"""Period, and the median days between rows from which it is inferred."""


def infer_period(times_us: Sequence[int]) -> tuple[Period, bool]:
    """The period that the median gap fits, and whether rows are finer than a day (then days are to be compounded).

    Fewer than two rows tell nothing and count as daily. Raises PeriodUnknown for a gap that fits none.
    """
    if len(times_us) < 2:
        return Period.DAILY, False
    median_days = float(np.median(np.diff(np.asarray(times_us, dtype=np.int64)))) / DAY_US
    if median_days < SPACING_DAYS[0][1]:
        return Period.DAILY, True
    for period, low, high in SPACING_DAYS:
        if low <= median_days < high:
            return period, False
    raise PeriodUnknown(
        f"a median of {median_days:.4g} days between rows fits no period; name one of: {', '.join(Period)}"
    )


def moment(time_us: int) -> datetime:
    """The UTC time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=time_us)


def iso_time(time_us: int) -> str:
    """ISO 8601 in UTC, a plain date where it is midnight."""
    when = moment(time_us)
    return when.date().isoformat() if time_us % DAY_US == 0 else when.isoformat().replace("+00:00", "Z")
