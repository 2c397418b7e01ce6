"""All statistics of a series in one value: what the command line, the summary of a run and the report show. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from streams.pnl.performance.metrics import METRICS, Evidence, Metric, Unit
from streams.pnl.performance.returns import (
    DAY_US,
    Drawdown,
    Floats,
    LengthsDiffer,
    Period,
    PeriodUnknown,
    Series,
    SeriesError,
    daily,
    drawdowns,
    infer_period,
    iso_time,
    known,
    monthly,
    named_period,
    weekend_rows,
)
from streams.pnl.performance.statistics import curve_with_start, mean
from streams.pnl.performance.trades import ClosedTrade, TradeReport, checked, described, results_of

DEEPEST = 5
"""How many drawdowns a summary lists."""

LONGEST_GAP_DAYS: dict[Period, float] = {
    Period.DAILY: 5.0,
    Period.CALENDAR_DAILY: 1.5,
    Period.WEEKLY: 14.0,
    Period.MONTHLY: 62.0,
    Period.QUARTERLY: 190.0,
    Period.YEARLY: 740.0,
}
"""Days between rows above which a gap is noted."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number with its n and, where one exists, its 95 % interval.

    `value` is None where the statistic is not defined. `why` says what is wrong with the number, or why there is none;
    None means that it may be read as it stands.
    """

    name: str
    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    why: str | None = None
    unit: Unit = Unit.RATIO

    @property
    def shown(self) -> str:
        """The text for a display: the number, or the reason that stands in its place ("n < 30")."""
        if self.why is not None or self.value is None:
            return self.why or "not known"
        match self.unit:
            case Unit.FRACTION | Unit.FRACTION_A_YEAR:
                return f"{self.value:.2%}"
            case Unit.PERIODS:
                return f"{self.value:.0f} periods"
            case Unit.RESULT:
                return f"{self.value:,.6g}"
            case Unit.RATIO | Unit.TIMES_A_YEAR:
                return f"{self.value:,.2f}"

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "n": self.n,
            "low": self.low,
            "high": self.high,
            "unit": str(self.unit),
            "why": self.why,
            "shown": self.shown,
        }


@dataclass(frozen=True, slots=True)
class Fall:
    """One of the deepest drawdowns, with its times where the series has them (UTC microseconds)."""

    depth: float
    duration: int
    peak_us: int | None
    trough_us: int | None
    recovery_us: int | None
    recovered: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """What a series of returns or equity amounts to.

    `rows` are the periods (n equities are n - 1), `n` those whose return is known. `basis` says of what hit rate,
    profit factor, expectancy, payoff, SQN and Kelly are taken. `months` and the times are empty without times.
    """

    kind: Literal["return", "equity"]
    period: Period
    rows: int
    n: int
    first_us: int | None
    last_us: int | None
    basis: Literal["trades", "periods"]
    statistics: Mapping[str, Statistic]
    falls: tuple[Fall, ...]
    months: Mapping[tuple[int, int], float | None]
    trades: TradeReport | None
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> Statistic:
        return self.statistics[name]

    @property
    def missing(self) -> int:
        return self.rows - self.n

    def to_json(self) -> dict[str, Any]:
        """Numbers under their names, as `run --json` has them, and each in full under `statistics`."""
        values = {name: statistic.value for name, statistic in self.statistics.items()}
        return {
            "kind": self.kind,
            "period": str(self.period),
            "periods_per_year": self.period.per_year,
            "rows": self.rows,
            "n": self.n,
            "missing": self.missing,
            "from": _iso(self.first_us),
            "to": _iso(self.last_us),
            "basis": self.basis,
            **values,
            "statistics": {name: statistic.to_json() for name, statistic in self.statistics.items()},
            "drawdowns": [
                {
                    "depth": fall.depth,
                    "periods": fall.duration,
                    "peak": _iso(fall.peak_us),
                    "trough": _iso(fall.trough_us),
                    "recovery": _iso(fall.recovery_us),
                    "recovered": fall.recovered,
                }
                for fall in self.falls
            ],
            "months": {f"{year:04d}-{month:02d}": value for (year, month), value in self.months.items()},
            "notes": list(self.notes),
        }


def summarise(
    series: Series,
    period: Period | str | None = None,
    *,
    benchmark: Series | None = None,
    trades: Iterable[ClosedTrade] | None = None,
    risk_free: float = 0.0,
    required: float = 0.0,
) -> Summary:
    """Every statistic of `METRICS` that the evidence allows; the others say what they lack.

    Without a period it is inferred from the times, and rows finer than a day are compounded into UTC days. Rates are
    per period. A benchmark is matched by UTC day where both have times, else row by row.
    Raises SeriesError kinds: PeriodUnknown, LengthsDiffer, BadTrade.
    """
    notes: list[str] = []
    chosen, rows = _by_period(series, period, notes)
    returns = rows.as_returns()
    closed = None if trades is None else checked(trades)
    times = series.times_us
    span = (times[0], times[-1]) if times else None
    seen = Evidence(
        returns=returns.values,
        periods=chosen.per_year,
        risk_free=risk_free,
        required=required,
        results=known(returns.values) if closed is None else results_of(closed),
        trades=closed,
        mean_equity=mean(known(series.values)) if series.kind == "equity" else math.nan,
        span_us=span,
    )
    if benchmark is not None:
        ours, theirs = side_by_side(rows, benchmark, notes)
        seen = replace(seen, ours=ours, theirs=theirs)
    _note_gaps(rows, chosen, notes)
    return Summary(
        kind=series.kind,
        period=chosen,
        rows=returns.values.size,
        n=known(returns.values).size,
        first_us=span[0] if span else None,
        last_us=span[1] if span else None,
        basis="periods" if closed is None else "trades",
        statistics={name: statistic(metric, seen) for name, metric in METRICS.items()},
        falls=deepest(rows),
        months=monthly(returns) if returns.times_us else {},
        trades=None if closed is None else described(closed),
        notes=tuple(notes),
    )


def statistic(metric: Metric, seen: Evidence) -> Statistic:
    """One statistic of the evidence, with its reason where there is no number or too few observations for it."""
    lacking = seen.lacks(metric.needs)
    if lacking is not None:
        return Statistic(metric.name, None, 0, why=lacking, unit=metric.unit)
    n = seen.count(metric.needs)
    if n == 0 and metric.minimum > 0:
        return Statistic(metric.name, None, 0, why="n = 0", unit=metric.unit)
    value = metric.of(seen)
    if not math.isfinite(value):
        why = f"n = {n}" if n <= 1 <= metric.minimum else metric.undefined
        return Statistic(metric.name, None, n, why=why, unit=metric.unit)
    interval = metric.interval(seen) if metric.interval is not None else None
    low, high = (None, None) if interval is None or not all(map(math.isfinite, interval)) else interval
    small = f"n < {metric.minimum}" if n < metric.minimum else None
    return Statistic(metric.name, value, n, low, high, small, metric.unit)


def side_by_side(series: Series, benchmark: Series, notes: list[str]) -> tuple[Floats, Floats]:
    """Our return and the benchmark's in each row; a row counts only where both moved from the row before it.

    Raises LengthsDiffer where there are no times to match by, and SeriesError for returns of another period.
    """
    if series.times_us is None or benchmark.times_us is None:
        ours, theirs = _step_returns(series), _step_returns(benchmark)
        if ours.size != theirs.size:
            raise LengthsDiffer(
                f"{ours.size} returns against a benchmark of {theirs.size}, and no times to match them by"
            )
        return ours, theirs
    if benchmark.kind == "return" and benchmark.values.size > 1 and series.values.size > 1:
        mine, other = infer_period(series.times_us), infer_period(benchmark.times_us)
        if mine != other:
            raise SeriesError(
                f"the benchmark's returns are {other[0]}, the series is {mine[0]}; give its prices instead"
            )
    value_on = {
        time // DAY_US: value for time, value in zip(benchmark.times_us, benchmark.values.tolist(), strict=True)
    }
    matched = np.array([value_on.get(time // DAY_US, np.nan) for time in series.times_us], dtype=np.float64)
    ours = _step_returns(series)
    theirs = _step_returns(Series(benchmark.kind, matched))
    if series.kind == "equity" and benchmark.kind == "return":
        theirs = theirs[1:]
    elif series.kind == "return" and benchmark.kind == "equity":
        ours = ours[1:]
    found = int(np.sum(~np.isnan(ours) & ~np.isnan(theirs)))
    if found < ours.size:
        notes.append(f"the benchmark covers {found} of {ours.size} rows")
    return ours, theirs


def deepest(series: Series) -> tuple[Fall, ...]:
    """The deepest drawdowns, deepest first. Returns start from a value of 1 that has no time of its own."""
    curve = curve_with_start(series.as_returns().values)
    shift = 0 if series.kind == "equity" else 1
    found = sorted(drawdowns(curve), key=lambda fall: fall.depth)[:DEEPEST]
    return tuple(_fall(one, series.times_us, shift) for one in found)


def _fall(one: Drawdown, times: tuple[int, ...] | None, shift: int) -> Fall:
    def at(position: int | None) -> int | None:
        return None if times is None or position is None or position < shift else times[position - shift]

    return Fall(one.depth, one.duration, at(one.peak), at(one.trough), at(one.recovery), one.recovery is not None)


DAYS = (Period.DAILY, Period.CALENDAR_DAILY)


def _by_period(series: Series, period: Period | str | None, notes: list[str]) -> tuple[Period, Series]:
    """The period given or inferred, and the series in rows of it; what was decided is noted."""
    given = None if period is None else named_period(period)
    if series.times_us is None or len(series.times_us) < 2:
        if given is None:
            notes.append("daily is assumed: there are no two times to tell the period by")
        return given or Period.DAILY, series
    try:
        inferred, finer = infer_period(series.times_us)
    except PeriodUnknown:
        if given is None:
            raise
        return given, series
    if finer and (given is None or given in DAYS):
        notes.append("rows finer than a day are compounded into UTC days")
        return given or inferred, daily(series.as_returns())
    if given is None:
        weekend = weekend_rows(series.times_us)
        if inferred is Period.DAILY and weekend:
            notes.append(f"{weekend} rows are on weekends and a year counts 252 days; period calendar_daily counts 365")
        return inferred, series
    if given is not inferred and not (given in DAYS and inferred in DAYS):
        notes.append(f"the rows look {'finer than daily' if finer else inferred} and are taken as {given}")
    return given, series


def _step_returns(series: Series) -> Floats:
    """Returns from one row to the next only: after a missing equity the next return is missing too."""
    if series.kind == "return":
        return series.values
    return np.asarray(series.values[1:] / series.values[:-1] - 1.0, dtype=np.float64)


def _note_gaps(series: Series, period: Period, notes: list[str]) -> None:
    if series.times_us is None or len(series.times_us) < 2:
        return
    longest = int(LONGEST_GAP_DAYS[period] * DAY_US)
    wide = np.flatnonzero(np.diff(np.asarray(series.times_us, dtype=np.int64)) > longest)
    if wide.size:
        after = iso_time(series.times_us[int(wide[0])])
        notes.append(f"{wide.size} gaps longer than {LONGEST_GAP_DAYS[period]:g} days, the first after {after}")


def _iso(time_us: int | None) -> str | None:
    return None if time_us is None else iso_time(time_us)
