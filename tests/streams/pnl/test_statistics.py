"""Statistics of returns: each convention on numbers that can be checked by hand, and both sides of each edge."""

import math

import numpy as np
import pytest

from streams.pnl.performance import relative, statistics
from streams.pnl.performance.returns import (
    EquityNotPositive,
    LengthsDiffer,
    NotFinite,
    PeriodUnknown,
    ReturnBelowTotalLoss,
    Series,
    SeriesError,
    daily,
    drawdowns,
    growth_curve,
    per_year,
    simple_returns,
)

NAN = math.nan
UP_DOWN = [0.1, -0.1]


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("daily", 252.0),
        ("calendar_daily", 365.0),
        ("weekly", 52.0),
        ("monthly", 12.0),
        ("quarterly", 4.0),
        ("yearly", 1.0),
        (13, 13.0),
    ],
)
def test_a_year_has_the_customary_number_of_periods(period: str | float, expected: float) -> None:
    assert per_year(period) == expected


@pytest.mark.parametrize("period", ["hourly", "", 0, -1, NAN])
def test_an_unknown_period_is_refused(period: str | float) -> None:
    with pytest.raises(PeriodUnknown):
        per_year(period)


def test_a_missing_return_leaves_means_alone_and_lengthens_growth() -> None:
    without, holed = [0.01, 0.02], [0.01, None, 0.02]
    assert statistics.sharpe(holed) == statistics.sharpe(without)
    assert statistics.total_return(holed) == statistics.total_return(without)
    assert statistics.cagr(without, "monthly") == pytest.approx((1.01 * 1.02) ** 6 - 1)
    assert statistics.cagr(holed, "monthly") == pytest.approx((1.01 * 1.02) ** 4 - 1)


def test_nothing_known_has_no_statistics() -> None:
    for nothing in ([], [None, NAN]):
        values = [
            statistics.total_return(nothing),
            statistics.cagr(nothing),
            statistics.annual_volatility(nothing),
            statistics.sharpe(nothing),
            statistics.sortino(nothing),
            statistics.max_drawdown(nothing),
            statistics.max_drawdown_duration(nothing),
            statistics.calmar(nothing),
            statistics.omega(nothing),
            statistics.value_at_risk(nothing),
            statistics.expected_shortfall(nothing),
            statistics.tail_ratio(nothing),
            statistics.stability(nothing),
            statistics.skewness(nothing),
            statistics.excess_kurtosis(nothing),
            statistics.downside_risk(nothing),
        ]
        assert all(math.isnan(value) for value in values)


def test_one_return_has_a_total_and_no_deviation() -> None:
    assert statistics.total_return([0.01]) == pytest.approx(0.01)
    assert statistics.cagr([0.01], "yearly") == pytest.approx(0.01)
    assert statistics.max_drawdown([0.01]) == 0.0
    assert math.isnan(statistics.annual_volatility([0.01]))
    assert math.isnan(statistics.sharpe([0.01]))
    assert math.isnan(statistics.sortino([0.01]))


def test_equal_returns_have_an_infinite_sharpe_ratio_and_never_a_huge_number() -> None:
    assert statistics.sharpe([0.01] * 1000) == math.inf
    assert statistics.sharpe([-0.01] * 1000) == -math.inf
    assert math.isnan(statistics.sharpe([0.0] * 10))
    assert statistics.sharpe([0.3, 0.1, 0.7], [0.2, 0.0, 0.6]) == math.inf


def test_a_total_loss_is_minus_one_hundred_percent_for_good() -> None:
    ruined = [0.5, -1.0, 2.0]
    assert statistics.total_return(ruined) == -1.0
    assert statistics.cagr(ruined) == -1.0
    assert statistics.max_drawdown(ruined) == -1.0
    assert math.isnan(statistics.stability(ruined))


def test_a_drawdown_counts_from_the_start_even_if_it_never_rose() -> None:
    assert statistics.max_drawdown([-0.1, -0.1]) == pytest.approx(-0.19)


def test_a_drawdown_lasts_from_its_peak_until_the_peak_is_reached_again() -> None:
    assert statistics.max_drawdown_duration([0.1, 0.1]) == 0
    assert statistics.max_drawdown_duration([0.1, -0.5, 1.0]) == 2
    assert statistics.max_drawdown_duration([0.1, -0.5, 0.99]) == 2
    assert statistics.max_drawdown_duration([0.1, -0.5, 0.99, 0.0]) == 3
    assert statistics.max_drawdown_duration([-0.1, 0.2, -0.1, -0.1, 0.0]) == 3


