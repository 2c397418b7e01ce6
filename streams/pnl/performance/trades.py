"""Statistics of closed trades and of any list of results. Pure; results as in `streams.pnl.performance.statistics`.

A *result* is what one trade brought, net of fees, in the account's currency; where there are no trades it may be the
return of one period. A win is above zero, a loss below, and a result of zero is neither but counts in n.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

import numpy as np

from streams.pnl.performance.returns import Floats, SeriesError, Values, as_floats, known
from streams.pnl.performance.statistics import mean, ratio, sample_deviation

YEAR_US = 365.25 * 86_400e6


class BadTrade(SeriesError):
    """A trade that cannot have happened: it ends before it begins, has no quantity, or its money is not a number."""


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A position from flat to flat, or the closed part of one.

    Times are UTC microseconds. `quantity` is above zero for a long, below for a short. `pnl` is net of `fees`, both in
    the account's currency. `mae` and `mfe` are the worst and best unrealised P&L while it was open (mae <= 0 <= mfe),
    None where the path is not known. Prices may be negative.
    """

    entry_time_us: int
    exit_time_us: int
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    pnl: Decimal
    fees: Decimal = Decimal(0)
    mae: Decimal | None = None
    mfe: Decimal | None = None
    multiplier: Decimal = Decimal(1)
    entry_reason: str = ""
    exit_reason: str = ""

    @property
    def duration_us(self) -> int:
        return self.exit_time_us - self.entry_time_us

    @property
    def notional(self) -> Decimal:
        """What was traded on the way in and out, regardless of sign."""
        return abs(self.quantity) * self.multiplier * (abs(self.entry_price) + abs(self.exit_price))


def checked(trades: Iterable[ClosedTrade]) -> list[ClosedTrade]:
    """The trades in order of exit, then entry. Raises BadTrade with the row, counted from 1."""
    listed = list(trades)
    for row, trade in enumerate(listed, 1):
        if trade.exit_time_us < trade.entry_time_us:
            raise BadTrade("the trade ends before it begins", row)
        if not trade.quantity.is_finite() or trade.quantity == 0:
            raise BadTrade(f"quantity {trade.quantity} is no position", row)
        if not (
            trade.pnl.is_finite()
            and trade.fees.is_finite()
            and trade.entry_price.is_finite()
            and trade.exit_price.is_finite()
            and (trade.mae is None or trade.mae.is_finite())
            and (trade.mfe is None or trade.mfe.is_finite())
        ):
            raise BadTrade("P&L, fees, prices and excursions must be finite numbers", row)
    return sorted(listed, key=lambda trade: (trade.exit_time_us, trade.entry_time_us))


def results_of(trades: Sequence[ClosedTrade]) -> Floats:
    """Net P&L of each trade."""
    return np.array([float(trade.pnl) for trade in trades], dtype=np.float64)


def hit_rate(results: Values) -> float:
    """Wins over all results, zeros included in the count."""
    values = known(as_floats(results))
    return mean((values > 0.0).astype(np.float64))


def profit_factor(results: Values) -> float:
    """Sum of wins over size of the sum of losses; an infinity without a loss, NaN without either."""
    values = known(as_floats(results))
    return ratio(float(np.sum(values[values > 0.0])), -float(np.sum(values[values < 0.0])))


def expectancy(results: Values) -> float:
    """Mean result, in the unit of the results."""
    return mean(known(as_floats(results)))


def payoff(results: Values) -> float:
    """Mean win over size of the mean loss; NaN unless there are both."""
    values = known(as_floats(results))
    wins, losses = values[values > 0.0], values[values < 0.0]
    return mean(wins) / -mean(losses) if wins.size and losses.size else math.nan


def sqn(results: Values) -> float:
    """System quality number: sqrt(n) * mean / sample deviation (n - 1) of the results, n not capped at 100.

    Source: Van Tharp (2008), with results for his R multiples.
    """
    values = known(as_floats(results))
    if values.size < 2:
        return math.nan
    return math.sqrt(values.size) * ratio(mean(values), sample_deviation(values))


def kelly(results: Values) -> float:
    """Fraction to stake: hit rate - (1 - hit rate) / payoff; below zero means do not. NaN unless wins and losses.

    Source: Kelly (1956) for a bet of two outcomes, the mean win and the mean loss.
    """
    share, against = hit_rate(results), payoff(results)
    return share - (1.0 - share) / against if not math.isnan(against) else math.nan


