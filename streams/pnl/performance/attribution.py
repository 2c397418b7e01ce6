"""Attribution: what parts add to a whole. Pure; returns are fractions by period, volatility is annualised.

What each strategy adds to risk is its marginal contribution to volatility times its size (Euler's theorem: volatility
is homogeneous of degree one): cov(part, whole) / deviation(whole). Source: R. Litterman (1996), "Hot spots and
hedges", Journal of Portfolio Management, special issue. Active return against a benchmark is divided after G. Brinson
and N. Fachler (1985), "Measuring non-US equity portfolio performance", Journal of Portfolio Management 11(3).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streams.pnl.performance.returns import LengthsDiffer
from streams.pnl.performance.statistics import sample_deviation


@dataclass(frozen=True, slots=True)
class RiskShares:
    """Volatility of the whole, and what each part adds to it; the parts add up to the whole. Below zero: it hedges."""

    volatility: float
    added: Mapping[str, float]


def risk_shares(parts: Mapping[str, Sequence[float]], periods: float = 252.0) -> RiskShares | None:
    """What each part adds to the volatility of their sum; None below two periods or where the sum does not vary.

    `parts` are returns on the equity of the whole, a row a period, so that they add up to its returns. `periods` a
    year. Raises LengthsDiffer.
    """
    lengths = {len(values) for values in parts.values()}
    if len(lengths) > 1:
        raise LengthsDiffer(f"parts of {min(lengths)} and of {max(lengths)} periods")
    if not parts or lengths.pop() < 2:
        return None
    table = np.array(list(parts.values()), dtype=np.float64)
    whole = table.sum(axis=0)
    deviation = sample_deviation(whole)
    if not deviation > 0.0 or not math.isfinite(deviation):
        return None
    off = whole - whole.mean()
    added = (table - table.mean(axis=1, keepdims=True)) @ off / (whole.size - 1) / deviation
    scale = math.sqrt(periods)
    return RiskShares(deviation * scale, dict(zip(parts, (added * scale).tolist(), strict=True)))


@dataclass(frozen=True, slots=True)
class Segment:
    """A sector, or any other group, in portfolio and benchmark. Weights are fractions of each, returns fractions."""

    weight: float
    benchmark_weight: float
    performance: float
    benchmark_performance: float


@dataclass(frozen=True, slots=True)
class Active:
    """What one segment added to the active return.

    allocation: by holding more or less of it than the benchmark
    selection: by holding better or worse of it
    interaction: by both at once
    """

    allocation: float
    selection: float
    interaction: float

    @property
    def total(self) -> float:
        return self.allocation + self.selection + self.interaction


def brinson_fachler(segments: Mapping[str, Segment]) -> dict[str, Active]:
    """Divide the portfolio's return less the benchmark's; the totals add up to it where weights add to one."""
    market = math.fsum(one.benchmark_weight * one.benchmark_performance for one in segments.values())
    return {
        name: Active(
            allocation=(one.weight - one.benchmark_weight) * (one.benchmark_performance - market),
            selection=one.benchmark_weight * (one.performance - one.benchmark_performance),
            interaction=(one.weight - one.benchmark_weight) * (one.performance - one.benchmark_performance),
        )
        for name, one in segments.items()
    }
