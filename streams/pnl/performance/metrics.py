"""Every performance statistic by name: its function, what it needs, its unit and, where one exists, its interval.

The convention of each is the docstring of its function, so that it is written once; the command line, the report and
the documentation print it from here.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from streams.pnl.performance import confidence, relative, statistics, trades
from streams.pnl.performance.confidence import Interval
from streams.pnl.performance.returns import Floats, known
from streams.pnl.performance.trades import ClosedTrade

SMALL_SAMPLE = 30
"""Below this many observations an estimate is shown as "n < 30"."""


class Needs(StrEnum):
    """What a statistic is taken of."""

    RETURNS = "returns"
    BENCHMARK = "a benchmark"
    RESULTS = "results"
    TRADES = "trades"
    TURNOVER = "trades, times and equity points"


class Unit(StrEnum):
    """The unit of a value. A fraction of 0.01 is 1 %."""

    FRACTION = "fraction"
    FRACTION_A_YEAR = "fraction a year"
    RATIO = "ratio"
    PERIODS = "periods"
    RESULT = "unit of the results"
    TIMES_A_YEAR = "times a year"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that statistics are taken of. `ours` and `theirs` are the rows side by side with the benchmark's.

    `results` are net P&L of trades, or the known returns where no trades were given. Times are UTC microseconds.
    """

    returns: Floats
    periods: float
    risk_free: float
    required: float
    results: Floats
    ours: Floats | None = None
    theirs: Floats | None = None
    trades: Sequence[ClosedTrade] | None = None
    mean_equity: float = math.nan
    span_us: tuple[int, int] | None = None

    def count(self, needs: Needs) -> int:
        """How many observations a statistic with these needs has."""
        match needs:
            case Needs.RETURNS:
                return known(self.returns).size
            case Needs.BENCHMARK:
                return relative.pairs(self.paired[0], self.paired[1])[0].size
            case Needs.RESULTS:
                return self.results.size
            case Needs.TRADES | Needs.TURNOVER:
                return len(self.trades or ())

    def lacks(self, needs: Needs) -> str | None:
        """Why a statistic with these needs cannot be taken at all, or None."""
        timeless = self.trades is None or self.span_us is None
        if (
            (needs is Needs.BENCHMARK and self.theirs is None)
            or (needs is Needs.TRADES and timeless)
            or (needs is Needs.TURNOVER and (timeless or math.isnan(self.mean_equity)))
        ):
            return f"needs {needs}{' and times' if needs is Needs.TRADES else ''}"
        return None

    @property
    def paired(self) -> tuple[Floats, Floats]:
        """Our returns and the benchmark's; empty without one."""
        nothing = np.empty(0)
        return (nothing, nothing) if self.ours is None or self.theirs is None else (self.ours, self.theirs)

    @property
    def span(self) -> tuple[int, int]:
        """First and last time; nothing where unknown."""
        return self.span_us or (0, 0)