def test_rounding_does_not_prolong_a_drawdown() -> None:
    equity = [100.0, 90.0, 99.99, 100.0] * 500
    falls = drawdowns(growth_curve([0.0, *simple_returns(equity)]))
    assert {fall.duration for fall in falls} == {3}
    assert falls[-1].recovery == len(equity) - 1


def test_an_unrecovered_drawdown_is_open() -> None:
    last = drawdowns(growth_curve([0.1, -0.2, 0.05]))[-1]
    assert (last.peak, last.trough, last.recovery, last.duration) == (0, 1, None, 2)
    assert last.depth == pytest.approx(-0.2)


def test_calmar_needs_a_drawdown() -> None:
    assert math.isnan(statistics.calmar([0.01, 0.02]))
    assert statistics.calmar([0.2, -0.1], "yearly") == pytest.approx((1.08**0.5 - 1) / 0.1)


def test_omega_takes_its_required_return_by_the_year() -> None:
    assert statistics.omega([0.02, -0.01]) == pytest.approx(2.0)
    assert statistics.omega([0.02, -0.01], required_a_year=0.01, period="yearly") == pytest.approx(0.5)
    monthly = 1.01 ** (1 / 12) - 1
    expected = (0.02 - monthly) / (0.01 + monthly)
    assert statistics.omega([0.02, -0.01], required_a_year=0.01, period="monthly") == pytest.approx(expected)
    assert math.isnan(statistics.omega([0.02, 0.01]))
    assert math.isnan(statistics.omega([0.02, -0.01], required_a_year=-1.0))


def test_value_at_risk_lies_between_ranks_and_expected_shortfall_on_them() -> None:
    returns = [float(rank) for rank in range(-10, 11)]
    assert statistics.value_at_risk(returns, 0.05) == -9.0
    assert statistics.value_at_risk(returns, 0.075) == -8.5
    assert statistics.expected_shortfall(returns, 0.05) == -9.5
    assert statistics.expected_shortfall(returns, 0.0499) == -10.0
    assert statistics.expected_shortfall(returns, 0.0) == -10.0
    assert statistics.expected_shortfall(returns, 1.0) == 0.0


def test_steady_growth_is_fully_stable_and_no_movement_is_not_defined() -> None:
    assert statistics.stability([0.01] * 50) == pytest.approx(1.0)
    assert statistics.stability([-0.01] * 50) == pytest.approx(1.0)
    assert math.isnan(statistics.stability([0.0] * 50))


def test_skew_and_kurtosis_are_the_adjusted_ones_of_spreadsheets() -> None:
    """The worked examples of the SKEW and KURT functions in public spreadsheet manuals."""
    values = [3.0, 4.0, 5.0, 2.0, 3.0, 4.0, 5.0, 6.0, 4.0, 7.0]
    assert statistics.skewness(values) == pytest.approx(0.359543071)
    assert statistics.excess_kurtosis(values) == pytest.approx(-0.151799637)
    assert math.isnan(statistics.skewness([1.0, 2.0]))
    assert math.isnan(statistics.excess_kurtosis([1.0, 2.0, 3.0]))
    assert math.isnan(statistics.skewness([0.1] * 9))


def test_tail_ratio_without_a_low_tail_divides_by_nothing() -> None:
    assert statistics.tail_ratio([0.0] * 99 + [1.0] * 20) == math.inf
    assert math.isnan(statistics.tail_ratio([0.0] * 9))


def test_growth_too_large_for_a_float_is_infinite_and_not_an_error() -> None:
    assert statistics.cagr([1e6] * 100, "daily") == math.inf


def test_beta_and_alpha_are_those_of_the_line() -> None:
    market = [0.01, -0.02, 0.03, 0.0]
    ours = [2 * value + 0.001 for value in market]
    assert relative.beta(ours, market) == pytest.approx(2.0)
    assert relative.alpha(ours, market, period="monthly") == pytest.approx(1.001**12 - 1)
    assert relative.alpha(ours, market, risk_free=0.0005, period="yearly") == pytest.approx(0.001 + 0.0005)
    assert relative.treynor(ours, market, period="yearly") == pytest.approx((2 * 0.005 + 0.001) / 2)


def test_only_rows_that_both_have_are_compared() -> None:
    ours, market = [0.02, None, 0.06, 0.0, 9.0], [0.01, 0.5, 0.03, 0.0, NAN]
    assert relative.beta(ours, market) == pytest.approx(2.0)
    assert relative.tracking_error(ours, market, "yearly") == relative.tracking_error(
        [0.02, 0.06, 0], [0.01, 0.03, 0], 1
    )


