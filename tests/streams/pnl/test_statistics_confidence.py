"""Intervals against published tables and against what they claim."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from streams.pnl.performance import confidence


@pytest.mark.parametrize(
    ("freedom", "published"),
    [
        (1, 12.706),
        (2, 4.303),
        (3, 3.182),
        (5, 2.571),
        (10, 2.228),
        (29, 2.045),
        (60, 2.000),
        (120, 1.980),
        (10**6, 1.960),
    ],
)
def test_students_quantile_is_that_of_the_printed_tables(freedom: int, published: float) -> None:
    assert confidence.student_quantile(freedom) == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(5, 10, 0.2366, 0.7634), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval_has_its_published_values(hits: int, of: int, low: float, high: float) -> None:
    """81 of 263 is the example of Newcombe (1998), table I; the others are by hand."""
    assert confidence.of_share(hits, of) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_a_mean_is_students() -> None:
    low, high = confidence.of_mean(np.array([1.0, 2.0, 3.0])) or (0.0, 0.0)
    assert (low, high) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)))


def test_the_interval_of_normal_returns_sharpe_ratio_is_los() -> None:
    """With the skew of 0 and nearly the kurtosis of 3, Mertens' variance is Lo's (1 + SR^2 / 2) / n."""
    quantiles = np.array([NormalDist().inv_cdf((k + 0.5) / 20_000) for k in range(20_000)]) + 0.5
    low, high = confidence.of_sharpe(quantiles) or (0.0, 0.0)
    assert (high - low) / 2 == pytest.approx(1.959964 * math.sqrt((1 + 0.5**2 / 2) / 20_000), rel=1e-2)


def test_a_line_without_noise_has_no_width() -> None:
    x = np.array([1.0, 2.0, 4.0])
    line = confidence.of_line(2 * x + 1, x)
    assert line is not None
    assert line[0] == pytest.approx((1.0, 1.0))
    assert line[1] == pytest.approx((2.0, 2.0))


def test_the_interval_of_a_line_is_that_of_a_worked_example() -> None:
    """x 1..5, y 2, 4, 5, 4, 5: slope 0.6 with standard error sqrt(0.08), intercept 2.2 with sqrt(0.88), 3 degrees."""
    line = confidence.of_line(np.array([2.0, 4, 5, 4, 5]), np.arange(1.0, 6.0))
    assert line is not None
    t = 3.182446
    assert line[1] == pytest.approx((0.6 - t * math.sqrt(0.08), 0.6 + t * math.sqrt(0.08)), rel=1e-6)
    assert line[0] == pytest.approx((2.2 - t * math.sqrt(0.88), 2.2 + t * math.sqrt(0.88)), rel=1e-6)


def test_a_percentile_of_few_values_has_no_interval() -> None:
    few, many = np.arange(50.0), np.arange(1000.0)
    assert confidence.of_quantile(few, 0.05) is None
    assert confidence.of_quantile(many, 0.05) == (35.0, 63.0)


def test_without_variation_there_is_no_interval() -> None:
    flat = np.full(9, 0.01)
    assert confidence.of_sharpe(flat) is None
    assert confidence.of_deviation(flat) is None
    assert confidence.of_deviation(np.array([0.0, 0.05])) is None
    assert confidence.of_mean(np.array([1.0])) is None
    assert confidence.of_share(0, 0) is None
    assert confidence.of_line(flat, flat) is None


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    """By simulation with a fixed seed: coverage of the mean, the deviation, the Sharpe ratio and the share."""
    draw = np.random.default_rng(20_240)
    held = np.zeros(4)
    for _ in range(2_000):
        sample = draw.normal(0.1, 1.0, 120)
        hits = int(np.sum(sample > 0.1))
        intervals = (
            (confidence.of_mean(sample), 0.1),
            (confidence.of_deviation(sample), 1.0),
            (confidence.of_sharpe(sample), 0.1),
            (confidence.of_share(hits, 120), 0.5),
        )
        held += [found is not None and found[0] <= truth <= found[1] for found, truth in intervals]
    assert held / 2_000 == pytest.approx(np.full(4, 0.95), abs=0.02)