Rule = Callable[..., float]
Call = Callable[[Rule, Evidence], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """One statistic. `call` gives `function` its part of the evidence; `undefined` says why there is no value.

    `minimum` is the number of observations below which the value is not shown: 1 for a plain fact of the past, 0 where
    nothing is an answer too.
    """

    name: str
    unit: Unit
    function: Rule
    call: Call
    undefined: str
    needs: Needs = Needs.RETURNS
    minimum: int = SMALL_SAMPLE
    interval: Callable[[Evidence], Interval | None] | None = None

    def of(self, seen: Evidence) -> float:
        """The value; NaN or an infinity where it is not defined."""
        return self.call(self.function, seen)

    @property
    def needs_benchmark(self) -> bool:
        return self.needs is Needs.BENCHMARK

    @property
    def convention(self) -> str:
        """Formula, convention and source."""
        return inspect.getdoc(self.function) or ""


def _plain(rule: Rule, seen: Evidence) -> float:
    return rule(seen.returns)


def _a_year(rule: Rule, seen: Evidence) -> float:
    return rule(seen.returns, period=seen.periods)


def _over_free(rule: Rule, seen: Evidence) -> float:
    return rule(seen.returns, risk_free=seen.risk_free, period=seen.periods)


def _over_required(rule: Rule, seen: Evidence) -> float:
    return rule(seen.returns, required=seen.required, period=seen.periods)


def _pairs(rule: Rule, seen: Evidence) -> float:
    return rule(*seen.paired)


def _pairs_a_year(rule: Rule, seen: Evidence) -> float:
    return rule(*seen.paired, period=seen.periods)


def _pairs_over_free(rule: Rule, seen: Evidence) -> float:
    return rule(*seen.paired, risk_free=seen.risk_free, period=seen.periods)


def _results(rule: Rule, seen: Evidence) -> float:
    return rule(seen.results)


def _turnover(rule: Rule, seen: Evidence) -> float:
    return rule(seen.trades or (), seen.mean_equity, seen.span[1] - seen.span[0])


def _exposure(rule: Rule, seen: Evidence) -> float:
    return rule(seen.trades or (), *seen.span)


def _mean_interval(seen: Evidence) -> Interval | None:
    return confidence.scaled(confidence.of_mean(known(seen.returns)), seen.periods)


def _volatility_interval(seen: Evidence) -> Interval | None:
    return confidence.scaled(confidence.of_deviation(known(seen.returns)), math.sqrt(seen.periods))


def _sharpe_interval(seen: Evidence) -> Interval | None:
    over = statistics.excess(seen.returns, seen.risk_free)
    return confidence.scaled(confidence.of_sharpe(over), math.sqrt(seen.periods))


def _risk_interval(seen: Evidence) -> Interval | None:
    return confidence.of_quantile(known(seen.returns), 0.05)


def _information_interval(seen: Evidence) -> Interval | None:
    return confidence.scaled(confidence.of_sharpe(relative.active(*seen.paired)), math.sqrt(seen.periods))


def _tracking_interval(seen: Evidence) -> Interval | None:
    return confidence.scaled(confidence.of_deviation(relative.active(*seen.paired)), math.sqrt(seen.periods))


def _alpha_interval(seen: Evidence) -> Interval | None:
    ours, theirs = relative.pairs(*seen.paired)
    line = confidence.of_line(ours - seen.risk_free, theirs - seen.risk_free)
    if line is None:
        return None
    low, high = line[0]
    return relative.compounded(low, seen.periods), relative.compounded(high, seen.periods)


def _beta_interval(seen: Evidence) -> Interval | None:
    line = confidence.of_line(*relative.pairs(*seen.paired))
    return None if line is None else line[1]


def _hit_interval(seen: Evidence) -> Interval | None:
    return confidence.of_share(int(np.sum(seen.results > 0.0)), seen.results.size)


def _expectancy_interval(seen: Evidence) -> Interval | None:
    return confidence.of_mean(seen.results)


def _sqn_interval(seen: Evidence) -> Interval | None:
    return confidence.scaled(confidence.of_sharpe(seen.results), math.sqrt(seen.results.size))


NONE_KNOWN = "no known return"
SAME = "the returns do not differ"
HUGE = "too large to tell"
NO_LOSS = "no loss to divide by"
NO_SIDES = "needs wins and losses"
FLAT = "the benchmark does not vary"
STILL = "no time passed"

_F, _Y, _R = Unit.FRACTION, Unit.FRACTION_A_YEAR, Unit.RATIO
_B, _S = Needs.BENCHMARK, Needs.RESULTS

_ALL = (
    Metric("total_return", _F, statistics.total_return, _plain, HUGE, minimum=1),
    Metric("cagr", _Y, statistics.cagr, _a_year, HUGE),
    Metric("annual_mean_return", _Y, statistics.annual_mean_return, _a_year, NONE_KNOWN, interval=_mean_interval),
    Metric("annual_volatility", _Y, statistics.annual_volatility, _a_year, NONE_KNOWN, interval=_volatility_interval),
    Metric("downside_risk", _Y, statistics.downside_risk, _over_required, NONE_KNOWN),
    Metric("sharpe", _R, statistics.sharpe, _over_free, SAME, interval=_sharpe_interval),
    Metric("sortino", _R, statistics.sortino, _over_required, "no return below the required one"),
    Metric("calmar", _R, statistics.calmar, _a_year, "no drawdown"),
    Metric("omega", _R, statistics.omega, _over_free, NO_LOSS),
    Metric("max_drawdown", _F, statistics.max_drawdown, _plain, HUGE, minimum=1),
    Metric("max_drawdown_duration", Unit.PERIODS, statistics.max_drawdown_duration, _plain, HUGE, minimum=1),
    Metric("value_at_risk", _F, statistics.value_at_risk, _plain, NONE_KNOWN, interval=_risk_interval),
    Metric("expected_shortfall", _F, statistics.expected_shortfall, _plain, NONE_KNOWN),
    Metric("tail_ratio", _R, statistics.tail_ratio, _plain, "no low tail to divide by"),
    Metric("stability", _R, statistics.stability, _plain, "nothing moves"),
    Metric("skew", _R, statistics.skewness, _plain, SAME),
    Metric("kurtosis", _R, statistics.excess_kurtosis, _plain, SAME),
    Metric("beta", _R, relative.beta, _pairs, FLAT, _B, interval=_beta_interval),
    Metric("alpha", _Y, relative.alpha, _pairs_over_free, FLAT, _B, interval=_alpha_interval),
    Metric("tracking_error", _Y, relative.tracking_error, _pairs_a_year, FLAT, _B, interval=_tracking_interval),
    Metric(
        "information_ratio",
        _R,
        relative.information_ratio,
        _pairs_a_year,
        "always as far from the benchmark",
        _B,
        interval=_information_interval,
    ),
    Metric("treynor", _Y, relative.treynor, _pairs_over_free, "beta is zero or unknown", _B),
    Metric("up_capture", _R, relative.up_capture, _pairs_a_year, "the benchmark never rose", _B),
    Metric("down_capture", _R, relative.down_capture, _pairs_a_year, "the benchmark never fell", _B),
    Metric("hit_rate", _F, trades.hit_rate, _results, NONE_KNOWN, _S, interval=_hit_interval),
    Metric("profit_factor", _R, trades.profit_factor, _results, NO_LOSS, _S),
    Metric("expectancy", Unit.RESULT, trades.expectancy, _results, NONE_KNOWN, _S, interval=_expectancy_interval),
    Metric("payoff", _R, trades.payoff, _results, NO_SIDES, _S),
    Metric("sqn", _R, trades.sqn, _results, "the results do not differ", _S, interval=_sqn_interval),
    Metric("kelly", _F, trades.kelly, _results, NO_SIDES, _S),
    Metric("turnover", Unit.TIMES_A_YEAR, trades.turnover, _turnover, STILL, Needs.TURNOVER, minimum=0),
    Metric("exposure", _F, trades.exposure, _exposure, STILL, Needs.TRADES, minimum=0),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every statistic, in the order in which it is shown."""
