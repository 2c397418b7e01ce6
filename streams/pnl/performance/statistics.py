"""Performance statistics of one series of returns. Pure; one named convention each, stated with its source.

Arguments: `returns` are simple returns of equal periods, NaN or None for missing. `period` is a name (daily 252,
calendar_daily 365, weekly 52, monthly 12, quarterly 4, yearly 1) or a number of periods a year. A rate or a required
return is a number for each period, or a series as long as the returns, unless a function says otherwise.

Results: a float. NaN where the statistic is not defined (no rows, one row where a deviation is needed, 0 / 0), an
infinity where a ratio has nothing to be divided by. `summary` turns both into "no value" with a reason.
Where "empyrical" is named, the definition is that of quantopian/empyrical at 40f61b4f, whose published values we match.
"""

from __future__ import annotations

import math

import numpy as np

from streams.pnl.performance.returns import (
    Floats,
    LengthsDiffer,
    Period,
    Values,
    as_floats,
    drawdown_curve,
    drawdowns,
    growth_curve,
    known,
    per_year,
)

Rate = float | Values
"""A rate for each period: one number for all, or a series."""

EPSILON = float(np.finfo(np.float64).eps)


def total_return(returns: Values, start: float = 0.0) -> float:
    """Compounded total: product of (1 + r), less 1. With a `start` other than 0: the value that start grows to.

    Missing returns leave the value as it was; no known return: NaN. Source: empyrical cum_returns_final.
    """
    growth = _growth(returns)
    return growth - 1.0 if start == 0.0 else start * growth


def cumulative_returns(returns: Values, start: float = 0.0) -> Floats:
    """`total_return` after each period. Source: empyrical cum_returns."""
    curve = growth_curve(returns, 1.0 if start == 0.0 else start)
    return curve - 1.0 if start == 0.0 else curve


def cagr(returns: Values, period: Period | str | float = Period.DAILY) -> float:
    """Compound annual growth rate: (1 + total return)^(periods a year / length) - 1; length counts missing rows.

    Source: empyrical cagr, which is also its annual_return.
    """
    array = as_floats(returns)
    growth = _growth(array)
    if math.isnan(growth) or growth < 0.0:
        return math.nan
    with np.errstate(over="ignore"):
        return float(np.power(np.float64(growth), per_year(period) / array.size)) - 1.0


def annual_mean_return(returns: Values, period: Period | str | float = Period.DAILY) -> float:
    """Arithmetic mean of the known returns times periods a year; not compounded."""
    return mean(known(as_floats(returns))) * per_year(period)


def annual_volatility(returns: Values, period: Period | str | float = Period.DAILY) -> float:
    """Sample deviation (n - 1) of the known returns times sqrt(periods a year). Source: empyrical."""
    return sample_deviation(known(as_floats(returns))) * math.sqrt(per_year(period))


def downside_risk(returns: Values, required: Rate = 0.0, period: Period | str | float = Period.DAILY) -> float:
    """sqrt(mean of min(r - required, 0)^2 over all known returns) times sqrt(periods a year).

    The mean is over all known returns, not over the losing ones. Source: Sortino and Price (1994); empyrical.
    """
    short = np.minimum(excess(returns, required), 0.0)
    return math.sqrt(mean(short * short)) * math.sqrt(per_year(period)) if short.size else math.nan


def sharpe(returns: Values, risk_free: Rate = 0.0, period: Period | str | float = Period.DAILY) -> float:
    """mean(r - risk free) / sample deviation (n - 1) of the same, times sqrt(periods a year); rate is per period.

    Equal returns have no deviation: an infinity with the sign of the mean, NaN at zero. Source: Sharpe (1994);
    empyrical.
    """
    over = excess(returns, risk_free)
    if over.size < 2:
        return math.nan
    return ratio(mean(over), sample_deviation(over, scale_of(returns, risk_free))) * math.sqrt(per_year(period))


