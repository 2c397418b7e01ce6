"""Promise: the statistics of 10,000 trades within 100 ms; those of 40 years of daily equity within 5 s.

    python -m benchmarks.statistics

The limit, measured in the same run, is the least that any such summary must do: read the net P&L of every trade as a
float and take one mean and one deviation with the standard library. Prints one JSON object; ends with 1 when a target
is missed.
"""

from __future__ import annotations

import json
import os
import platform
import statistics as standard
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np

from streams.pnl.performance.returns import DAY_US, Series
from streams.pnl.performance.summary import summarise
from streams.pnl.performance.trades import ClosedTrade

TRADES = 10_000
DAYS = 40 * 252
ROUNDS = 20
TARGET_MS = {"trades_10000": 100.0, "daily_40_years": 5_000.0}


def closed_trades(count: int) -> list[ClosedTrade]:
    """Trades of a fixed seed, one after another, with prices, fees and paths as Decimal."""
    draw = np.random.default_rng(8)
    made = []
    for number, (pnl, quantity) in enumerate(
        zip(draw.normal(5, 100, count), draw.integers(1, 100, count), strict=True)
    ):
        result = Decimal(f"{pnl:.2f}")
        made.append(
            ClosedTrade(
                entry_time_us=number * DAY_US // 4,
                exit_time_us=number * DAY_US // 4 + DAY_US // 8,
                quantity=Decimal(int(quantity) if number % 2 else -int(quantity)),
                entry_price=Decimal("100.25"),
                exit_price=Decimal("100.75"),
                pnl=result,
                fees=Decimal("1.05"),
                mae=min(result, Decimal(0)) - 3,
                mfe=max(result, Decimal(0)) + 3,
                entry_reason="signal",
                exit_reason=("stop", "target", "horizon")[number % 3],
            )
        )
    return made


def timed_ms(work: Callable[[], object]) -> dict[str, float]:
    """Median and worst of the rounds, after one to warm up."""
    work()
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1e3)
    return {"median_ms": round(standard.median(taken), 3), "worst_ms": round(max(taken), 3)}


def measure() -> dict[str, Any]:
    """Both promises with the limit of each."""
    trades = closed_trades(TRADES)
    money = (1e6 * np.cumprod(1 + np.random.default_rng(9).normal(3e-4, 0.01, DAYS))).tolist()
    equity = Series.of_equity(money, [day * DAY_US for day in range(DAYS)])

    def limit_of_trades() -> tuple[float, float]:
        results = [float(trade.pnl) for trade in trades]
        return standard.fmean(results), standard.stdev(results)

    def limit_of_days() -> tuple[float, float]:
        returns = [after / before - 1 for before, after in pairwise(money)]
        return standard.fmean(returns), standard.stdev(returns)

    found = {
        "trades_10000": (timed_ms(lambda: summarise(equity, "daily", trades=trades)), timed_ms(limit_of_trades)),
        "daily_40_years": (timed_ms(lambda: summarise(equity, benchmark=equity)), timed_ms(limit_of_days)),
    }
    return {
        name: {
            **ours,
            "target_ms": TARGET_MS[name],
            "limit": limit,
            "times_the_limit": round(ours["median_ms"] / limit["median_ms"], 2),
            "met": ours["worst_ms"] <= TARGET_MS[name],
        }
        for name, (ours, limit) in found.items()
    }


def main() -> int:
    results = measure()
    print(
        json.dumps(
            {
                "benchmark": "statistics",
                "command": "python -m benchmarks.statistics",
                "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
                "versions": {"python": platform.python_version(), "numpy": np.__version__},
                "rounds": ROUNDS,
                "results": results,
            },
            indent=1,
        )
    )
    return 0 if all(result["met"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
