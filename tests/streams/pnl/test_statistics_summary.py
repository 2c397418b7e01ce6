"""The summary of a series: what is shown, what is withheld and why, and how a benchmark is matched."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from streams.pnl.performance import relative, statistics
from streams.pnl.performance.metrics import METRICS, SMALL_SAMPLE
from streams.pnl.performance.returns import (
    DAY_US,
    DuplicateTime,
    LengthsDiffer,
    Period,
    PeriodUnknown,
    Series,
    SeriesError,
    TimesOutOfOrder,
)
from streams.pnl.performance.summary import summarise
from tests.streams.pnl.test_statistics_of_trades import trade

MONDAY_US = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
HOUR_US = DAY_US // 24


def days(count: int, step: int = 1) -> list[int]:
    return [MONDAY_US + step * day * DAY_US for day in range(count)]


def returns(count: int, seed: int = 1) -> list[float]:
    drawn: list[float] = np.random.default_rng(seed).normal(0.001, 0.01, count).round(6).tolist()
    return drawn


def test_fewer_than_thirty_returns_show_no_estimate_but_keep_the_facts() -> None:
    few, enough = (summarise(Series.of_returns(returns(n)), "daily") for n in (SMALL_SAMPLE - 1, SMALL_SAMPLE))
    assert few["sharpe"].shown == "n < 30"
    assert few["sharpe"].value is not None
    assert few["total_return"].why is None
    assert few["max_drawdown"].shown.endswith("%")
    assert enough["sharpe"].why is None
    assert enough["sharpe"].shown == f"{enough['sharpe'].value:.2f}"


def test_equal_returns_have_no_ratio_and_say_why() -> None:
    summary = summarise(Series.of_returns([0.01] * 40), "daily")
    assert (summary["sharpe"].value, summary["sharpe"].shown) == (None, "the returns do not differ")
    assert summary["sortino"].shown == "no return below the required one"
    assert summary["calmar"].shown == "no drawdown"
    assert summary["profit_factor"].shown == "no loss to divide by"
    assert summary["annual_volatility"].value == 0.0


@pytest.mark.parametrize(("values", "n"), [([], 0), ([None, None], 0), ([None, 0.01], 1)])
def test_nothing_or_one_return_is_a_summary_that_says_so(values: list[float | None], n: int) -> None:
    summary = summarise(Series.of_returns(values), "monthly")
    assert (summary.n, summary.rows, summary.missing) == (n, len(values), len(values) - n)
    assert summary["sharpe"].shown == f"n = {n}"
    json.dumps(summary.to_json(), allow_nan=False)


def test_no_trades_are_no_hit_rate_no_exposure_and_no_turnover() -> None:
    summary = summarise(Series.of_equity([100.0, 101.0, 99.0], days(3)), trades=[])
    assert summary.basis == "trades"
    assert summary["hit_rate"].shown == "n = 0"
    assert (summary["exposure"].value, summary["turnover"].value) == (0.0, 0.0)
    assert summary.trades is not None
    assert summary.trades.all.trades == 0


def test_one_trade_has_an_expectancy_and_nothing_to_compare_it_with() -> None:
    at = MONDAY_US // DAY_US
    summary = summarise(Series.of_equity([100.0, 110.0], days(2)), trades=[trade("10", days=(at, at + 0.5))])
    assert summary["expectancy"].value == 10.0
    assert summary["expectancy"].shown == "n < 30"
    assert summary["sqn"].shown == "n = 1"
    assert summary["exposure"].value == 0.5
    assert summary["turnover"].value == pytest.approx(10 * 201 / 105 * 365.25)


def test_trades_without_times_or_equity_say_what_is_lacking() -> None:
    summary = summarise(Series.of_returns([0.1, 0.2]), "daily", trades=[trade()])
    assert summary["exposure"].shown == "needs trades and times"
    assert summary["turnover"].shown == "needs trades, times and equity points"
    assert summary["beta"].shown == "needs a benchmark"


def test_without_trades_results_are_those_of_periods() -> None:
    summary = summarise(Series.of_returns([0.02, -0.01, None]), "daily")
    assert (summary.basis, summary["hit_rate"].n) == ("periods", 2)
    assert summary["expectancy"].value == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("step", "period"),
    [(1, "daily"), (4, "daily"), (5, "weekly"), (7, "weekly"), (30, "monthly"), (91, "quarterly"), (365, "yearly")],
)
def test_the_period_is_inferred_from_the_times(step: int, period: str) -> None:
    assert summarise(Series.of_returns(returns(12), days(12, step))).period == period


@pytest.mark.parametrize("step", [15, 50, 200, 700])
def test_times_of_no_known_period_are_refused_unless_one_is_given(step: int) -> None:
    series = Series.of_returns(returns(12), days(12, step))
    with pytest.raises(PeriodUnknown, match=f"median of {step} days"):
        summarise(series)
    assert summarise(series, "yearly").period is Period.YEARLY
    with pytest.raises(SeriesError, match="fortnightly"):
        summarise(series, "fortnightly")


def test_rows_finer_than_a_day_are_compounded_into_days_with_the_first_as_start() -> None:
    times = [MONDAY_US + hour * HOUR_US for hour in (9, 12, 16, 33, 40)]
    summary = summarise(Series.of_equity([100.0, 90.0, 110.0, 99.0, 121.0], times))
    assert (summary.period, summary.rows) == ("daily", 2)
    assert summary["total_return"].value == pytest.approx(0.21)
    assert summary["annual_mean_return"].value == pytest.approx(0.1 * 252)
    assert summary.notes == ("rows finer than a day are compounded into UTC days",)
    assert summarise(Series.of_equity([100.0, 90.0, 110.0, 99.0, 121.0], times), "daily").rows == 2


def test_rows_that_do_not_look_like_the_period_given_are_noted() -> None:
    assert "look daily and are taken as weekly" in summarise(Series.of_returns(returns(9), days(9)), "weekly").notes[0]
    assert summarise(Series.of_returns(returns(9), days(9)), "calendar_daily").notes == ()


def test_weekend_rows_and_gaps_are_noted() -> None:
    notes = summarise(Series.of_returns(returns(4), [*days(3), MONDAY_US + 12 * DAY_US])).notes
    assert notes == (
        "1 rows are on weekends and a year counts 252 days; period calendar_daily counts 365",
        "1 gaps longer than 5 days, the first after 2024-01-03",
    )


def test_duplicate_and_unordered_times_are_refused_with_their_row() -> None:
    with pytest.raises(DuplicateTime, match="row 3: 2024-01-02 is already the time of row 2"):
        Series.of_returns(returns(3), [days(2)[0], days(2)[1], days(2)[1]])
    with pytest.raises(TimesOutOfOrder, match="row 3: 2024-01-01 is before 2024-01-02"):
        Series.of_equity([1.0, 2.0, 3.0], [days(2)[0], days(2)[1], days(2)[0]])


def test_money_may_come_as_decimals() -> None:
    summary = summarise(Series.of_equity([Decimal("100"), Decimal("101.5"), None], days(3)))
    assert summary["total_return"].value == pytest.approx(0.015)
    assert summary.missing == 1


def test_a_benchmark_is_matched_by_day_and_rows_without_one_are_left_out() -> None:
    ours, market = returns(40), returns(40, seed=2)
    series = Series.of_returns(ours, days(40))
    late = Series.of_returns(market[5:], [time + 16 * HOUR_US for time in days(40)[5:]])
    summary = summarise(series, benchmark=late)
    assert summary["beta"].value == pytest.approx(relative.beta(ours[5:], market[5:]))
    assert summary["beta"].n == 35
    assert "the benchmark covers 35 of 40 rows" in summary.notes


def test_prices_of_a_benchmark_are_compared_over_the_same_step() -> None:
    """The benchmark has no price on the third day: neither that row nor the next one is compared."""
    equity = Series.of_equity([100.0, 101.0, 103.0, 102.0, 106.0, 108.0], days(6))
    prices = Series.of_equity([50.0, 51.0, None, 50.0, 52.0, 53.0], days(6))
    summary = summarise(equity, benchmark=prices)
    ours, market = [0.01, 106 / 102 - 1, 108 / 106 - 1], [0.02, 0.04, 53 / 52 - 1]
    assert summary["beta"].n == 3
    assert summary["beta"].value == pytest.approx(relative.beta(ours, market))


def test_daily_prices_serve_a_weekly_series_and_daily_returns_do_not() -> None:
    weekly = Series.of_equity([100.0, 103.0, 101.0, 106.0], days(4, 7))
    prices = [50.0 + 0.3 * day - 0.01 * day * day for day in range(22)]
    summary = summarise(weekly, benchmark=Series.of_equity(prices, days(22)))
    market = [prices[7] / prices[0] - 1, prices[14] / prices[7] - 1, prices[21] / prices[14] - 1]
    assert summary["beta"].value == pytest.approx(relative.beta([0.03, 101 / 103 - 1, 106 / 101 - 1], market))
    with pytest.raises(SeriesError, match="the benchmark's returns are daily, the series is weekly"):
        summarise(weekly, benchmark=Series.of_returns(returns(22), days(22)))


def test_a_benchmark_without_times_must_be_as_long() -> None:
    with pytest.raises(LengthsDiffer):
        summarise(Series.of_returns(returns(5)), "daily", benchmark=Series.of_returns(returns(4)))


def test_the_deepest_drawdowns_come_first_with_their_times() -> None:
    summary = summarise(Series.of_equity([100.0, 95.0, 100.0, 80.0, 90.0], days(5)))
    worst, mild = summary.falls
    assert [worst.depth, mild.depth] == pytest.approx([-0.2, -0.05])
    assert (worst.recovered, worst.peak_us) == (False, days(5)[2])
    assert (mild.recovery_us, mild.duration) == (days(5)[2], 2)
    from_start = summarise(Series.of_returns([-0.1, 0.0], days(2))).falls[0]
    assert (from_start.peak_us, from_start.trough_us, from_start.duration) == (None, days(2)[0], 2)


def test_months_compound_their_own_returns() -> None:
    times = [MONDAY_US + day * DAY_US for day in (0, 30, 31, 60)]
    months = summarise(Series.of_returns([0.1, 0.1, -0.5, None], times), "daily").months
    assert {month: None if value is None else round(value, 12) for month, value in months.items()} == {
        (2024, 1): 0.21,
        (2024, 2): -0.5,
        (2024, 3): None,
    }


def test_json_has_each_number_under_its_name_and_in_full() -> None:
    summary = summarise(
        Series.of_returns(returns(300), days(300)), benchmark=Series.of_returns(returns(300, 3), days(300))
    )
    found = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert set(METRICS) <= set(found)
    assert found["sharpe"] == found["statistics"]["sharpe"]["value"] == summary["sharpe"].value
    assert found["sharpe"] == pytest.approx(statistics.sharpe(returns(300)))
    low, high = found["statistics"]["sharpe"]["low"], found["statistics"]["sharpe"]["high"]
    assert low < found["sharpe"] < high
    assert found["from"] == "2024-01-01"


def test_every_statistic_states_its_convention_its_unit_and_a_reason() -> None:
    for metric in METRICS.values():
        assert len(metric.convention.split()) >= 8, metric.name
        assert metric.undefined
        assert metric.needs_benchmark == (metric.function.__module__ == relative.__name__)
