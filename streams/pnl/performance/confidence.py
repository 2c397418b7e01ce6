"""Confidence intervals at 95 %, two-sided. Pure.

Each returns (low, high), or None where the interval is not defined. They assume rows that do not depend on each other;
returns that follow each other make the true intervals wider.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from streams.pnl.performance.returns import Floats
from streams.pnl.performance.statistics import mean, sample_deviation, standard_moment

Interval = tuple[float, float]

LEVEL = 0.95
NORMAL_QUANTILE = NormalDist().inv_cdf((1.0 + LEVEL) / 2.0)


def of_mean(values: Floats) -> Interval | None:
    """Student's t: mean +- t(n - 1) * deviation / sqrt(n). Needs two values."""
    if values.size < 2:
        return None
    middle = mean(values)
    half = student_quantile(values.size - 1) * sample_deviation(values) / math.sqrt(values.size)
    return middle - half, middle + half


def of_sharpe(excess: Floats) -> Interval | None:
    """Sharpe ratio of one period, SR +- z * sqrt((1 + SR^2 / 2 - skew SR + (kurtosis - 3) / 4 SR^2) / n).

    Population skew and kurtosis. Source: Mertens (2002), which is Lo (2002) with the normal's moments replaced by the
    sample's. None without variation.
    """
    deviation = sample_deviation(excess)
    if not deviation > 0.0:
        return None
    sr = mean(excess) / deviation
    skew, kurtosis = standard_moment(excess, 3), standard_moment(excess, 4)
    variance = 1.0 + sr * sr / 2.0 - skew * sr + (kurtosis - 3.0) / 4.0 * sr * sr
    half = NORMAL_QUANTILE * math.sqrt(max(variance, 0.0) / excess.size)
    return sr - half, sr + half


def of_deviation(values: Floats) -> Interval | None:
    """Sample deviation s +- z * s * sqrt((kurtosis - 1) / (4 n)), population kurtosis, never below zero.

    Source: large-sample variance of s^2, (m4 - m2^2) / n (Cramer 1946), by the delta method. None without variation,
    and for two equal halves, whose kurtosis of 1 would claim certainty.
    """
    deviation = sample_deviation(values)
    beyond = standard_moment(values, 4) - 1.0
    if not deviation > 0.0 or beyond < 1e-9:
        return None
    half = NORMAL_QUANTILE * deviation * math.sqrt(beyond / (4.0 * values.size))
    return max(deviation - half, 0.0), deviation + half


def of_share(hits: int, of: int) -> Interval | None:
    """Share of hits: the score interval. Source: Wilson (1927). None of nothing."""
    if of == 0:
        return None
    z2 = NORMAL_QUANTILE**2
    share = hits / of
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = NORMAL_QUANTILE / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return (middle - half if hits else 0.0), (middle + half if hits < of else 1.0)


def of_quantile(values: Floats, cutoff: float) -> Interval | None:
    """A percentile, between order statistics n c +- z sqrt(n c (1 - c)). Source: Conover (1999), 3.2.

    None where the sample is too small to hold the interval inside its ranks.
    """
    n = values.size
    half = NORMAL_QUANTILE * math.sqrt(n * cutoff * (1.0 - cutoff))
    low, high = math.floor(n * cutoff - half), math.ceil(n * cutoff + half)
    if low < 1 or high > n:
        return None
    ranked = np.partition(values, (low - 1, high - 1))
    return float(ranked[low - 1]), float(ranked[high - 1])


def of_line(ours: Floats, theirs: Floats) -> tuple[Interval, Interval] | None:
    """Intercept and slope of the least-squares line of ours on theirs, by Student's t with n - 2.

    Source: any text on simple regression. None below three pairs or without variation of theirs.
    """
    n = ours.size
    if n < 3 or not sample_deviation(theirs) > 1e-15:
        return None
    off = theirs - theirs.mean()
    spread = float(off @ off)
    slope = float(off @ ours) / spread
    intercept = mean(ours) - slope * mean(theirs)
    left = ours - intercept - slope * theirs
    noise = math.sqrt(float(left @ left) / (n - 2))
    t = student_quantile(n - 2)
    half_slope = t * noise / math.sqrt(spread)
    half_intercept = t * noise * math.sqrt(1.0 / n + mean(theirs) ** 2 / spread)
    return (intercept - half_intercept, intercept + half_intercept), (slope - half_slope, slope + half_slope)


def scaled(interval: Interval | None, by: float) -> Interval | None:
    """Both ends times a positive number."""
    return None if interval is None else (interval[0] * by, interval[1] * by)


@lru_cache(maxsize=256)
def student_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, found by halving on its distribution function to 1e-12."""
    low, high = 0.0, 13.0
    while high - low > 1e-12 * high:
        middle = (low + high) / 2.0
        if student_below(middle, freedom) < (1.0 + LEVEL) / 2.0:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def student_below(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0 by the incomplete beta function. Source: Abramowitz and Stegun 26.7.1."""
    return 1.0 - 0.5 * beta_share(freedom / (freedom + t * t), freedom / 2.0, 0.5)


def beta_share(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta I_x(a, b) by its continued fraction. Source: Abramowitz and Stegun 26.5.8."""
    if x <= 0.0 or x >= 1.0:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_share(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * _beta_fraction(x, a, b))


def _beta_fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)), evaluated from the tail; 400 terms are far beyond what doubles resolve here."""
    value = 1.0
    for term in range(400, 0, -1):
        m = term // 2
        if term % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        value = 1.0 + d / value
    return value