def turnover(trades: Sequence[ClosedTrade], mean_equity: float, span_us: int) -> float:
    """Notional traded, in and out, over mean equity, for a year of 365.25 days. NaN without equity or time."""
    if not mean_equity > 0.0 or span_us <= 0:
        return math.nan
    traded = float(sum((trade.notional for trade in trades), Decimal(0)))
    return traded / mean_equity * YEAR_US / span_us


def exposure(trades: Sequence[ClosedTrade], first_us: int, last_us: int) -> float:
    """Share of the time from first to last in which at least one trade was open; NaN for no time."""
    if last_us <= first_us:
        return math.nan
    covered, reached = 0, first_us
    for trade in sorted(trades, key=lambda trade: trade.entry_time_us):
        begin, end = max(trade.entry_time_us, reached), min(trade.exit_time_us, last_us)
        if end > begin:
            covered, reached = covered + end - begin, end
    return covered / (last_us - first_us)


@dataclass(frozen=True, slots=True)
class TradeGroup:
    """What trades with something in common brought."""

    trades: int
    wins: int
    pnl: Decimal
    fees: Decimal

    @classmethod
    def of(cls, trades: Sequence[ClosedTrade]) -> TradeGroup:
        return cls(
            trades=len(trades),
            wins=sum(trade.pnl > 0 for trade in trades),
            pnl=sum((trade.pnl for trade in trades), Decimal(0)),
            fees=sum((trade.fees for trade in trades), Decimal(0)),
        )


@dataclass(frozen=True, slots=True)
class TradeReport:
    """Closed trades described. Durations in microseconds, None where there is no such trade; streaks by order of exit.

    `mae_mean` and `mfe_mean` are over the `path_known` trades that carry them.
    """

    all: TradeGroup
    long: TradeGroup
    short: TradeGroup
    by_entry_reason: Mapping[str, TradeGroup]
    by_exit_reason: Mapping[str, TradeGroup]
    best: Decimal | None
    worst: Decimal | None
    duration_mean_us: float | None
    duration_median_us: float | None
    duration_longest_us: int | None
    duration_wins_mean_us: float | None
    duration_losses_mean_us: float | None
    wins_in_a_row: int
    losses_in_a_row: int
    path_known: int
    mae_mean: float | None
    mfe_mean: float | None


def trade_report(trades: Iterable[ClosedTrade]) -> TradeReport:
    """Describe closed trades; none is a report of zeros. Raises BadTrade with the row."""
    return described(checked(trades))


def described(listed: Sequence[ClosedTrade]) -> TradeReport:
    """`trade_report` of trades that were checked before."""
    durations = np.array([trade.duration_us for trade in listed], dtype=np.float64)
    results = results_of(listed)
    paths = [
        (float(trade.mae), float(trade.mfe)) for trade in listed if trade.mae is not None and trade.mfe is not None
    ]
    return TradeReport(
        all=TradeGroup.of(listed),
        long=TradeGroup.of([trade for trade in listed if trade.quantity > 0]),
        short=TradeGroup.of([trade for trade in listed if trade.quantity < 0]),
        by_entry_reason=_by_reason((trade.entry_reason, trade) for trade in listed),
        by_exit_reason=_by_reason((trade.exit_reason, trade) for trade in listed),
        best=max((trade.pnl for trade in listed), default=None),
        worst=min((trade.pnl for trade in listed), default=None),
        duration_mean_us=_or_none(mean(durations)),
        duration_median_us=float(np.median(durations)) if durations.size else None,
        duration_longest_us=max((trade.duration_us for trade in listed), default=None),
        duration_wins_mean_us=_or_none(mean(durations[results > 0.0])),
        duration_losses_mean_us=_or_none(mean(durations[results < 0.0])),
        wins_in_a_row=_longest_run(results > 0.0),
        losses_in_a_row=_longest_run(results < 0.0),
        path_known=len(paths),
        mae_mean=_or_none(mean(np.array([mae for mae, _ in paths], dtype=np.float64))),
        mfe_mean=_or_none(mean(np.array([mfe for _, mfe in paths], dtype=np.float64))),
    )


def _by_reason(pairs: Iterable[tuple[str, ClosedTrade]]) -> dict[str, TradeGroup]:
    grouped: dict[str, list[ClosedTrade]] = {}
    for reason, trade in pairs:
        grouped.setdefault(reason, []).append(trade)
    return {reason: TradeGroup.of(grouped[reason]) for reason in sorted(grouped)}


def _longest_run(hits: np.typing.NDArray[np.bool_]) -> int:
    return max((len(list(run)) for hit, run in groupby(hits.tolist()) if hit), default=0)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
