"""Performance against a benchmark, row by row. Pure; arguments and results as in `streams.pnl.performance.statistics`.

Rows count where both are known. Either side empty: NaN. Raises LengthsDiffer where the lengths differ otherwise.
"""

from __future__ import annotations

import math

import numpy as np

from streams.pnl.performance.returns import Floats, LengthsDiffer, Period, Values, as_floats, known, per_year
from streams.pnl.performance.statistics import Rate, cagr, less, mean, ratio, sample_deviation, scale_of

AnyPeriod = Period | str | float


def pairs(returns: Values, benchmark: Values) -> tuple[Floats, Floats]:
    """Both series where both are known."""
    ours, theirs = _side_by_side(returns, benchmark)
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    return ours[both], theirs[both]


def beta(returns: Values, benchmark: Values) -> float:
    """Slope of the least-squares line of r on b: cov(r, b) / var(b). NaN below two pairs or without variation of b.

    Source: empyrical; the risk-free rate does not enter.
    """
    ours, theirs = pairs(returns, benchmark)
    if theirs.size < 2 or sample_deviation(theirs) < 1e-15:
        return math.nan
    off = theirs - theirs.mean()
    return float(off @ ours) / float(off @ off)


def alpha(returns: Values, benchmark: Values, risk_free: Rate = 0.0, period: AnyPeriod = Period.DAILY) -> float:
    """Jensen's alpha, compounded to a year: (1 + mean((r - rf) - beta (b - rf)))^(periods a year) - 1.

    Source: Jensen (1968); empyrical.
    """
    slope = beta(returns, benchmark)
    if math.isnan(slope):
        return math.nan
    left = known(less(returns, risk_free) - slope * less(benchmark, risk_free))
    return compounded(mean(left), per_year(period))


def compounded(rate: float, periods: float) -> float:
    """A rate for each period as a rate for a year; NaN below a total loss."""
    if math.isnan(rate) or rate < -1.0:
        return math.nan
    with np.errstate(over="ignore"):
        return float(np.power(np.float64(1.0 + rate), periods)) - 1.0


def tracking_error(returns: Values, benchmark: Values, period: AnyPeriod = Period.DAILY) -> float:
    """Sample deviation (n - 1) of r - b times sqrt(periods a year)."""
    return sample_deviation(active(returns, benchmark), scale_of(returns, benchmark)) * math.sqrt(per_year(period))


def information_ratio(returns: Values, benchmark: Values, period: AnyPeriod | None = None) -> float:
    """mean(r - b) / sample deviation (n - 1) of r - b, times sqrt(periods a year) when a period is given.

    Without a period it is the ratio of one period, as empyrical's excess_sharpe is. Source: Grinold and Kahn (1995).
    Beside `tracking_error` it is annual active return over tracking error.
    """
    over = active(returns, benchmark)
    one = ratio(mean(over), sample_deviation(over, scale_of(returns, benchmark)))
    return one if period is None else one * math.sqrt(per_year(period))


def treynor(returns: Values, benchmark: Values, risk_free: Rate = 0.0, period: AnyPeriod = Period.DAILY) -> float:
    """mean(r - rf) times periods a year, over `beta`, on the rows where both are known. Source: Treynor (1965)."""
    slope = beta(returns, benchmark)
    if math.isnan(slope):
        return math.nan
    over = less(returns, risk_free)[~np.isnan(as_floats(benchmark))]
    return ratio(mean(known(over)) * per_year(period), slope)


def capture(returns: Values, benchmark: Values, period: AnyPeriod = Period.DAILY) -> float:
    """`cagr` of the returns over `cagr` of the benchmark. Source: empyrical."""
    ours, theirs = _side_by_side(returns, benchmark)
    return ratio(cagr(ours, period), cagr(theirs, period))


def up_capture(returns: Values, benchmark: Values, period: AnyPeriod = Period.DAILY) -> float:
    """`capture` over the known pairs in which the benchmark rose. NaN if it never did. Source: empyrical."""
    ours, theirs = pairs(returns, benchmark)
    return capture(ours[theirs > 0.0], theirs[theirs > 0.0], period)


def down_capture(returns: Values, benchmark: Values, period: AnyPeriod = Period.DAILY) -> float:
    """`capture` over the known pairs in which the benchmark fell. NaN if it never did. Source: empyrical."""
    ours, theirs = pairs(returns, benchmark)
    return capture(ours[theirs < 0.0], theirs[theirs < 0.0], period)


def up_down_capture(returns: Values, benchmark: Values, period: AnyPeriod = Period.DAILY) -> float:
    """`up_capture` over `down_capture`. Source: empyrical."""
    return ratio(up_capture(returns, benchmark, period), down_capture(returns, benchmark, period))


def active(returns: Values, benchmark: Values) -> Floats:
    """Known values of r - b."""
    ours, theirs = pairs(returns, benchmark)
    return ours - theirs


def _side_by_side(returns: Values, benchmark: Values) -> tuple[Floats, Floats]:
    ours, theirs = as_floats(returns), as_floats(benchmark)
    if ours.size == 0 or theirs.size == 0:
        return np.empty(0), np.empty(0)
    if ours.size != theirs.size:
        raise LengthsDiffer(f"{ours.size} returns against a benchmark of {theirs.size}")
    return ours, theirs