def test_a_benchmark_that_does_not_vary_has_no_beta() -> None:
    assert math.isnan(relative.beta([0.01, 0.02, 0.03], [0.01, 0.01, 0.01]))
    assert math.isnan(relative.alpha([0.01, 0.02, 0.03], [0.01, 0.01, 0.01]))
    assert math.isnan(relative.treynor([0.01, 0.02, 0.03], [0.01, 0.01, 0.01]))


def test_a_constant_lead_over_the_benchmark_is_an_infinite_information_ratio() -> None:
    market = [0.0123, -0.0321, 0.0077, 0.0011]
    assert relative.information_ratio([value + 0.001 for value in market], market) == math.inf
    assert math.isnan(relative.information_ratio(market, market))


def test_information_ratio_is_per_period_unless_a_period_is_given() -> None:
    ours, market = [0.02, 0.01, 0.03], [0.01, 0.02, 0.01]
    assert relative.information_ratio(ours, market, "monthly") == pytest.approx(
        relative.information_ratio(ours, market) * math.sqrt(12)
    )


def test_capture_is_taken_where_the_benchmark_moved_that_way() -> None:
    ours, market = [0.02, -0.01, 0.02], [0.01, -0.02, 0.0]
    assert relative.up_capture(ours, market, "yearly") == pytest.approx(2.0)
    assert relative.down_capture(ours, market, "yearly") == pytest.approx(0.5)
    assert relative.up_down_capture(ours, market, "yearly") == pytest.approx(4.0)
    assert math.isnan(relative.down_capture([0.01], [0.01]))


def test_series_of_different_lengths_are_refused_unless_one_is_empty() -> None:
    with pytest.raises(LengthsDiffer):
        relative.beta([0.1, 0.2], [0.1, 0.2, 0.3])
    with pytest.raises(LengthsDiffer):
        statistics.sharpe([0.1, 0.2], [0.1])
    assert math.isnan(relative.beta([], [0.1, 0.2, 0.3]))


@pytest.mark.parametrize(
    ("equity", "row"), [([100.0, 0.0, 5.0], 2), ([-1.0], 1), ([100.0, None, 90.0, -36.98], 4), ([0.0, 1.0], 1)]
)
def test_equity_of_zero_or_less_is_refused_with_its_row(equity: list[float | None], row: int) -> None:
    with pytest.raises(EquityNotPositive, match=f"row {row}: equity of"):
        Series.of_equity(equity)


def test_a_return_below_total_loss_is_refused_with_its_row() -> None:
    assert Series.of_returns([0.1, -1.0]).values.size == 2
    with pytest.raises(ReturnBelowTotalLoss, match="row 2") as refusal:
        Series.of_returns([0.1, -1.0000001])
    assert refusal.value.row == 2


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinite_value_is_refused_with_its_row(value: float) -> None:
    with pytest.raises(NotFinite, match="row 3"):
        Series.of_returns([0.1, 0.2, value])
    with pytest.raises(NotFinite):
        statistics.sharpe([0.1, 0.2, value])


def test_the_return_after_missing_equity_spans_the_gap() -> None:
    returns = simple_returns([None, 100.0, None, 110.0, 99.0])
    assert [None if math.isnan(value) else round(value, 12) for value in returns] == [None, None, 0.1, -0.1]
    assert statistics.total_return(returns) == pytest.approx(-0.01)


def test_values_at_other_times_are_missing_where_the_series_has_none() -> None:
    series = Series.of_returns([0.01, 0.02, 0.03], [1, 2, 3])
    matched = series.at([0, 2, 3, 4])
    assert matched.times_us == (0, 2, 3, 4)
    assert np.array_equal(matched.values, np.array([np.nan, 0.02, 0.03, np.nan]), equal_nan=True)


def test_a_series_without_times_is_neither_matched_nor_binned_and_says_so() -> None:
    series = Series.of_returns([0.01, 0.02])
    with pytest.raises(SeriesError, match="matched by time"):
        series.at([1])
    with pytest.raises(SeriesError, match="binned by time"):
        daily(series)


def test_values_and_times_of_different_number_and_rows_of_several_values_are_refused() -> None:
    with pytest.raises(LengthsDiffer, match="1 times for 2 values"):
        Series.of_returns([0.01, 0.02], [1])
    with pytest.raises(SeriesError, match="one value in each row"):
        Series.of_returns(np.zeros((2, 2)))