def sortino(returns: Values, required: Rate = 0.0, period: Period | str | float = Period.DAILY) -> float:
    """mean(r - required) times periods a year, over `downside_risk`; the required return is per period.

    No return below the required one: an infinity with the sign of the mean, NaN at zero. Source: Sortino and Price
    (1994); empyrical.
    """
    over = excess(returns, required)
    if as_floats(returns).size < 2 or not over.size:
        return math.nan
    return ratio(mean(over) * per_year(period), downside_risk(returns, required, period))


def max_drawdown(returns: Values) -> float:
    """Lowest (value / highest value so far - 1) of the compounded curve with its start; zero or below.

    Source: empyrical. No known return: NaN.
    """
    if not known(as_floats(returns)).size:
        return math.nan
    return float(np.min(drawdown_curve(curve_with_start(returns))))


def max_drawdown_duration(returns: Values) -> float:
    """Most periods from a peak of the compounded curve until it is reached again, or until the last row if it is not.

    Zero without a drawdown; NaN without a known return.
    """
    if not known(as_floats(returns)).size:
        return math.nan
    return float(max((fall.duration for fall in drawdowns(curve_with_start(returns))), default=0))


def calmar(returns: Values, period: Period | str | float = Period.DAILY) -> float:
    """`cagr` over the size of `max_drawdown`, over the whole series; NaN without a drawdown. Source: empyrical.

    Young (1991) takes the last 36 months; cut the series for that.
    """
    deepest = max_drawdown(returns)
    return cagr(returns, period) / -deepest if deepest < 0.0 else math.nan


def omega(
    returns: Values,
    risk_free: Rate = 0.0,
    required_a_year: float = 0.0,
    period: Period | str | float = Period.DAILY,
) -> float:
    """Sum of gains over sum of losses, of r - risk free - t, with t = (1 + required a year)^(1 / periods) - 1.

    The risk-free rate is per period, the required return per year (above -1, else NaN). NaN without a loss. Source:
    Keating and Shadwick (2002); empyrical omega_ratio.
    """
    periods = per_year(period)
    if as_floats(returns).size < 2:
        return math.nan
    if periods == 1.0:
        threshold = required_a_year
    elif required_a_year <= -1.0:
        return math.nan
    else:
        threshold = (1.0 + required_a_year) ** (1.0 / periods) - 1.0
    over = excess(returns, risk_free) - threshold
    losses = -float(np.sum(over[over < 0.0]))
    return float(np.sum(over[over > 0.0])) / losses if losses > 0.0 else math.nan


def value_at_risk(returns: Values, cutoff: float = 0.05) -> float:
    """Historical: the `cutoff` percentile of the known returns of one period, linear between ranks. A loss is below 0.

    `cutoff` from 0 to 1. Source: empyrical.
    """
    values = known(as_floats(returns))
    return float(np.percentile(values, 100.0 * cutoff)) if values.size else math.nan


def expected_shortfall(returns: Values, cutoff: float = 0.05) -> float:
    """Mean of the floor((n - 1) * cutoff) + 1 lowest known returns: CVaR. A loss is below 0.

    Source: empyrical conditional_value_at_risk; missing returns are left out first.
    """
    values = known(as_floats(returns))
    if not values.size:
        return math.nan
    worst = int((values.size - 1) * cutoff)
    return mean(np.partition(values, worst)[: worst + 1])


def tail_ratio(returns: Values) -> float:
    """|95th percentile| over |5th percentile| of the known returns, linear between ranks. Source: empyrical."""
    values = known(as_floats(returns))
    if not values.size:
        return math.nan
    high, low = np.percentile(values, (95.0, 5.0))
    return ratio(abs(float(high)), abs(float(low)))


