"""What holds for statistics of any returns at all."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.pnl.performance import relative, statistics, trades
from streams.pnl.performance.returns import Period, Series, simple_returns
from streams.pnl.performance.summary import summarise

RETURN = st.floats(-0.5, 0.5, allow_nan=False).map(lambda value: round(value, 6))
RETURNS = st.lists(RETURN, min_size=2, max_size=60)
HOLED = st.lists(st.one_of(st.none(), RETURN), max_size=60)
PERIOD = st.sampled_from(list(Period))

ORDERLESS = [
    statistics.total_return,
    statistics.cagr,
    statistics.annual_mean_return,
    statistics.annual_volatility,
    statistics.downside_risk,
    statistics.sharpe,
    statistics.sortino,
    statistics.omega,
    statistics.value_at_risk,
    statistics.expected_shortfall,
    statistics.tail_ratio,
    statistics.skewness,
    statistics.excess_kurtosis,
    trades.hit_rate,
    trades.profit_factor,
    trades.expectancy,
    trades.payoff,
    trades.sqn,
    trades.kelly,
]


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other)) or one == pytest.approx(other, rel=1e-6, abs=1e-9)


@given(RETURNS, st.randoms(use_true_random=False))
def test_the_order_of_returns_matters_only_to_drawdowns_and_stability(
    returns: list[float], luck: st.DataObject
) -> None:
    shuffled = list(returns)
    luck.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands in a random.Random
    for statistic in ORDERLESS:
        assert same(statistic(returns), statistic(shuffled)), statistic.__name__


@given(RETURNS, st.floats(0.01, 1.0))
def test_leverage_scales_risk_and_leaves_ratios(returns: list[float], scale: float) -> None:
    assume(statistics.annual_volatility(returns) > 1e-6)
    scaled = [value * scale for value in returns]
    assert statistics.annual_volatility(scaled) == pytest.approx(statistics.annual_volatility(returns) * scale)
    assert same(statistics.sharpe(scaled), statistics.sharpe(returns))
    assert same(statistics.sortino(scaled), statistics.sortino(returns))
    assert same(statistics.skewness(scaled), statistics.skewness(returns))
    assert same(statistics.value_at_risk(scaled), statistics.value_at_risk(returns) * scale)


@given(RETURNS)
def test_sharpe_has_the_sign_of_the_mean(returns: list[float]) -> None:
    sharpe, mean = statistics.sharpe(returns), statistics.annual_mean_return(returns)
    assume(abs(mean) > 1e-9)
    assert math.copysign(1, sharpe) == math.copysign(1, mean)


@given(RETURNS)
def test_a_drawdown_is_between_total_loss_and_nothing_and_no_smaller_than_the_worst_period(
    returns: list[float],
) -> None:
    drawdown = statistics.max_drawdown(returns)
    assert -1.0 <= drawdown <= 0.0
    assert drawdown <= min(0.0, *returns) + 1e-12
    assert drawdown <= min(0.0, statistics.total_return(returns)) + 1e-12
    assert 0 <= statistics.max_drawdown_duration(returns) <= len(returns)


@given(RETURNS, st.floats(0.0001, 0.1))
def test_better_returns_never_have_a_deeper_drawdown(returns: list[float], more: float) -> None:
    assert statistics.max_drawdown([value + more for value in returns]) >= statistics.max_drawdown(returns) - 1e-12


@given(RETURNS)
def test_the_tail_is_no_better_than_its_edge(returns: list[float]) -> None:
    assert statistics.expected_shortfall(returns) <= statistics.value_at_risk(returns) + 1e-12
    assert min(returns) - 1e-12 <= statistics.expected_shortfall(returns)


@given(RETURNS, st.floats(1.0, 1e7))
def test_equity_and_its_returns_have_the_same_statistics(returns: list[float], start: float) -> None:
    equity = np.concatenate(([start], start * np.cumprod(1 + np.array(returns))))
    assert same(statistics.total_return(simple_returns(equity)), statistics.total_return(returns))
    by_equity = summarise(Series.of_equity(equity), "daily").statistics
    by_returns = summarise(Series.of_returns(returns), "daily").statistics
    for name in ("total_return", "cagr", "max_drawdown", "annual_volatility"):
        assert by_equity[name].value == pytest.approx(by_returns[name].value, rel=1e-6, abs=1e-9), name


@given(RETURNS, st.integers(0, 60))
def test_a_missing_row_changes_nothing_but_annual_growth(returns: list[float], at: int) -> None:
    holed: list[float | None] = [*returns[:at], None, *returns[at:]]
    for statistic in (*ORDERLESS[2:], statistics.max_drawdown):
        assert same(statistic(holed), statistic(returns)), statistic.__name__


@given(RETURNS)
def test_a_series_against_itself_is_the_market(returns: list[float]) -> None:
    assume(statistics.annual_volatility(returns) > 1e-6)
    assert relative.beta(returns, returns) == pytest.approx(1.0)
    assert relative.alpha(returns, returns) == pytest.approx(0.0, abs=1e-9)
    assert relative.tracking_error(returns, returns) == 0.0
    assert same(relative.up_capture(returns, returns), 1.0) or max(returns) <= 0


@given(HOLED, PERIOD)
def test_every_summary_is_finite_numbers_and_reasons(returns: list[float | None], period: Period) -> None:
    summary = summarise(Series.of_returns(returns), period, benchmark=Series.of_returns(returns), trades=[])
    for statistic in summary.statistics.values():
        assert statistic.value is None or math.isfinite(statistic.value)
        assert statistic.value is not None or statistic.why
        if statistic.low is not None and statistic.high is not None and statistic.value is not None:
            assert statistic.low <= statistic.high
            assert statistic.low - 1e-9 <= statistic.value <= statistic.high + 1e-9 or statistic.name == "value_at_risk"
