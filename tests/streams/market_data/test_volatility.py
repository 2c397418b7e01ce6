"""Estimators, held to values worked out with the textbook formulas, and absent without their inputs."""

import math
import statistics
from itertools import pairwise
from typing import Any

import pytest

from schemas.market import MarketCondition, Regime
from streams.market_data.rules.volatility import CALM_BELOW, DECAY, HISTORY_MIN, STRESSED_FROM, WINDOW
from streams.market_data.rules.windows import median, median_distance, pushed_both
from tests.connectors.feeds.shared_sets import instrument
from tests.streams.market_data.market import Exchange, bars, only

PAIRS = [(1000 + 7 * (day % 5), 1003 + 5 * (day % 6)) for day in range(WINDOW + 1)]
ROWS = [(a, max(a, b) + 10 + day % 5, min(a, b) - 8 - day % 3, b) for day, (a, b) in enumerate(PAIRS)]
ROOT = math.sqrt(252)


def conditions(*rows: tuple[int, ...], **changes: Any) -> list[MarketCondition]:
    return only(Exchange(instrument(**changes)).tell(bars(*rows)), MarketCondition)


def log_returns() -> list[float]:
    closes = [row[3] / 100 for row in ROWS]
    return [math.log(now / before) for before, now in pairwise(closes)]


def test_close_to_close_is_the_sample_deviation_of_log_returns() -> None:
    assert conditions(*ROWS)[-1].close_to_close_volatility == pytest.approx(statistics.stdev(log_returns()) * ROOT)


def test_parkinson_is_taken_of_the_ranges() -> None:
    terms = [math.log(high / low) ** 2 for _, high, low, _ in ROWS[1:]]
    expected = math.sqrt(sum(terms) / len(terms) / (4 * math.log(2))) * ROOT
    assert conditions(*ROWS)[-1].parkinson_volatility == pytest.approx(expected)


def test_garman_klass_is_taken_of_open_high_low_and_close() -> None:
    terms = [
        0.5 * math.log(high / low) ** 2 - (2 * math.log(2) - 1) * math.log(close / opened) ** 2
        for opened, high, low, close in ROWS[1:]
    ]
    expected = math.sqrt(sum(terms) / len(terms)) * ROOT
    assert conditions(*ROWS)[-1].garman_klass_volatility == pytest.approx(expected)


def test_ewma_weighs_the_newest_return_most() -> None:
    variance = log_returns()[0] ** 2
    for log_return in log_returns()[1:]:
        variance = DECAY * variance + (1 - DECAY) * log_return**2
    assert conditions(*ROWS)[-1].ewma_volatility == pytest.approx(math.sqrt(variance) * ROOT)


def test_before_the_window_is_full_every_estimator_is_absent() -> None:
    condition = conditions(*ROWS[:-2])[-1]
    assert condition.ewma_volatility is None
    assert condition.close_to_close_volatility is None
    assert condition.parkinson_volatility is None
    assert condition.garman_klass_volatility is None
    assert condition.price_volatility is None
    assert condition.percentile is None
    assert condition.regime is None


def test_one_price_a_bar_gives_no_estimator_of_ranges() -> None:
    condition = conditions(*[(row[3],) * 4 for row in ROWS])[-1]
    assert condition.close_to_close_volatility is not None
    assert condition.parkinson_volatility is None
    assert condition.garman_klass_volatility is None


def test_half_a_window_of_flat_bars_is_too_much_and_less_is_not() -> None:
    flat = (1000, 1000, 1000, 1000)
    half = WINDOW // 2
    assert conditions(*[flat] * half, *ROWS[:half])[-1].parkinson_volatility is None
    assert conditions(*[flat] * (half - 1), *ROWS[: half + 1])[-1].parkinson_volatility is not None


def test_a_negative_price_interrupts_log_estimators_until_the_window_is_full_again() -> None:
    rows = [*ROWS, (-3698, -3690, -3700, -3698), *ROWS]
    said = conditions(*rows, price_may_be_negative=True)
    at = len(ROWS)
    assert said[at - 1].ewma_volatility is not None
    for condition in (said[at], said[at + 1], said[at + WINDOW]):
        assert condition.ewma_volatility is None
        assert condition.close_to_close_volatility is None
        assert condition.price_volatility is not None
    assert said[at + WINDOW].parkinson_volatility is not None
    assert said[at + WINDOW - 1].parkinson_volatility is None
    assert said[at + WINDOW + 1].ewma_volatility is not None


def test_price_volatility_is_the_sample_deviation_of_differences_where_they_are_legal() -> None:
    differences = [(now[3] - before[3]) / 100 for before, now in pairwise(ROWS)]
    said = conditions(*ROWS, price_may_be_negative=True)
    assert said[-1].price_volatility == pytest.approx(statistics.stdev(differences))
    assert conditions(*ROWS)[-1].price_volatility is None


def test_volatility_is_annualised_with_the_instruments_own_bars() -> None:
    daily, hourly = conditions(*ROWS)[-1], conditions(*ROWS, bars_per_year=252 * 16)[-1]
    assert daily.ewma_volatility is not None
    assert hourly.ewma_volatility == pytest.approx(daily.ewma_volatility * 4)


def test_the_regime_is_stressed_when_the_market_moves_as_never_before_and_calm_when_it_stops() -> None:
    usual = [(1000 + 4 * (day % 2),) for day in range(200)]
    wild = [(1000 + 80 * (day % 2),) for day in range(20)]
    still = [(1000,) for _ in range(150)]
    said = conditions(*usual, *wild, *still)
    assert said[WINDOW + HISTORY_MIN - 2].regime is None
    assert said[WINDOW + HISTORY_MIN].regime is not None
    stressed = said[199 + len(wild)]
    assert stressed.regime is Regime.STRESSED
    assert stressed.percentile is not None
    assert stressed.percentile >= STRESSED_FROM
    assert said[-1].regime is Regime.CALM
    assert said[-1].percentile is not None
    assert said[-1].percentile < CALM_BELOW


def test_a_window_by_size_holds_the_same_values_as_by_time() -> None:
    values: tuple[float, ...] = ()
    ordered: tuple[float, ...] = ()
    for number in (3.0, 1.0, 2.0, 2.0, 5.0, -1.0, 2.0):
        values, ordered = pushed_both(values, ordered, number, 4)
        assert ordered == tuple(sorted(values))
        assert len(values) <= 4
    assert values == (2.0, 5.0, -1.0, 2.0)


@pytest.mark.parametrize(
    "values", [(1.0,), (1.0, 2.0), (1.0, 1.0, 1.0), (0.0, 1.0, 5.0, 9.0, 20.0), (-3.0, 0.0, 4.0, 4.5)]
)
def test_median_and_median_distance_are_what_sorting_gives(values: tuple[float, ...]) -> None:
    centre = statistics.median(values)
    assert median(values) == centre
    assert median_distance(values, centre) == statistics.median_low([abs(value - centre) for value in values])