def stability(returns: Values) -> float:
    """R squared of a straight line through the cumulated log returns against time; 1 is steady growth or decay.

    NaN below two known returns, for a total loss, and where nothing moves. Source: empyrical stability_of_timeseries.
    """
    values = known(as_floats(returns))
    if values.size < 2 or bool(np.any(values <= -1.0)):
        return math.nan
    path = np.cumsum(np.log1p(values))
    time = np.arange(path.size, dtype=np.float64)
    across, up = time - time.mean(), path - path.mean()
    spread = float(up @ up)
    if spread <= path.size * (EPSILON * float(np.max(np.abs(path)))) ** 2:
        return math.nan
    return min(float(across @ up) ** 2 / (float(across @ across) * spread), 1.0)


def skewness(returns: Values) -> float:
    """Adjusted Fisher-Pearson G1 = sqrt(n (n - 1)) / (n - 2) * m3 / m2^1.5; needs 3 known returns that differ.

    Source: Joanes and Gill (1998); as in spreadsheets' SKEW.
    """
    values = known(as_floats(returns))
    n = values.size
    if n < 3:
        return math.nan
    return standard_moment(values, 3) * math.sqrt(n * (n - 1)) / (n - 2)


def excess_kurtosis(returns: Values) -> float:
    """Adjusted G2 = (n - 1) / ((n - 2) (n - 3)) * ((n + 1) * (m4 / m2^2 - 3) + 6); normal is 0; needs 4 that differ.

    Source: Joanes and Gill (1998); as in spreadsheets' KURT.
    """
    values = known(as_floats(returns))
    n = values.size
    if n < 4:
        return math.nan
    return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (standard_moment(values, 4) - 3.0) + 6.0)


def less(returns: Values, rate: Rate) -> Floats:
    """r - rate, missing where either is. Raises LengthsDiffer."""
    array = as_floats(returns)
    if isinstance(rate, (int, float)):
        return array - float(rate)
    other = as_floats(rate)
    if other.size != array.size:
        raise LengthsDiffer(f"{array.size} returns against a series of {other.size}")
    return array - other


def excess(returns: Values, rate: Rate) -> Floats:
    """Known values of r - rate. Raises LengthsDiffer."""
    return known(less(returns, rate))


def curve_with_start(returns: Values) -> Floats:
    """The compounded curve of 1 with its start: one longer than the returns."""
    return np.concatenate(([1.0], growth_curve(returns)))


def mean(values: Floats) -> float:
    """Arithmetic mean; NaN of nothing."""
    return float(np.mean(values)) if values.size else math.nan


def sample_deviation(values: Floats, scale: float = 0.0) -> float:
    """Deviation with n - 1; NaN below two values.

    Zero where the values differ by no more than the rounding of numbers as large as they or `scale` are: the noise
    of a subtraction is not risk, and dividing by it would print a Sharpe ratio of 10^15.
    """
    if values.size < 2:
        return math.nan
    deviation = float(np.std(values, ddof=1))
    return 0.0 if deviation <= 4.0 * EPSILON * max(scale, float(np.max(np.abs(values)))) else deviation


def scale_of(*series: Rate) -> float:
    """The largest known size among series and numbers."""
    sizes = [
        np.abs(known(np.atleast_1d(np.float64(s)) if isinstance(s, (int, float)) else as_floats(s))) for s in series
    ]
    return max((float(np.max(size)) for size in sizes if size.size), default=0.0)


def standard_moment(values: Floats, power: int) -> float:
    """Population moment m_power / m2^(power / 2); NaN where the values do not differ."""
    if not sample_deviation(values) > 0.0:
        return math.nan
    off = values - np.mean(values)
    return float(np.mean(off**power) / np.mean(off**2) ** (power / 2))


def ratio(over: float, under: float) -> float:
    """Division where x / 0 is an infinity with the sign of x, and 0 / 0 or a missing part is NaN."""
    if math.isnan(over) or math.isnan(under):
        return math.nan
    if under == 0.0:
        return math.nan if over == 0.0 else math.copysign(math.inf, over)
    return over / under


def _growth(returns: Values) -> float:
    array = as_floats(returns)
    return float(growth_curve(array)[-1]) if known(array).size else math.nan
